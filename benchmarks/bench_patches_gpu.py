"""`composite_patches` on a GPU: what its kernels take, next to what patches are laid on a canvas with otherwise.

"replayed" is the GPU's time alone: calls captured in a CUDA graph. "called" is what Python sees, call after call; the
opponents read their maps back, so that they cannot be captured.
"""

from __future__ import annotations

from functools import cache

import pytest
import torch
from gpu_time import EventClock, called, replayed
from patch_cases import FEW, SMALL, STAMPS, STITCHED, Stamps, Stitched, assert_parity, function, implementation
from pytest_benchmark.fixture import BenchmarkFixture

from neural_paint import backends

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

FUSED = [name for name in backends.available("cuda", "composite_patches") if name != "reference"]
PASSES = ["forward", "backward"]
TIMED = {"replayed": replayed, "called": called}
CASES = (STAMPS, STITCHED)
ROWS: list[tuple[Stamps | Stitched, str, str, str]] = [
    *((case, name, timed, what) for name in FUSED for timed in TIMED for case in CASES for what in PASSES),
    *((STITCHED, "loop", "called", what) for what in PASSES),
    # The gradients of plain PyTorch take all the canvases in between: too much memory.
    (STAMPS, "reference", "called", "forward"),
]
CLOCK = EventClock()


@cache
def fault(name: str) -> str | None:
    """What is wrong with a backend, so that only its own rows fail."""
    try:
        assert_parity([name], SMALL, "cuda")
        if name != "loop":
            assert_parity([name], FEW, "cuda")
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


@pytest.mark.benchmark(timer=CLOCK)
@pytest.mark.parametrize(("case", "name", "timed", "what"), ROWS, ids=str)
def bench_patches(benchmark: BenchmarkFixture, case: Stamps | Stitched, name: str, timed: str, what: str) -> None:
    """Each pass alone."""
    if message := fault(name):
        pytest.fail(message)
    benchmark.group = f"gpu: {what}, {case}"
    benchmark.extra_info.update({"table": "gpu", "case": str(case), "pass": what, "backend": name, "timed": timed})
    run = TIMED[timed](lambda: function(implementation(name), case.scene("cuda"), what), CLOCK)
    rounds, warmup_rounds = (20, 2) if name in FUSED else (2, 0)
    benchmark.pedantic(run, rounds=rounds, warmup_rounds=warmup_rounds)
