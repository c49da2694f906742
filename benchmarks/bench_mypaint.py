"""Strokes a second of the real MyPaint, on one thread and on all cores."""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from neural_paint import mypaint
from neural_paint.mypaint.canvas import usable_cores

STROKES = 2000


@pytest.mark.skipif(not mypaint.available(), reason="libmypaint is not installed")
@pytest.mark.parametrize("threads", sorted({1, usable_cores()}))
def bench_mypaint(benchmark: BenchmarkFixture, threads: int) -> None:
    actions = np.random.default_rng(0).random((STROKES, 12))
    benchmark.group = "the real MyPaint"
    case, name = f"{STROKES:,} strokes of 64x64", f"libmypaint, {threads} thread{'s' * (threads > 1)}"
    benchmark.extra_info.update(
        {"table": "mypaint", "case": case, "pass": "forward", "backend": name, "strokes": STROKES}
    )
    images = benchmark.pedantic(lambda: mypaint.paint_actions(actions, threads=threads), rounds=5, warmup_rounds=1)
    # No time is worth anything if nothing was painted.
    assert (images < 255).any((1, 2, 3)).mean() > 0.99
