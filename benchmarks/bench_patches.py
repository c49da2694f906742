"""`composite_patches`: the stitched canvas of a neural painter next to the published loop, and stamps of a brush."""

from __future__ import annotations

from typing import Any

import pytest
import stitched_loop
import torch
from patch_cases import SMALL, STAMPS, STITCHED, Stamps, Stitched, assert_parity, function, implementation
from pytest_benchmark.fixture import BenchmarkFixture

from neural_paint import backends
from neural_paint.painters import GANPainter, NeuralCanvas

FUSED = [name for name in backends.available("cpu", "composite_patches") if name != "reference"]
ROWS: list[tuple[Stitched | Stamps, str]] = [
    *((case, name) for case in (STITCHED, STAMPS) for name in FUSED),
    (STITCHED, "loop"),
]


@pytest.mark.parametrize("what", ["forward", "forward and backward"])
@pytest.mark.parametrize(("case", "name"), ROWS, ids=str)
def bench_patches(benchmark: BenchmarkFixture, peak_memory: Any, case: Stitched | Stamps, name: str, what: str) -> None:
    """Patches given: the whole canvas, once. The loop's one round takes long enough for its memory to be taken with
    it."""
    slow = name not in FUSED
    run = function(implementation(name), (SMALL if slow and benchmark.disabled else case).scene(), what)
    benchmark.group = f"patches: {what}, {case}"
    benchmark.extra_info.update({"table": "patches", "case": str(case), "pass": what, "backend": name})
    if slow:
        benchmark.extra_info["peak_mib"] = benchmark.pedantic(peak_memory, args=(run,), rounds=1)
    else:
        benchmark.pedantic(run, rounds=30, warmup_rounds=3)
        benchmark.extra_info["peak_mib"] = peak_memory(run)


@pytest.mark.parametrize("name", ["cpp", "decoder", "loop"])
def bench_neural_canvas(benchmark: BenchmarkFixture, peak_memory: Any, name: str) -> None:
    """A step of an optimisation, forward and backward to the actions, with a GAN painter: in two calls, in the
    published loop, and what of it is the painter's network."""
    case = SMALL if name == "loop" and benchmark.disabled else STITCHED
    painter = GANPainter().freeze()
    actions = torch.rand(1, case.grid.num_strokes, 12, requires_grad=True)
    canvas = NeuralCanvas(painter, case.grid)
    paint = {"cpp": canvas, "decoder": painter, "loop": lambda x: stitched_loop.paint(painter, x, case.grid)}[name]

    def step() -> object:
        return torch.autograd.grad(paint(actions).sum(), actions)

    benchmark.group = f"neural canvas: {case}"
    extra = {"table": "neural canvas", "case": str(case), "pass": "forward and backward", "backend": name}
    benchmark.extra_info.update(extra)
    if name == "loop":
        benchmark.extra_info["peak_mib"] = benchmark.pedantic(peak_memory, args=(step,), rounds=1)
    else:
        benchmark.pedantic(step, rounds=5, warmup_rounds=1)
        benchmark.extra_info["peak_mib"] = None if benchmark.disabled else peak_memory(step)


@pytest.fixture(autouse=True, scope="module")
def parity() -> None:
    assert_parity([*FUSED, "loop"], SMALL)
