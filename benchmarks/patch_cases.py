"""What the benchmarks of `composite_patches` share, on a CPU and on a GPU: the scenes, and what is timed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

import stitched_loop
import torch
from torch import Tensor

from neural_paint import composite_patches
from neural_paint.painters import Grid
from neural_paint.testing import TOLERANCES, assert_gradient_close, assert_image_close

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

    def scene(self, device: str = "cpu") -> dict[str, Tensor]:
        random = torch.Generator().manual_seed(0)
        background = torch.ones(1, 3, *self.grid.size)
        scene = {
            "patches": torch.rand(1, self.grid.num_strokes, 64, 64, generator=random),
            "transform": self.grid.transform(background)[None],
            "background": background,
            "color": torch.rand(1, self.grid.num_strokes, 3, generator=random),
        }
        return {name: x.to(device) for name, x in scene.items()}


class Stamps(NamedTuple):
    """A bitmap brush of 64 x 16 texels, turned every way and scaled to 60 x 12 pixels, on a square canvas."""

    strokes: int
    size: int

    def __str__(self) -> str:
        return f"{self.size}x{self.size}, {self.strokes:,} stamps of 60x12"

    def scene(self, device: str = "cpu") -> dict[str, Tensor]:
        random = torch.Generator().manual_seed(0)
        angle = 2 * math.pi * torch.rand(self.strokes, generator=random)
        turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], -1).unflatten(-1, (2, 2))
        matrix = turn * torch.tensor([60 / 64, 12 / 16])
        middle = self.size * torch.rand(self.strokes, 2, 1, generator=random)
        scene = {
            "patches": torch.rand(1, 16, 64, generator=random),
            "transform": torch.cat([matrix, middle - matrix @ torch.tensor([[32.0], [8.0]])], -1)[None],
            "background": torch.ones(1, 3, self.size, self.size),
            "color": torch.rand(1, self.strokes, 3, generator=random),
            "opacity": torch.rand(1, self.strokes, generator=random),
            "patch_id": torch.zeros(1, self.strokes, dtype=torch.int64),
        }
        return {name: x.to(device) for name, x in scene.items()}


STITCHED, STAMPS = Stitched(8, 5), Stamps(1000, 512)
# For a run that only shows that the benchmarks work, and that they paint what they should.
SMALL, FEW = Stitched(2, 2), Stamps(20, 64)


def implementation(name: str) -> Composite:
    return stitched_loop.composite_patches if name == "loop" else partial(composite_patches, backend=name)


def function(composite: Composite, scene: dict[str, Tensor], what: str) -> Callable[[], object]:
    """What is to be timed: "forward", "backward" alone, or "forward and backward"; gradients are those of patches,
    colours, and opacities and maps where there are any."""
    if what == "forward":
        return lambda: composite(**scene)
    # The maps of a grid are fixed.
    fixed = {"background", "patch_id"} if "opacity" in scene else {"background", "transform"}
    leaves = [x.requires_grad_() for name, x in scene.items() if name not in fixed]
    grad = torch.rand_like(scene["background"])
    if what == "forward and backward":
        return lambda: torch.autograd.grad(composite(**scene), leaves, grad)
    image = composite(**scene)
    return lambda: torch.autograd.grad(image, leaves, grad, retain_graph=True)


def assert_parity(names: Iterable[str], case: Stitched | Stamps, device: str = "cpu") -> None:
    """No time is worth anything if the picture, or a gradient, is wrong."""
    scene, tolerance = case.scene(), TOLERANCES[torch.float32, "brush"]
    grad = torch.linspace(-1, 1, scene["background"].numel()).view_as(scene["background"])

    def run(name: str, device: str, dtype: torch.dtype) -> list[Tensor]:
        inputs = {key: x.to(device, dtype if x.is_floating_point() else None) for key, x in scene.items()}
        leaves = [inputs[key].requires_grad_() for key in ("patches", "color")]
        image = implementation(name)(**inputs)
        gradients = torch.autograd.grad(image, leaves, grad.to(device, dtype))
        return [image.detach().cpu(), *(x.cpu() for x in gradients)]

    image, *gradients = run("reference", "cpu", torch.float64)
    for name in names:
        painted, *found = run(name, device, torch.float32)
        assert_image_close(painted, image, tolerance)
        for gradient, expected in zip(found, gradients, strict=True):
            assert_gradient_close(gradient, expected, tolerance, name)
