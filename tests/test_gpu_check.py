"""What is run where there is a GPU, as far as it can be without: it tells all that is wrong, and keeps what it has."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import gpu_program
import pytest
import torch
from torch import Tensor

from neural_paint import Strokes, paint

BENCHMARKS = Path(gpu_program.__file__).parent


def test_the_scenes_are_such_as_single_precision_can_paint(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_program.main(["--device", "cpu", "--checks", "scenes", "patches"]) == 0, capsys.readouterr().out


def test_every_fault_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(strokes: Strokes, background: Tensor, **options: Any) -> Tensor:
        if strokes.num_strokes == 3:
            raise RuntimeError("no such thing")
        return paint(strokes, background, **options) * (1.1 if strokes.dtype == torch.float32 else 1)

    names = ("quadratics", "one pixel", "many", "threshold")
    monkeypatch.setattr(gpu_program, "SCENES", {name: gpu_program.SCENES[name] for name in names})
    monkeypatch.setattr(gpu_program, "paint", wrong)
    assert gpu_program.main(["--device", "cpu", "--checks", "scenes", "graph"]) == 1
    told = capsys.readouterr().out
    assert "one pixel: no such thing" in told and "graph: pass" in told and "threshold" not in told
    for name in ("quadratics", "many"):
        assert f"{name}, image: " in told and f"{name}, points: d_points off by " in told


def test_nothing_is_asked_of_a_device_that_is_lost(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object, **__: object) -> None:
        raise RuntimeError("an illegal memory access")

    monkeypatch.setattr(gpu_program, "paint", lost)
    monkeypatch.setattr(gpu_program, "usable", lambda device: False)
    assert gpu_program.main(["--device", "cpu"]) == 1
    told = capsys.readouterr().out
    assert told.count("an illegal memory access") == 1 and "graph" not in told


STOPPED = """
import os, signal, time

def bench_first(benchmark):
    benchmark.pedantic(lambda: os.kill(os.getpid(), signal.SIGTERM), rounds=2)

def bench_second(benchmark):
    benchmark(time.time)
"""


def test_benchmarks_that_are_stopped_keep_their_results(tmp_path: Path) -> None:
    shutil.copy(BENCHMARKS / "conftest.py", tmp_path)
    (tmp_path / "bench_stopped.py").write_text(STOPPED, encoding="utf-8")
    names = ("-o", "python_files=bench_*.py", "-o", "python_functions=bench_*")
    command = [sys.executable, "-m", "pytest", *names, "--benchmark-json", tmp_path / "a.json", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "out of time" in done.stdout, done.stdout
    results = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert [benchmark["name"] for benchmark in results["benchmarks"]] == ["bench_first"]
