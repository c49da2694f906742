"""`composite_patches`: the stitched canvas of a neural painter next to the published loop, and stamps of a brush."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pytest
import stitched_loop
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from neural_paint import backends, composite_patches
from neural_paint.painters import GANPainter, Grid, NeuralCanvas
from neural_paint.testing import TOLERANCES, assert_gradient_close, assert_image_close

FUSED = [name for name in backends.available("cpu", "composite_patches") if name != "reference"]
Composite = Callable[..., Tensor]


class Stitched(NamedTuple):
    """Strokes of 64 x 64 pixels on a grid of blocks that overlap, block after block, as they are published."""

    blocks: int
    strokes: int  # on each block

    def __str__(self) -> str:
        height, width = self.grid.size
        return f"{width}x{height}, {self.blocks}x{self.blocks} blocks of {self.strokes} strokes"

    @property
    def grid(self) -> Grid:
        return Grid(self.blocks, self.blocks, strokes_per_block=self.strokes)

    def scene(self) -> dict[str, Tensor]:
        random = torch.Generator().manual_seed(0)
        background = torch.ones(1, 3, *self.grid.size)
        return {
            "patches": torch.rand(1, self.grid.num_strokes, 64, 64, generator=random),
            "transform": self.grid.transform(background)[None],
            "background": background,
            "color": torch.rand(1, self.grid.num_strokes, 3, generator=random),
        }


class Stamps(NamedTuple):
    """A bitmap brush of 64 x 16 texels, turned every way and scaled to 60 x 12 pixels, on a square canvas."""

    strokes: int
    size: int

    def __str__(self) -> str:
        return f"{self.size}x{self.size}, {self.strokes:,} stamps of 60x12"

    def scene(self) -> dict[str, Tensor]:
        random = torch.Generator().manual_seed(0)
        angle = 2 * math.pi * torch.rand(self.strokes, generator=random)
        turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], -1).unflatten(-1, (2, 2))
        matrix = turn * torch.tensor([60 / 64, 12 / 16])
        middle = self.size * torch.rand(self.strokes, 2, 1, generator=random)
        return {
            "patches": torch.rand(1, 16, 64, generator=random),
            "transform": torch.cat([matrix, middle - matrix @ torch.tensor([[32.0], [8.0]])], -1)[None],
            "background": torch.ones(1, 3, self.size, self.size),
            "color": torch.rand(1, self.strokes, 3, generator=random),
            "opacity": torch.rand(1, self.strokes, generator=random),
            "patch_id": torch.zeros(1, self.strokes, dtype=torch.int64),
        }


STITCHED, STAMPS = Stitched(8, 5), Stamps(1000, 512)
# For a run that only shows that the benchmarks work.
SMALL = Stitched(2, 2)
ROWS: list[tuple[Stitched | Stamps, str]] = [
    *((case, name) for case in (STITCHED, STAMPS) for name in FUSED),
    (STITCHED, "loop"),
]


def implementation(name: str) -> Composite:
    return stitched_loop.composite_patches if name == "loop" else partial(composite_patches, backend=name)


def function(composite: Composite, scene: dict[str, Tensor], what: str) -> Callable[[], object]:
    """What is to be timed; gradients are those of patches, colours, and opacities and maps where there are any."""
    if what == "forward":
        return lambda: composite(**scene)
    # The maps of a grid are fixed.
    fixed = {"background", "patch_id"} if "opacity" in scene else {"background", "transform"}
    leaves = {name: x.requires_grad_() for name, x in scene.items() if name not in fixed}
    grad = torch.rand_like(scene["background"])
    return lambda: torch.autograd.grad(composite(**scene), list(leaves.values()), grad)


@pytest.mark.parametrize("what", ["forward", "forward and backward"])
@pytest.mark.parametrize(("case", "name"), ROWS, ids=str)
def bench_patches(benchmark: BenchmarkFixture, peak_memory: Any, case: Stitched | Stamps, name: str, what: str) -> None:
    """Patches given: the whole canvas, once. The loop's one round takes long enough for its memory to be taken with
    it."""
    slow = name not in FUSED
    run = function(implementation(name), (SMALL if slow and benchmark.disabled else case).scene(), what)
    benchmark.group = f"patches: {what}, {case}"
    benchmark.extra_info.update({"table": "patches", "case": str(case), "pass": what, "backend": name})
    if slow:
        benchmark.extra_info["peak_mib"] = benchmark.pedantic(peak_memory, args=(run,), rounds=1)
    else:
        benchmark.pedantic(run, rounds=30, warmup_rounds=3)
        benchmark.extra_info["peak_mib"] = peak_memory(run)


@pytest.mark.parametrize("name", ["cpp", "decoder", "loop"])
def bench_neural_canvas(benchmark: BenchmarkFixture, peak_memory: Any, name: str) -> None:
    """A step of an optimisation, forward and backward to the actions, with a GAN painter: in two calls, in the
    published loop, and what of it is the painter's network."""
    case = SMALL if name == "loop" and benchmark.disabled else STITCHED
    painter = GANPainter().freeze()
    actions = torch.rand(1, case.grid.num_strokes, 12, requires_grad=True)
    canvas = NeuralCanvas(painter, case.grid)
    paint = {"cpp": canvas, "decoder": painter, "loop": lambda x: stitched_loop.paint(painter, x, case.grid)}[name]

    def step() -> object:
        return torch.autograd.grad(paint(actions).sum(), actions)

    benchmark.group = f"neural canvas: {case}"
    extra = {"table": "neural canvas", "case": str(case), "pass": "forward and backward", "backend": name}
    benchmark.extra_info.update(extra)
    if name == "loop":
        benchmark.extra_info["peak_mib"] = benchmark.pedantic(peak_memory, args=(step,), rounds=1)
    else:
        benchmark.pedantic(step, rounds=5, warmup_rounds=1)
        benchmark.extra_info["peak_mib"] = None if benchmark.disabled else peak_memory(step)


@pytest.fixture(autouse=True, scope="module")
def parity() -> None:
    """No time is worth anything if the picture, or a gradient, is wrong."""
    scene, tolerance = SMALL.scene(), TOLERANCES[torch.float32, "brush"]
    grad = torch.linspace(-1, 1, scene["background"].numel()).view_as(scene["background"])

    def run(composite: Composite, dtype: torch.dtype) -> tuple[Tensor, ...]:
        inputs = {name: x.to(dtype) for name, x in scene.items()}
        leaves = [inputs[name].requires_grad_() for name in ("patches", "color")]
        image = composite(**inputs)
        return image.detach(), *torch.autograd.grad(image, leaves, grad.to(dtype))

    image, *gradients = run(implementation("reference"), torch.float64)
    for name in (*FUSED, "loop"):
        painted, *found = run(implementation(name), torch.float32)
        assert_image_close(painted, image, tolerance)
        for gradient, expected in zip(found, gradients, strict=True):
            assert_gradient_close(gradient, expected, tolerance, name)
