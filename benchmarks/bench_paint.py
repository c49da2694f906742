"""`paint`, a table for each question: how near to the machine's limit it comes, how far ahead of plain PyTorch, whether
its time is linear in the strokes, and what a call costs that has nothing to do."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import plain_torch
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from neural_paint import Strokes, backends, paint
from neural_paint.testing import TOLERANCES, assert_gradient_close, assert_image_close, brush_strokes

PASSES = ["forward", "backward", "forward and backward"]
FUSED = [name for name in backends.available("cpu") if name != "reference"]

Paint = Callable[[Strokes, Tensor], Tensor]

# "plain" is the opponent, at the best of the chunks 1, 2, 3, 4, 6, 8, 16, 48.
IMPLEMENTATIONS: dict[str, Paint] = {
    **{backend: partial(paint, backend=backend) for backend in backends.available("cpu")},
    "plain": partial(plain_torch.paint, chunk=4),
}


class Case(NamedTuple):
    """Strokes of `length` px from end to end and `radius` px on white squares of `size` px; by default of the scene of
    record, `neural_paint.testing.scene_of_record`."""

    strokes: int
    size: int
    batch: int = 1
    length: float = 48.0
    radius: float = 6.0

    def __str__(self) -> str:
        canvas = f"{self.size}x{self.size}, {self.strokes:,} stroke{'s' if self.strokes > 1 else ''}"
        return canvas if self.batch == 1 else f"{self.batch} x {canvas}"

    def scene(self) -> tuple[Strokes, Tensor]:
        size = {"height": self.size, "width": self.size}
        count = {"batch": self.batch, "strokes": self.strokes}
        strokes = brush_strokes(**count, **size, length=self.length, radius=self.radius, opacity_ends=2)
        return strokes, torch.ones(self.batch, 3, self.size, self.size)

    def flops(self) -> dict[str, float]:
        """What a pass must compute: for every stroke at every pixel it covers the search for t*, at so many pixels more
        as lie with those in blocks of 4 x 4, and compositing. A stroke counts whole, be it on the canvas or not."""
        area = 2 * self.radius * self.length + math.pi * self.radius**2
        perimeter = 2 * self.length + 2 * math.pi * self.radius
        evaluated = 1 + (4 * 4 + perimeter * (4 + 4) / math.pi) / area
        covered = self.batch * self.strokes * area
        return {"forward": covered * (130 * evaluated + 9), "backward": covered * (142 * evaluated + 57)}


SCENE_OF_RECORD = Case(1000, 512)
SHARES = [SCENE_OF_RECORD, Case(10_000, 512), Case(200, 128, batch=64, length=22.0, radius=4.0)]
STROKES = [Case(1000, 2048), Case(10_000, 2048), Case(100_000, 2048)]
CALL = Case(1, 16)
# For a run that only shows that the benchmarks work: minutes go by with plain PyTorch on more.
SMALL = Case(20, 64)


def function(implementation: Paint, case: Case, what: str) -> Callable[[], object]:
    """What is to be timed: one of `PASSES`."""
    strokes, background = case.scene()
    if what == "forward":
        return lambda: implementation(strokes, background)
    strokes.requires_grad_()
    grad = torch.rand_like(background)
    if what == "forward and backward":
        return lambda: implementation(strokes, background).backward(grad)
    image = implementation(strokes, background)
    return lambda: image.backward(grad, retain_graph=True)


def note(benchmark: BenchmarkFixture, table: str, case: Case, what: str, **extra: Any) -> None:
    """Say which row of which table this is; see benchmarks/table.py."""
    benchmark.group = f"{table}: {what}, {case}"
    benchmark.extra_info.update({"table": table, "case": str(case), "pass": what, **extra})


@pytest.mark.parametrize("what", ["forward", "backward"])
@pytest.mark.parametrize("case", SHARES, ids=str)
@pytest.mark.parametrize("backend", FUSED)
def bench_share(benchmark: BenchmarkFixture, matmul_rate: float, backend: str, case: Case, what: str) -> None:
    """Each pass against the rate of a matrix product, the most arithmetic that the machine is known to do."""
    rates = {"gflop": case.flops()[what] / 1e9, "matmul_gflops": matmul_rate / 1e9}
    note(benchmark, "share", case, what, backend=backend, **rates)
    benchmark.pedantic(function(IMPLEMENTATIONS[backend], case, what), rounds=30, warmup_rounds=3)


@pytest.mark.parametrize("what", ["forward", "forward and backward"])
@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def bench_opponents(benchmark: BenchmarkFixture, peak_memory: Any, name: str, what: str) -> None:
    """The scene of record in plain PyTorch, whose one round takes long enough for its memory to be taken with it."""
    slow = name not in FUSED
    case = SMALL if slow and benchmark.disabled else SCENE_OF_RECORD
    run = function(IMPLEMENTATIONS[name], case, what)
    note(benchmark, "opponents", case, what, backend=name)
    if slow:
        benchmark.extra_info["peak_mib"] = benchmark.pedantic(peak_memory, args=(run,), rounds=1)
    else:
        benchmark.pedantic(run, rounds=30, warmup_rounds=3)
        benchmark.extra_info["peak_mib"] = peak_memory(run)


@pytest.mark.parametrize("what", ["forward", "forward and backward"])
@pytest.mark.parametrize("case", STROKES, ids=str)
@pytest.mark.parametrize("backend", FUSED)
def bench_strokes(benchmark: BenchmarkFixture, peak_memory: Any, backend: str, case: Case, what: str) -> None:
    """More and more strokes on one large canvas."""
    run = function(IMPLEMENTATIONS[backend], case, what)
    note(benchmark, "strokes", case, what, backend=backend, strokes=case.strokes)
    benchmark.pedantic(run, rounds=5, warmup_rounds=1)
    benchmark.extra_info["peak_mib"] = None if benchmark.disabled else peak_memory(run)


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


@pytest.mark.parametrize("what", ["forward", "forward and backward"])
@pytest.mark.parametrize("name", [*FUSED, "empty"])
def bench_call(benchmark: BenchmarkFixture, name: str, what: str) -> None:
    """One stroke on a canvas of 16 x 16: what a call costs beside painting."""
    note(benchmark, "call", CALL, what, backend=name)
    run = function({**IMPLEMENTATIONS, "empty": empty}[name], CALL, what)
    benchmark.pedantic(run, rounds=50, iterations=1 if benchmark.disabled else 100, warmup_rounds=3)


@pytest.fixture(autouse=True, scope="module")
def parity() -> None:
    """No time is worth anything if the picture, or a gradient, is wrong."""
    strokes, background = Case(100, 128).scene()
    grad = torch.linspace(-1, 1, background.numel()).reshape(background.shape)
    tolerance = TOLERANCES[torch.float32, "brush"]

    def run(implementation: Paint, dtype: torch.dtype) -> tuple[Tensor, dict[str, Tensor]]:
        leaf = strokes.to(dtype).detach().requires_grad_()
        image = implementation(leaf, background.to(dtype))
        gradients = torch.autograd.grad(image, list(leaf.fields().values()), grad.to(dtype))
        return image.detach(), dict(zip(leaf.fields(), gradients, strict=True))

    image, gradients = run(IMPLEMENTATIONS["reference"], torch.float64)
    for implementation in IMPLEMENTATIONS.values():
        painted, found = run(implementation, torch.float32)
        assert_image_close(painted, image, tolerance)
        for name, gradient in found.items():
            assert_gradient_close(gradient, gradients[name], tolerance, name)
