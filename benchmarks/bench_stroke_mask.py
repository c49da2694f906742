"""`stroke_mask` of a decoder's output: sigmoid, channel mean, maximum and mask in one, next to plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from neural_paint import backends, stroke_mask
from neural_paint.testing import TOLERANCES, assert_gradient_close, assert_image_close

BACKENDS = [name for name in backends.available("cpu", "stroke_mask") if name != "triton"]
# The strokes of a stitched canvas with 8 x 8 blocks of 5.
STROKES, SIZE = 320, 64
Mask = Callable[[Tensor], Tensor]


def decoded(strokes: int) -> Tensor:
    """Logits in channels-last memory, as painters on the CPU leave them: mostly paper, and ink in a tenth of it."""
    random = torch.Generator().manual_seed(0)
    logits = 6 + torch.randn(strokes, 3, SIZE, SIZE, generator=random)
    ink = torch.rand(strokes, 1, SIZE, SIZE, generator=random) < 0.1
    return torch.where(ink, logits - 8, logits).to(memory_format=torch.channels_last)


def implementation(name: str) -> Mask:
    return partial(stroke_mask, logits=True, backend=name)


def function(mask: Mask, what: str) -> Callable[[], object]:
    logits = decoded(STROKES)
    if what == "forward":
        return lambda: mask(logits)
    grad = torch.rand(STROKES, SIZE, SIZE)
    logits.requires_grad_()
    return lambda: torch.autograd.grad(mask(logits), logits, grad)


@pytest.mark.parametrize("what", ["forward", "forward and backward"])
@pytest.mark.parametrize("name", BACKENDS)
def bench_stroke_mask(benchmark: BenchmarkFixture, peak_memory: Any, name: str, what: str) -> None:
    run = function(implementation(name), what)
    case = f"{STROKES} strokes of {SIZE}x{SIZE}"
    benchmark.group = f"stroke mask: {what}, {case}"
    benchmark.extra_info.update({"table": "stroke mask", "case": case, "pass": what, "backend": name})
    benchmark.pedantic(run, rounds=30, warmup_rounds=3)
    benchmark.extra_info["peak_mib"] = peak_memory(run)


@pytest.fixture(autouse=True, scope="module")
def parity() -> None:
    """No time is worth anything if the mask, or its gradient, is wrong."""
    tolerance = TOLERANCES[torch.float32, "brush"]
    grad = torch.linspace(-1, 1, 2 * SIZE * SIZE).view(2, SIZE, SIZE)

    def run(mask: Mask, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        logits = decoded(2).to(dtype).requires_grad_()
        alpha = mask(logits)
        (gradient,) = torch.autograd.grad(alpha, logits, grad.to(dtype))
        return alpha.detach(), gradient

    alpha, gradient = run(implementation("reference"), torch.float64)
    for name in BACKENDS:
        found, found_gradient = run(implementation(name), torch.float32)
        assert_image_close(found, alpha, tolerance)
        assert_gradient_close(found_gradient, gradient, tolerance, name)
