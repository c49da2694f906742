"""`paint` on a GPU: what its kernels take, how far ahead it is of what strokes are painted with otherwise, and what a
call costs the host.

"replayed" is the GPU's time alone: calls captured in a CUDA graph. "called" is what Python sees, call after call. An
opponent that waits for the GPU in the middle of a call cannot be captured, so it stands next to `paint` as it is called
too. Nothing is flushed from the caches between calls, as nothing is between the steps of an optimisation.

The rows that are worth most come first: a run may be stopped before its end.
"""

from __future__ import annotations

import math
from functools import cache, partial

import plain_torch
import pytest
import torch
from cases import CALL, SCENE_OF_RECORD, SHARES, Case, Paint, assert_parity, empty, function, note
from gpu_time import EventClock, called, replayed
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from neural_paint import Strokes, backends, paint

pytest.importorskip("triton")
import gaussians

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

FUSED = [name for name in backends.available("cuda") if name != "reference"]
CASES = [
    *SHARES,
    Case(100_000, 4096, 4096, length=170.0, radius=15.0),
    # The load on which Bezier Splatting (NeurIPS 2025) publishes 4.5 and 4.7 ms on an RTX 4090.
    Case(2048, 2040, 1344, length=172.0, radius=4.0),
]
ROUNDS = 20
PASSES = ["forward", "backward"]
TIMED = {"replayed": replayed, "called": called}
# Scene, implementation and how it is timed. Plain PyTorch would take minutes on more than the scene of record.
FASTEST, *OTHERS = FUSED
FASTEST_ROWS = [(case, FASTEST, timed) for timed in TIMED for case in CASES]
OTHER_ROWS = [
    *((case, name, "replayed") for name in OTHERS for case in CASES),
    *((case, "gaussians", "called") for case in CASES),
    (SCENE_OF_RECORD, "plain", "called"),
]
CLOCK = EventClock()


def implementation(name: str, case: Case) -> Paint:
    if name == "gaussians":
        # One radius apart: the fewest with which a stroke is even.
        return partial(gaussians.paint, samples=math.ceil(case.length / case.radius) + 1)
    return plain if name == "plain" else empty if name == "empty" else partial(paint, backend=name)


def plain(strokes: Strokes, background: Tensor) -> Tensor:
    return plain_torch.paint(strokes, background, chunk=fastest_chunk())


@cache
def fastest_chunk() -> int:
    """Of the scene of record: small chunks launch many kernels, large ones do not fit into the cache."""

    def seconds(chunk: int) -> float:
        run = function(partial(plain_torch.paint, chunk=chunk), SCENE_OF_RECORD, "forward", "cuda")
        run()
        clock = EventClock()
        begun = clock()
        run()
        return clock() - begun

    return min((8, 16, 32, 64), key=seconds)


@cache
def fault(name: str) -> str | None:
    """What is wrong with a backend, so that only its own rows fail."""
    try:
        assert_parity([partial(paint, backend=name)], "cuda")
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


@pytest.fixture(autouse=True)
def parity(name: str) -> None:
    if name in FUSED and (message := fault(name)):
        pytest.fail(message)


def time_pass(benchmark: BenchmarkFixture, case: Case, name: str, timed: str, what: str) -> None:
    run = TIMED[timed](partial(function, implementation(name, case), case, what, "cuda"), CLOCK)
    note(benchmark, "gpu", case, what, backend=name, timed=timed)
    benchmark.pedantic(run, rounds=ROUNDS, warmup_rounds=2)


@pytest.mark.benchmark(timer=CLOCK)
@pytest.mark.parametrize("what", PASSES)
@pytest.mark.parametrize(("case", "name", "timed"), FASTEST_ROWS, ids=str)
def bench_fastest(benchmark: BenchmarkFixture, case: Case, name: str, timed: str, what: str) -> None:
    """Each pass alone, of the backend that is preferred."""
    time_pass(benchmark, case, name, timed, what)


@pytest.mark.parametrize("what", ["forward", "forward and backward"])
@pytest.mark.parametrize("name", [FASTEST, "empty", *OTHERS])
def bench_host(benchmark: BenchmarkFixture, name: str, what: str) -> None:
    """One stroke on a canvas of 16 x 16: how long the host is kept, which goes on before the GPU has painted it."""
    run = function(implementation(name, CALL), CALL, what, "cuda")
    note(benchmark, "host", CALL, what, backend=name)
    iterations = 1 if benchmark.disabled else 100
    benchmark.pedantic(run, rounds=50, iterations=iterations, warmup_rounds=3, teardown=torch.cuda.synchronize)


@pytest.mark.benchmark(timer=CLOCK)
@pytest.mark.parametrize("what", PASSES)
@pytest.mark.parametrize(("case", "name", "timed"), OTHER_ROWS, ids=str)
def bench_others(benchmark: BenchmarkFixture, case: Case, name: str, timed: str, what: str) -> None:
    """Each pass alone, of the other backends and of the opponents, the slowest last."""
    time_pass(benchmark, case, name, timed, what)
