"""`paint`, a table for each question: how near to the machine's limit it comes, how far ahead of plain PyTorch, whether
its time is linear in the strokes, and what a call costs that has nothing to do."""

from __future__ import annotations

from functools import partial
from typing import Any

import plain_torch
import pytest
from cases import CALL, SCENE_OF_RECORD, SHARES, Case, Paint, assert_parity, empty, function, note
from pytest_benchmark.fixture import BenchmarkFixture

from neural_paint import backends, paint

FUSED = [name for name in backends.available("cpu") if name != "reference"]

# "plain" is the opponent, at the best of the chunks 1, 2, 3, 4, 6, 8, 16, 48.
IMPLEMENTATIONS: dict[str, Paint] = {
    **{backend: partial(paint, backend=backend) for backend in backends.available("cpu")},
    "plain": partial(plain_torch.paint, chunk=4),
}
STROKES = [Case(1000, 2048, 2048), Case(10_000, 2048, 2048), Case(100_000, 2048, 2048)]
# For a run that only shows that the benchmarks work: minutes go by with plain PyTorch on more.
SMALL = Case(20, 64, 64)


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


@pytest.mark.parametrize("what", ["forward", "forward and backward"])
@pytest.mark.parametrize("name", [*FUSED, "empty"])
def bench_call(benchmark: BenchmarkFixture, name: str, what: str) -> None:
    """One stroke on a canvas of 16 x 16: what a call costs beside painting."""
    note(benchmark, "call", CALL, what, backend=name)
    run = function({**IMPLEMENTATIONS, "empty": empty}[name], CALL, what)
    benchmark.pedantic(run, rounds=50, iterations=1 if benchmark.disabled else 100, warmup_rounds=3)


@pytest.fixture(autouse=True, scope="module")
def parity() -> None:
    assert_parity(IMPLEMENTATIONS.values())
