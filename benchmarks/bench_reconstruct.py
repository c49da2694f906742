"""The photograph painter on six photographs: what it reaches in a given time, and how long it takes to start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from matplotlib.cbook import get_sample_data
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.integrate import trapezoid
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from neural_paint import ActionStrokes, mypaint
from neural_paint.action_strokes import AnyStrokes
from neural_paint.brushes import BitmapBrush
from neural_paint.io import load_strokes, save_strokes
from neural_paint.painters import NeuralPainter
from neural_paint.tasks import Step, reconstruct
from neural_paint.tasks.lay import lay

SIDE = 256
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "hubble_deep_field", "grace_hopper")
# In place of a brush, the neural painter that comes with the program.
NEURAL = "neural"
# Enough to run all the code once.
UNTIMED_STEPS = 3
# Shortest prefix that is scored.
FIRST_PREFIX = 16

START = """
import torch
from neural_paint.tasks import reconstruct
list(reconstruct(torch.rand(1, 3, 256, 256), 250, steps=1))
"""


class Budget(NamedTuple):
    strokes: int
    seconds: float
    brush: str | BitmapBrush = "round"


def pointed_tip() -> BitmapBrush:
    """A bitmap of 128 x 48 texels: hard edges, pointed at one end."""
    across, along = torch.linspace(-1, 1, 48)[:, None], torch.linspace(0, 1, 128)
    return BitmapBrush(((1 - along**2).sqrt() - across.abs()).mul(12).clamp(0, 1)[None])


BUDGETS = {
    "250 strokes in 5 s": Budget(250, 5),
    "1,000 strokes in 20 s": Budget(1000, 20),
    "1,000 strokes of the dry brush in 20 s": Budget(1000, 20, "dry"),
    "1,000 stamps of a bitmap brush in 20 s": Budget(1000, 20, pointed_tip()),
    "500 strokes of the neural painter in 20 s": Budget(500, 20, NEURAL),
}


def photograph(name: str) -> np.ndarray:
    """The square in the middle of a photograph: (256, 256, 3) uint8, every pixel the mean of its area."""
    if name == "grace_hopper":
        image = Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False))
    else:
        image = Image.fromarray(getattr(data, name)())
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX, box=box))


def tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None] / 255


def pixels(strokes: AnyStrokes, background: Tensor, painter: NeuralPainter | None) -> np.ndarray:
    """(256, 256, 3) uint8."""
    image = lay(strokes, background[0, :, None, None].expand(1, -1, SIDE, SIDE), painter)[0]
    return (image.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()


def mypaint_pixels(strokes: ActionStrokes, background: Tensor) -> np.ndarray:
    """(256, 256, 3) uint8 of the real MyPaint."""
    canvas = mypaint.Canvas((SIDE, SIDE), mode="jump", background=background[0].tolist())
    canvas.draw(strokes.actions[0].double().numpy(), strokes.place[0].double().numpy())
    return canvas.image()


def scores(step: Step, photo: np.ndarray, path: Path, painter: NeuralPainter | None) -> dict[str, float]:
    """What the painting is worth, made anew from the saved strokes and rounded to 8 bits."""
    save_strokes(path, step.strokes, canvas=(SIDE, SIDE), background=step.background[0].tolist())
    file = load_strokes(path)
    strokes, background = file.strokes, torch.tensor([file.background])

    def psnr(count: int) -> float:
        return float(peak_signal_noise_ratio(photo, pixels(strokes[:, :count], background, painter)))

    # The mean over the logarithm of the length, by the trapezoidal rule.
    lengths = np.geomspace(FIRST_PREFIX, strokes.num_strokes, 9).round().astype(int)
    octaves = np.log2(lengths)
    prefixes = trapezoid([psnr(int(count)) for count in lengths], octaves) / (octaves[-1] - octaves[0])
    painting = pixels(strokes, background, painter)
    real = {}
    if isinstance(strokes, ActionStrokes) and mypaint.available():
        real["mypaint_psnr"] = round(float(peak_signal_noise_ratio(photo, mypaint_pixels(strokes, background))), 2)
    return {
        "flat_psnr": round(psnr(0), 2),
        "prefix_psnr": round(float(prefixes), 2),
        "psnr": round(psnr(strokes.num_strokes), 2),
        "ssim": round(float(structural_similarity(photo, painting, channel_axis=2)), 3),
        **real,
    }


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize("budget", BUDGETS)
def bench_reconstruct(benchmark: BenchmarkFixture, tmp_path: Path, budget: str, name: str) -> None:
    strokes, seconds, brush = BUDGETS[budget]
    photo = photograph(name)
    painter = NeuralPainter.pretrained() if brush == NEURAL else None

    def run(**limit: float) -> Step:
        *_, step = reconstruct(tensor(photo), strokes, brush=painter or brush, **limit)
        return step

    run(steps=UNTIMED_STEPS)
    limit = {"steps": UNTIMED_STEPS} if benchmark.disabled else {"seconds": seconds}
    benchmark.group = f"painter: {SIDE}x{SIDE}, {budget}"
    step = benchmark.pedantic(run, kwargs=limit, rounds=1)
    benchmark.extra_info.update(
        case=name,
        steps=step.index + 1,
        **scores(step, photo, tmp_path / "strokes.safetensors", painter),
    )


def bench_batch(benchmark: BenchmarkFixture) -> None:
    """All photographs in one run: as good as one by one, at their throughput."""
    photos = torch.cat([tensor(photograph(name)) for name in PHOTOGRAPHS])

    def run(steps: int) -> Step:
        *_, step = reconstruct(photos, 250, steps=steps)
        return step

    run(UNTIMED_STEPS)
    steps = UNTIMED_STEPS if benchmark.disabled else 300
    benchmark.group = f"painter: {SIDE}x{SIDE}, 250 strokes, 300 steps"
    step = benchmark.pedantic(run, args=(steps,), rounds=1)
    benchmark.extra_info.update(
        case=f"all {len(PHOTOGRAPHS)} in one batch",
        steps=steps,
        psnr=round(step.psnr, 2),
    )


def bench_start(benchmark: BenchmarkFixture) -> None:
    """A new process: importing torch and the library, and a first step of 250 strokes."""
    rounds = 1 if benchmark.disabled else 3
    benchmark.group = "painter: start"
    benchmark.pedantic(subprocess.run, args=([sys.executable, "-c", START],), kwargs={"check": True}, rounds=rounds)
    benchmark.extra_info.update(case="start")
