"""`neural-paint dataset`: what it writes, that a run ended in any way goes on to the same bits, what it refuses."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import fails, run

from neural_paint import mypaint, progress
from neural_paint.io.npz import NpzWriter
from neural_paint.mypaint import dataset as making
from neural_paint.mypaint import library
from neural_paint.mypaint.dataset import Recipe, make_dataset
from neural_paint.painters import StrokeData

needs_mypaint = pytest.mark.skipif(not mypaint.available(), reason="MyPaint is not installed")


@pytest.fixture
def brush(tmp_path: Path) -> str:
    path = tmp_path / "brush.myb"
    path.write_text("{}")
    return str(path)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "_BLOCK", 16)


def fake_paint(actions: np.ndarray, brush: Path, *, threads: int) -> np.ndarray:
    """A white square with a line of the action's bytes."""
    assert brush.suffix == ".myb" and threads == 1
    strokes = np.full((len(actions), 64, 64, 3), 255, np.uint8)
    strokes[:, 9, :32] = np.ascontiguousarray(actions).view(np.uint8).reshape(-1, 32, 3)
    return strokes


def _make(folder: Path, recipe: Recipe, **options: Any) -> list[int]:
    return list(make_dataset(folder, recipe, **{"paint": fake_paint, **options}))


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


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("jobs", [1, 2, 7])
def test_files_do_not_depend_on_jobs(tmp_path: Path, brush: str, jobs: int) -> None:
    recipe = Recipe(100, brush, seed=3, shard=40)
    steps = _make(tmp_path / "a", recipe, jobs=jobs)
    assert steps == [0, 16, 32, 40, 56, 72, 80, 96, 100]
    _make(tmp_path / "b", recipe, jobs=3)
    assert _files(tmp_path / "a") == _files(tmp_path / "b")


def test_actions_are_a_function_of_seed_and_shard() -> None:
    """And stay what they were: a run goes on with those of a later version."""
    first = Recipe(100, shard=40, seed=5)
    assert (first.actions(0)[:7] == Recipe(7, seed=5).actions(0)).all()
    assert first.actions(2).shape == (20, 12)
    every = [recipe.actions(shard) for recipe in (first, Recipe(100, shard=40, seed=6)) for shard in range(3)]
    assert len(np.unique(np.concatenate(every))) == 200 * 12
    assert Recipe(1).actions(0)[0, :3].tolist() == [0.0, 0.0, 0.0]
    many = Recipe(100_000, shard=100_000).actions(0)
    assert np.allclose(many.mean(axis=0), 0.5, atol=0.005) and np.allclose(many.std(axis=0), 12**-0.5, atol=0.005)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("ended", range(1, 9))
def test_goes_on_after_the_last_whole_file(tmp_path: Path, brush: str, ended: int) -> None:
    recipe = Recipe(100, brush, shard=40)
    steps = make_dataset(tmp_path / "a", recipe, paint=fake_paint)
    seen = [next(steps) for _ in range(ended)]
    steps.close()
    whole = sum(done >= end for end in (40, 80) for done in seen[-1:])
    names = {"dataset.json", *(f"episodes_{shard}.npz" for shard in range(whole))}
    # A file appears when the step after its last block is asked for.
    assert {*os.listdir(tmp_path / "a")} in (names, names - {f"episodes_{whole - 1}.npz"})
    assert _make(tmp_path / "a", recipe)[-1] == 100
    _make(tmp_path / "b", recipe)
    assert _files(tmp_path / "a") == _files(tmp_path / "b")


@pytest.mark.usefixtures("small")
def test_full_disk_keeps_the_files_and_leaves_no_other(
    tmp_path: Path, brush: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish, finished = NpzWriter.finish, []

    def full(writer: NpzWriter) -> None:
        finished.append(writer)
        if len(finished) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finish(writer)

    monkeypatch.setattr(NpzWriter, "finish", full)
    recipe = Recipe(100, brush, shard=40)
    with pytest.raises(OSError, match=r"cannot write .*episodes_1.npz: No space left on device"):
        _make(tmp_path / "a", recipe)
    assert sorted(os.listdir(tmp_path / "a")) == ["dataset.json", "episodes_0.npz"]
    assert _make(tmp_path / "a", recipe)[0] == 40


@pytest.mark.usefixtures("small")
def test_an_error_of_the_program_leaves_no_unfinished_file(tmp_path: Path, brush: str) -> None:
    def broken(actions: np.ndarray, *arguments: Any, **options: Any) -> np.ndarray:
        if (actions[0] == Recipe(100, shard=40).actions(1)[16]).all():
            raise MemoryError("no memory for strokes")
        return fake_paint(actions, *arguments, **options)

    with pytest.raises(MemoryError):
        _make(tmp_path / "a", Recipe(100, brush, shard=40), paint=broken)
    assert sorted(os.listdir(tmp_path / "a")) == ["dataset.json", "episodes_0.npz"]


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


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "it holds another data set, its seed is 0, not 1"),
        ({"strokes": 101}, "it holds another data set, its strokes is 100, not 101"),
        ({"shard": 41}, "it holds another data set, its shard is 40, not 41"),
    ],
)
def test_refuses_a_folder_of_another_recipe(tmp_path: Path, brush: str, change: dict[str, int], message: str) -> None:
    recipe = {"strokes": 100, "brush": brush, "shard": 40}
    _make(tmp_path / "a", Recipe(**recipe))  # type: ignore[arg-type]
    before = _files(tmp_path / "a")
    with pytest.raises(ValueError) as error:
        _make(tmp_path / "a", Recipe(**{**recipe, **change}))  # type: ignore[arg-type]
    assert str(error.value) == f"cannot write {tmp_path}/a: {message}"
    assert _files(tmp_path / "a") == before


@pytest.mark.usefixtures("small")
def test_refuses_other_folders(tmp_path: Path, brush: str) -> None:
    folder, recipe = tmp_path / "a", Recipe(100, brush, shard=40)
    _make(folder, recipe)
    with pytest.raises(ValueError, match=r"its sample_sha256 is \w+, not \w+"):
        _make(folder, recipe, paint=lambda actions, *_, **__: fake_paint(1 - actions, Path(brush), threads=1))
    Path(brush).write_text("{ }")
    with pytest.raises(ValueError, match=r"its brush_sha256 is \w+, not \w+"):
        _make(folder, recipe)
    Path(brush).write_text("{}")
    (folder / "episodes_0.npz").rename(folder / "episodes_5.npz")
    with pytest.raises(ValueError, match=r"it holds episodes_5.npz, which is not of this data set"):
        _make(folder, recipe)
    (folder / "episodes_5.npz").rename(folder / "episodes_2.npz")
    with pytest.raises(ValueError, match=r"episodes_2.npz holds 40 strokes of another data set"):
        _make(folder, recipe)
    (folder / "episodes_2.npz").write_bytes(b"")
    with pytest.raises(ValueError, match=r"cannot load .*episodes_2.npz: it is damaged"):
        _make(folder, recipe)
    for content in ("", "[]", "{}", "nothing"):
        (folder / "dataset.json").write_text(content)
        with pytest.raises(ValueError, match=r"its dataset.json is not that of a data set"):
            _make(folder, recipe)
    (folder / "dataset.json").unlink()
    with pytest.raises(ValueError, match=r"it holds strokes of another data set, one without dataset.json"):
        _make(folder, recipe)


@pytest.mark.usefixtures("small")
def test_two_runs_do_not_write_to_one_folder(tmp_path: Path, brush: str) -> None:
    recipe = Recipe(100, brush, shard=40)
    steps = make_dataset(tmp_path / "a", recipe, paint=fake_paint)
    next(steps)
    with pytest.raises(OSError, match=r"cannot write .*: another run is writing to it"):
        _make(tmp_path / "a", recipe)
    assert list(steps)[-1] == 100


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


def test_rejects_bad_recipes() -> None:
    for bad in ({"strokes": 0}, {"strokes": 5, "seed": -1}, {"strokes": 5, "shard": 0}, {"strokes": 5, "shard": 10**6}):
        with pytest.raises(ValueError, match="strokes must be positive, seed not negative and shard in 1 .. 300,000"):
            Recipe(**bad)


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
