"""`paint` on the scene of record and its kin: every backend that can run here, plain batched PyTorch among them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from neural_paint import Strokes, backends, paint
from neural_paint.testing import TOLERANCES, assert_image_close, brush_strokes, scene_of_record

# The order of magnitude apart, too much for statistics: one round is enough of plain PyTorch.
ROUNDS = {"reference": 1}

CASES: dict[str, dict[str, int]] = {
    "512x512, 1,000 strokes": {"strokes": 1000, "size": 512},
    "16x16, 1 stroke": {"strokes": 1, "size": 16},
}
LARGE_CASES: dict[str, dict[str, int]] = {
    "64 x 128x128, 200 strokes": {"strokes": 200, "size": 128, "batch": 64},
    "512x512, 10,000 strokes": {"strokes": 10_000, "size": 512},
    "2048x2048, 10,000 strokes": {"strokes": 10_000, "size": 2048},
}


def cases() -> list[Any]:
    everywhere = [(case, backend) for case in CASES for backend in backends.available("cpu")]
    # Plain PyTorch takes minutes on these.
    fused = [(case, backend) for case in LARGE_CASES for backend in backends.available("cpu") if backend != "reference"]
    return [pytest.param(case, backend, id=f"{case}, {backend}") for case, backend in everywhere + fused]


def run(benchmark: BenchmarkFixture, case: str, backend: str, function: Callable[[], object]) -> None:
    rounds = ROUNDS.get(backend, 20)
    benchmark.pedantic(function, rounds=rounds, warmup_rounds=min(rounds - 1, 2))
    benchmark.extra_info.update(case=case, backend=backend, threads=torch.get_num_threads(), torch=torch.__version__)


def scene(case: str) -> tuple[Strokes, Tensor]:
    strokes, background = scene_of_record(**{**CASES, **LARGE_CASES}[case])
    return strokes, background


@pytest.mark.parametrize(("case", "backend"), cases())
def bench_forward(benchmark: BenchmarkFixture, peak_memory: Any, case: str, backend: str) -> None:
    strokes, background = scene(case)
    benchmark.group = f"forward: {case}"
    run(benchmark, case, backend, lambda: paint(strokes, background, backend=backend))
    benchmark.extra_info["peak_mib"] = peak_memory(lambda: paint(strokes, background, backend=backend))


@pytest.mark.parametrize(("case", "backend"), cases())
def bench_forward_backward(benchmark: BenchmarkFixture, peak_memory: Any, case: str, backend: str) -> None:
    strokes, background = scene(case)
    strokes.requires_grad_()
    grad = torch.rand_like(background)

    def step() -> None:
        paint(strokes, background, backend=backend).backward(grad)

    benchmark.group = f"forward and backward: {case}"
    run(benchmark, case, backend, step)
    benchmark.extra_info["peak_mib"] = peak_memory(step)


@pytest.mark.parametrize("backend", [name for name in backends.available("cpu") if name != "reference"])
def bench_backward(benchmark: BenchmarkFixture, backend: str) -> None:
    """The backward pass alone, on the scene of record."""
    strokes, background = scene_of_record()
    strokes.requires_grad_()
    image = paint(strokes, background, backend=backend)
    grad = torch.rand_like(image)
    benchmark.group = "backward: 512x512, 1,000 strokes"
    run(benchmark, "512x512, 1,000 strokes", backend, lambda: image.backward(grad, retain_graph=True))


@pytest.fixture(autouse=True, scope="module")
def parity() -> None:
    """No time is worth anything if the picture is wrong."""
    strokes = brush_strokes(strokes=100, height=128, width=128, opacity_ends=2)
    background = torch.ones(1, 3, 128, 128)
    expected = paint(strokes.double(), background.double(), backend="reference")
    for backend in backends.available("cpu"):
        assert_image_close(paint(strokes, background, backend=backend), expected, TOLERANCES[torch.float32, "brush"])
