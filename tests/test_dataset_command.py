"""`neural-paint dataset`: what it writes, that a run ended in any way goes on to the same bits, what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import fails, run

from neural_paint import mypaint, progress
from neural_paint.mypaint import library
from neural_paint.mypaint.dataset import Recipe
from neural_paint.painters import StrokeData

needs_mypaint = pytest.mark.skipif(not mypaint.available(), reason="MyPaint is not installed")


@pytest.fixture
def brush(tmp_path: Path) -> str:
    path = tmp_path / "brush.myb"
    path.write_text("{}")
    return str(path)


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@needs_mypaint
def test_writes_what_mypaint_paints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "strokes"
    options = ("--strokes", 50, "--shard", 20, "--seed", 4, "--brush", "classic/charcoal")
    status, out, _ = run(capsys, "dataset", "-o", folder, *options)
    assert status == 0 and out.startswith(f"{folder}: 50 strokes of classic/charcoal, 3 x 20, ")
    assert sorted(os.listdir(folder)) == ["dataset.json", *(f"episodes_{shard}.npz" for shard in range(3))]
    for shard, count in enumerate((20, 20, 10)):
        # As the loaders of the original read it.
        arrays = np.load(folder / f"episodes_{shard}.npz", allow_pickle=False)
        assert sorted(arrays) == ["actions", "strokes"]
        actions, strokes = arrays["actions"], arrays["strokes"]
        assert (actions.dtype, actions.shape) == (np.float64, (count, 12))
        assert (strokes.dtype, strokes.shape) == (np.uint8, (count, 64, 64, 3))
        assert actions.min() >= 0 and actions.max() < 1 and len(np.unique(actions)) == actions.size
        assert (strokes == mypaint.paint_actions(actions, "classic/charcoal")).all()
        assert (strokes == 255).any(axis=(1, 2, 3)).all() and strokes.min() < 200
    manifest = json.loads((folder / "dataset.json").read_text())
    assert (manifest["brush"], manifest["strokes"], manifest["seed"]) == ("classic/charcoal", 50, 4)
    status, out, err = run(capsys, "dataset", "-o", folder, *options)
    assert (status, out, err) == (0, f"{folder}: complete already, 50 strokes of classic/charcoal, 3 x 20\n", "")


@needs_mypaint
def test_stroke_data_reads_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "dataset", "-o", tmp_path, "--strokes", 40, "--shard", 30)[0] == 0
    data = StrokeData(tmp_path, "all")
    ((actions, strokes),) = data.once(100)
    expected = np.concatenate([Recipe(40, shard=30).actions(shard) for shard in range(2)])
    assert torch.equal(actions, torch.from_numpy(expected).float())
    assert torch.equal(strokes, torch.from_numpy(mypaint.paint_actions(expected)).permute(0, 3, 1, 2))
    assert data.duplicates == 0


def _start(folder: Path) -> subprocess.Popen[str]:
    """A run that has finished a file and is at another one."""
    command = [
        sys.executable,
        "-m",
        "neural_paint",
        "dataset",
        "-o",
        str(folder),
        "--strokes",
        "3000",
        "--shard",
        "400",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not ((folder / "episodes_0.npz").exists() and list(folder.glob(".*.tmp"))):
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.01)
    return process


@needs_mypaint
def test_killed_it_goes_on_to_the_same_bits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = _start(tmp_path / "killed")
    process.kill()
    process.communicate()
    left = _files(tmp_path / "killed")
    assert 2 <= len([name for name in left if not name.startswith(".")]) < 9
    assert [name for name in left if name.startswith(".neural-paint-")]
    options = ("--strokes", 3000, "--shard", 400)
    for folder in (tmp_path / "killed", tmp_path / "whole"):
        assert run(capsys, "dataset", "-o", folder, *options)[0] == 0
    assert _files(tmp_path / "killed") == _files(tmp_path / "whole")
    assert {name: data for name, data in left.items() if not name.startswith(".")}.items() <= _files(
        tmp_path / "whole"
    ).items()


@needs_mypaint
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupts_keep_the_files_and_leave_no_other(tmp_path: Path, number: signal.Signals, status: int) -> None:
    process = _start(tmp_path / "a")
    process.send_signal(number)
    out, err = process.communicate()
    assert (process.returncode, out) == (status, "")
    said = err.splitlines()[-1]
    assert said == f"neural-paint: interrupted; the same command goes on after the last whole file in {tmp_path}/a"
    names = sorted(os.listdir(tmp_path / "a"))
    assert names[:2] == ["dataset.json", "episodes_0.npz"] and len(names) < 9
    assert all(name.startswith("episodes_") for name in names[1:])


@needs_mypaint
def test_progress_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_LINE_EVERY", 0)
    _, _, err = run(capsys, "dataset", "-o", tmp_path, "--strokes", 1100, "--shard", 600)
    lines = err.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["47%", "512", "strokes,"],
        ["55%", "600", "strokes,"],
        ["100%", "1,100", "strokes,"],
    ]
    assert all("strokes/s, " in line for line in lines)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "Missing option '--output' / '-o'"),
        (("-o", "a", "--strokes", 0), "'--strokes': must be in 1 .. 1,000,000,000, got 0"),
        (("-o", "a", "--shard", 300_001), "'--shard': must be in 1 .. 300,000, got 300001"),
        (("-o", "a", "--jobs", 0), "'--jobs': must be in 1 .. 1,024, got 0"),
        (("-o", "a", "--seed", -1), "'--seed': must be in 0 .. "),
        (("-o", "a", "--brush", "none.myb"), "there is no brush file none.myb"),
    ],
)
def test_bad_options(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[object, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in fails(capsys, "dataset", *options)
    assert list(tmp_path.iterdir()) == []


@needs_mypaint
def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    message = fails(capsys, "dataset", "-o", tmp_path / "file", "--strokes", 5)
    assert message == f"neural-paint: cannot write {tmp_path}/file: File exists\n"


def test_without_mypaint(
    tmp_path: Path, brush: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "NAMES", ("libmypaint-none.so",))
    message = fails(capsys, "dataset", "-o", tmp_path / "a", "--brush", brush)
    assert "libmypaint-1.5-1 and mypaint-brushes" in message
    assert not (tmp_path / "a").exists()
