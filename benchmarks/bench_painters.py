"""Neural painters: strokes a second, and gradients of their actions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from neural_paint.painters import DabPainter, GANPainter, NeuralPainter, NPXPainter, VAEPainter

STROKES = 256
PAINTERS: dict[str, Callable[[], NeuralPainter]] = {
    "dab": DabPainter,
    "VAE": VAEPainter,
    "GAN": GANPainter,
    "NPX": NPXPainter,
}


@pytest.mark.parametrize("what", ["forward", "forward and backward"])
@pytest.mark.parametrize("name", PAINTERS)
def bench_painter(benchmark: BenchmarkFixture, name: str, what: str) -> None:
    painter = PAINTERS[name]().freeze()
    actions = torch.rand(STROKES, 12, generator=torch.Generator().manual_seed(0)).requires_grad_(what != "forward")

    def step() -> torch.Tensor:
        strokes = painter(actions, chunk=64)
        return torch.autograd.grad(strokes.sum(), actions)[0] if actions.requires_grad else strokes

    benchmark.group = f"neural painters, {what}"
    benchmark.extra_info.update(
        {"table": "painters", "case": f"{STROKES} strokes of 64x64", "pass": what, "backend": name, "strokes": STROKES}
    )
    result = benchmark.pedantic(step, rounds=7, warmup_rounds=1)
    assert result.isfinite().all() and result.std() > 0
