"""The photograph painter on two photographs: time of a step, and what the steps are worth in decibels."""

from __future__ import annotations

import time

import pytest
import torch
import torch.nn.functional as F
from pytest_benchmark.fixture import BenchmarkFixture
from skimage import data
from torch import Tensor

from neural_paint.io import demo_photo, load_image
from neural_paint.tasks import Step, reconstruct

SIDE = 256
# Strokes and steps.
BUDGETS = {"250 strokes, 300 steps": (250, 300), "1,000 strokes, 600 steps": (1000, 600)}
# Enough to run all the code once.
STEPS_UNTIMED = 3


def photograph(name: str) -> Tensor:
    """The square in the middle of a photograph, (1, 3, 256, 256)."""
    if name == "chelsea":
        photo = load_image(demo_photo())
    else:
        photo = torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None] / 255
    height, width = photo.shape[2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = photo[:, :, top : top + side, left : left + side]
    return F.interpolate(square, (SIDE, SIDE), mode="area")


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("name", ["chelsea", "astronaut"])
def bench_reconstruct(benchmark: BenchmarkFixture, name: str, budget: str) -> None:
    strokes, steps = BUDGETS[budget]
    photo = photograph(name)

    def run(steps: int) -> Step:
        *_, step = reconstruct(photo, strokes, steps=steps)
        return step

    benchmark.group = f"painter: {SIDE}x{SIDE}, {budget}"
    if benchmark.disabled:
        steps = STEPS_UNTIMED
    else:
        run(STEPS_UNTIMED)
    begun = time.perf_counter()
    step = benchmark.pedantic(run, args=(steps,), rounds=1)
    benchmark.extra_info.update(
        case=f"{name}, {budget}",
        psnr=round(step.psnr, 2),
        step_ms=round((time.perf_counter() - begun) / steps * 1000, 2),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
    )
