"""What the benchmarks of `paint` share, on a CPU and on a GPU: the scenes, what is timed, and what must hold first."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from neural_paint import Strokes, reference
from neural_paint.testing import TOLERANCES, assert_gradient_close, assert_image_close, brush_strokes

Paint = Callable[[Strokes, Tensor], Tensor]


class Case(NamedTuple):
    """Strokes of `length` px from end to end and `radius` px on white canvases; by default of the scene of record,
    `neural_paint.testing.scene_of_record`."""

    strokes: int
    width: int
    height: int
    batch: int = 1
    length: float = 48.0
    radius: float = 6.0

    def __str__(self) -> str:
        canvas = f"{self.width}x{self.height}, {self.strokes:,} stroke{'s' if self.strokes > 1 else ''}"
        if (self.length, self.radius) != (SCENE_OF_RECORD.length, SCENE_OF_RECORD.radius):
            canvas += f" of {self.length + 2 * self.radius:.0f}x{2 * self.radius:.0f}"
        return canvas if self.batch == 1 else f"{self.batch} x {canvas}"

    def scene(self, device: str = "cpu") -> tuple[Strokes, Tensor]:
        strokes = brush_strokes(
            batch=self.batch,
            strokes=self.strokes,
            height=self.height,
            width=self.width,
            length=self.length,
            radius=self.radius,
            opacity_ends=2,
        )
        return strokes.to(device), torch.ones(self.batch, 3, self.height, self.width, device=device)

    def flops(self) -> dict[str, float]:
        """What a pass must compute: for every stroke at every pixel it covers the search for t*, at so many pixels more
        as lie with those in blocks of 4 x 4, and compositing. A stroke counts whole, be it on the canvas or not."""
        area = 2 * self.radius * self.length + math.pi * self.radius**2
        perimeter = 2 * self.length + 2 * math.pi * self.radius
        evaluated = 1 + (4 * 4 + perimeter * (4 + 4) / math.pi) / area
        covered = self.batch * self.strokes * area
        return {"forward": covered * (130 * evaluated + 9), "backward": covered * (142 * evaluated + 57)}


SCENE_OF_RECORD = Case(1000, 512, 512)
# Little to a stroke; many strokes; many small canvases.
SHARES = [SCENE_OF_RECORD, Case(10_000, 512, 512), Case(200, 128, 128, batch=64, length=22.0, radius=4.0)]
CALL = Case(1, 16, 16)


def function(implementation: Paint, case: Case, what: str, device: str = "cpu") -> Callable[[], object]:
    """What is to be timed: "forward", without gradients recorded, "backward" alone, or "forward and backward".

    Gradients are made anew each time, as after `zero_grad`, and not added up; an opponent may leave a field out.
    """
    strokes, background = case.scene(device)
    if what == "forward":
        return lambda: implementation(strokes, background)
    leaves = list(strokes.requires_grad_().fields().values())
    grad = torch.rand_like(background)
    if what == "forward and backward":
        return lambda: torch.autograd.grad(implementation(strokes, background), leaves, grad, allow_unused=True)
    image = implementation(strokes, background)
    return lambda: torch.autograd.grad(image, leaves, grad, retain_graph=True, allow_unused=True)


def note(benchmark: BenchmarkFixture, table: str, case: Case, what: str, **extra: Any) -> None:
    """Say which row of which table this is; see benchmarks/table.py."""
    benchmark.group = f"{table}: {what}, {case}"
    benchmark.extra_info.update({"table": table, "case": str(case), "pass": what, **extra})


class Empty(torch.autograd.Function):
    """What torch takes for a function of the same inputs that does nothing."""

    @staticmethod
    def forward(ctx: Any, background: Tensor, *fields: Tensor) -> Tensor:
        ctx.save_for_backward(*fields)
        return torch.empty_like(background)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return None, *map(torch.empty_like, ctx.saved_tensors)


def empty(strokes: Strokes, background: Tensor) -> Tensor:
    image: Tensor = Empty.apply(background, *strokes.fields().values())
    return image


def assert_parity(implementations: Iterable[Paint], device: str = "cpu") -> None:
    """No time is worth anything if the picture, or a gradient, is wrong."""
    strokes, background = Case(100, 128, 128).scene()
    grad = torch.linspace(-1, 1, background.numel()).reshape(background.shape)
    tolerance = TOLERANCES[torch.float32, "brush"]

    def run(implementation: Paint, device: str, dtype: torch.dtype) -> tuple[Tensor, dict[str, Tensor]]:
        leaf = strokes.to(device, dtype).detach().requires_grad_()
        image = implementation(leaf, background.to(device, dtype))
        gradients = torch.autograd.grad(image, list(leaf.fields().values()), grad.to(device, dtype))
        return image.detach().cpu(), {name: x.cpu() for name, x in zip(leaf.fields(), gradients, strict=True)}

    image, gradients = run(reference.paint, "cpu", torch.float64)
    for implementation in implementations:
        painted, found = run(implementation, device, torch.float32)
        assert_image_close(painted, image, tolerance)
        for name, gradient in found.items():
            assert_gradient_close(gradient, gradients[name], tolerance, name)
