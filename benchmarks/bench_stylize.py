"""A step of intrinsic style transfer, 256 strokes on 288 x 288, next to the published loop, and where its time goes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import published_stylize
import pytest
import stitched_loop
import torch
import torch.nn.functional as F
from published_stylize import Stylize
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from neural_paint import ActionStrokes, composite_patches, stroke_mask
from neural_paint.io import demo_photo, load_image
from neural_paint.media import Medium, named_medium
from neural_paint.painters import GANPainter, Grid
from neural_paint.painters.actions import COLOR
from neural_paint.perception import STYLE_TF, FeatureLoss, load_network
from neural_paint.tasks import stylize
from neural_paint.tasks.composition import Composition
from neural_paint.tasks.lay import lay
from neural_paint.testing import TOLERANCES, assert_gradient_close, assert_image_close

LAYER = "expand5"
# Parts of a step that are a medium's.
STROKES = {"strokes, GAN painter": "a GAN painter", "strokes, dab painter": "the dab painter", "strokes, oil": "oil"}


class Case(NamedTuple):
    """The published grid: blocks of 64 pixels that overlap by half."""

    blocks: int
    strokes: int  # on each block

    def __str__(self) -> str:
        height, width = self.grid.size
        return f"{width}x{height}, {self.grid.num_strokes} strokes"

    @property
    def grid(self) -> Grid:
        return Grid(self.blocks, self.blocks, overlap=32, strokes_per_block=self.strokes)

    def photo(self) -> Tensor:
        photo = load_image(demo_photo())
        return F.interpolate(photo, self.grid.size, mode="bilinear", antialias=True).clamp(0, 1)

    def decoded(self) -> list[Tensor]:
        """Pictures (1, N, 3, 64, 64) and colours (1, N, 3), with gradients."""
        sizes = (self.grid.num_strokes, 3, 64, 64), (self.grid.num_strokes, 3)
        return [torch.rand(1, *size, requires_grad=True) for size in sizes]


def fused(pictures: Tensor, colors: Tensor, grid: Grid) -> Tensor:
    background = torch.ones(1, 3, *grid.size)
    masks = stroke_mask(pictures)
    return composite_patches(masks, grid.transform(background)[None], background, color=colors)


def published(pictures: Tensor, colors: Tensor, grid: Grid) -> Tensor:
    return published_stylize.paint(pictures[0, :, None], colors[0], grid)


PUBLISHED, SMALL = Case(8, 4), Case(2, 1)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("given", ["pictures", "masks"])
@pytest.mark.parametrize("name", ["cpp", "loop"])
def bench_canvas(benchmark: BenchmarkFixture, peak_memory: Any, name: str, given: str) -> None:
    """The canvas of decoded strokes, forward and backward: of their pictures, whose masks are made as well, or of
    masks."""
    case = SMALL if name == "loop" and benchmark.disabled else PUBLISHED
    background = torch.ones(1, 3, *case.grid.size)
    strokes, grad = case.decoded(), torch.rand_like(background)
    if given == "masks":
        strokes[0] = torch.rand(1, case.grid.num_strokes, 64, 64, requires_grad=True)
    composite = stitched_loop.composite_patches if name == "loop" else composite_patches
    place = case.grid.transform(background)[None]

    def paint() -> Tensor:
        if given == "masks":
            return composite(strokes[0], place, background, color=strokes[1])
        return (published if name == "loop" else fused)(*strokes, case.grid)

    def run() -> object:
        return torch.autograd.grad(paint(), strokes, grad)

    _time(benchmark, peak_memory, run, f"the canvas alone, {given} given, {case}", "stylize", name, slow=name == "loop")


@pytest.mark.parametrize("name", ["a GAN painter", "the dab painter", "oil", "loop"])
def bench_step(benchmark: BenchmarkFixture, peak_memory: Any, name: str) -> None:
    """Canvas, views, network, and all of it backwards, and Adam. The loop has the GAN painter, and our network."""
    case = SMALL if name == "loop" and benchmark.disabled else PUBLISHED
    if name == "loop":
        run: Callable[[], object] = Stylize(GANPainter().freeze(), case.grid, load_network(), LAYER, case.photo()).step
    else:
        run = partial(next, stylize(case.photo(), _medium(name), case.grid.num_strokes, steps=100_000))
    _time(benchmark, peak_memory, run, f"a step, {case}", "stylize", name, slow=name == "loop")


@pytest.mark.parametrize("part", [*STROKES, "views", "network"])
def bench_part(benchmark: BenchmarkFixture, peak_memory: Any, part: str) -> None:
    """What a step is made of: strokes and their canvas, with Adam; views of canvas and photograph; what the network
    sees in both. All with what they take backwards."""
    photo, size = PUBLISHED.photo(), PUBLISHED.grid.size
    generator = torch.Generator().manual_seed(0)
    image = photo.clone().requires_grad_()
    views = STYLE_TF.draw(1, size, generator)
    loss = FeatureLoss(load_network(), [LAYER], [100.0], gram_weight=0, pixel_weight=0)
    strokes = PUBLISHED.grid.num_strokes
    medium = _medium(STROKES.get(part, "oil"))
    composition = Composition(1, size, strokes, medium, photo=photo, generator=generator, like=photo)

    def run() -> object:
        if part == "views":
            return views(photo), torch.autograd.grad(views(image).sum(), image)
        if part == "network":
            return torch.autograd.grad(loss(image, photo), image)
        return composition.step(lambda canvas: canvas.square().mean(), 1.0)

    _time(benchmark, peak_memory, run, f"parts of a step, {PUBLISHED}", "stylize parts", part)


def _medium(name: str) -> Medium:
    if name == "a GAN painter":
        return Medium(GANPainter().freeze(), 1.0, block=64, overlap=32)
    return named_medium("neural" if name == "the dab painter" else name)


def _time(
    benchmark: BenchmarkFixture,
    peak_memory: Any,
    run: Callable[[], object],
    case: str,
    table: str,
    name: str,
    slow: bool = False,
) -> None:
    benchmark.group = case
    benchmark.extra_info.update(
        {"table": table, "case": case, "pass": "forward and backward", "backend": name, "peak_mib": None}
    )
    if slow:
        benchmark.pedantic(run, rounds=3, warmup_rounds=0 if benchmark.disabled else 1)
    else:
        benchmark.pedantic(run, rounds=20, warmup_rounds=2)
    if not benchmark.disabled:
        benchmark.extra_info["peak_mib"] = peak_memory(run)


@pytest.fixture(autouse=True, scope="module")
def parity() -> None:
    """Both paint the same picture of the same actions, and the loss of both is the same."""
    painter, grid = GANPainter().freeze(), SMALL.grid
    strokes, tolerance = SMALL.decoded(), TOLERANCES[torch.float32, "brush"]
    images = [paint(*strokes, grid) for paint in (published, fused)]
    assert_image_close(images[1], images[0].double(), tolerance)
    grad = torch.linspace(-1, 1, images[0].numel()).view_as(images[0])
    expected, found = (torch.autograd.grad(image, strokes, grad) for image in images)
    for name, wanted, gradient in zip(("pictures", "colors"), expected, found, strict=True):
        assert_gradient_close(gradient, wanted.double(), tolerance, name)
    actions = torch.rand(1, grid.num_strokes, 12)
    canvas = published(painter(actions), actions[..., COLOR.slice], grid)
    corner = grid.transform(actions)[None, :, :, 2]
    place = torch.cat([corner, torch.full_like(corner[..., :1], 64.0)], -1)
    shown = lay(ActionStrokes(actions=actions, place=place), torch.ones_like(canvas), painter)
    assert_image_close(shown, canvas.double(), tolerance)
    network, photo = load_network(), SMALL.photo()
    loss = FeatureLoss(network, [LAYER], [100.0], gram_weight=0, pixel_weight=0)(canvas, photo)
    seen = network.features(torch.cat([canvas, photo]), [LAYER])[0]
    torch.testing.assert_close(loss, 100 * (seen[0] - seen[1]).abs().mean(), rtol=1e-4, atol=0)
