"""The photograph painter on a GPU: 1,000 strokes on 512 x 512 pixels in 300 steps, as a command and as a task."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cases import SCENE_OF_RECORD, note
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture

from neural_paint.io import demo_photo, load_image
from neural_paint.tasks import reconstruct

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

CASE = SCENE_OF_RECORD
STEPS = 300


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """The photograph that comes with the library, in the size of the scene."""
    path = tmp_path / "photo.png"
    with Image.open(demo_photo()) as image:
        image.resize((CASE.width, CASE.height)).save(path)
    return path


def bench_command(benchmark: BenchmarkFixture, photo: Path) -> None:
    """A process of its own: with importing torch, starting CUDA and writing the painting."""
    budget = f"--strokes {CASE.strokes} --steps {STEPS} --device cuda".split()
    command = [sys.executable, "-m", "neural_paint", "paint", photo, "-o", photo.with_name("painting.png"), *budget]
    note(benchmark, "painter", CASE, "the whole command", backend="cpp", steps=STEPS)
    benchmark.pedantic(subprocess.run, args=(command,), kwargs={"check": True}, rounds=3, warmup_rounds=1)


def bench_task(benchmark: BenchmarkFixture, photo: Path) -> None:
    """The optimisation alone, in a process that has painted before."""
    image = load_image(photo).to("cuda")

    def run() -> None:
        for _ in reconstruct(image, CASE.strokes, steps=STEPS):
            pass
        torch.cuda.synchronize()

    note(benchmark, "painter", CASE, "the optimisation alone", backend="cpp", steps=STEPS)
    benchmark.pedantic(run, rounds=3, warmup_rounds=1)
