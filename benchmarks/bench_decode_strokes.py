"""`decode_strokes`: a painter's vectors made into strokes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from neural_paint import backends, decode_strokes
from neural_paint.stroke_vectors import KINDS

VECTORS, SIZE = 10_000, (512, 512)
BACKENDS = backends.available("cpu", "decode_strokes")[:2]
TIMED = ("mypaint", "learning_to_paint")


def fields(vectors: Tensor, kind: str, backend: str) -> list[Tensor]:
    return list(decode_strokes(vectors, kind, SIZE, backend=backend).fields().values())


def function(vectors: Tensor, kind: str, backend: str, what: str) -> Callable[[], object]:
    """What is to be timed; each field has a gradient of its own."""
    if what == "forward":
        return lambda: fields(vectors, kind, backend)
    vectors.requires_grad_()
    grads = [torch.rand_like(field) for field in fields(vectors, kind, backend)]
    return lambda: torch.autograd.grad(fields(vectors, kind, backend), vectors, grads)


@pytest.mark.parametrize("what", ["forward", "forward and backward"])
@pytest.mark.parametrize("kind", TIMED)
@pytest.mark.parametrize("backend", BACKENDS)
def bench_decode_strokes(benchmark: BenchmarkFixture, peak_memory: Any, backend: str, kind: str, what: str) -> None:
    vectors = torch.rand(1, 100 if benchmark.disabled else VECTORS, KINDS[kind].entries)
    benchmark.group = f"vectors: {what}, {VECTORS:,} of {kind}"
    case = f"{VECTORS:,} {kind} vectors"
    benchmark.extra_info.update({"table": "vectors", "case": case, "pass": what, "backend": backend})
    run = function(vectors, kind, backend, what)
    benchmark.pedantic(run, rounds=50, warmup_rounds=5)
    benchmark.extra_info["peak_mib"] = peak_memory(run)


@pytest.fixture(autouse=True, scope="module")
def parity() -> None:
    """No time is worth anything if a field, or a gradient, is wrong."""
    for kind in TIMED:
        vectors = torch.rand(2, 50, KINDS[kind].entries)
        found = []
        for backend in BACKENDS:
            inputs = (vectors if backend != "reference" else vectors.double()).requires_grad_()
            outputs = fields(inputs, kind, backend)
            total = sum((field * field.detach()).sum() for field in outputs)
            found.append([*outputs, *torch.autograd.grad(total, inputs)])  # type: ignore[arg-type]
        for actual, expected in zip(*found, strict=True):
            torch.testing.assert_close(actual.double(), expected.double(), rtol=1e-4, atol=1e-4 * max(SIZE))
