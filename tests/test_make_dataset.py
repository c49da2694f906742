"""`make_dataset`, with a program that paints quickly: files, resuming, other folders."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neural_paint.io.npz import NpzWriter
from neural_paint.mypaint import dataset as making
from neural_paint.mypaint.dataset import Recipe, make_dataset


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
    assert Recipe(1).actions(0)[0, :3].tolist() == [0.6369616873214543, 0.2697867137638703, 0.04097352393619469]
    many = Recipe(100_000, shard=100_000).actions(0)
    assert np.allclose(many.mean(axis=0), 0.5, atol=0.005) and np.allclose(many.std(axis=0), 12**-0.5, atol=0.005)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("ended", range(1, 9))
def test_goes_on_after_the_last_whole_file(tmp_path: Path, brush: str, ended: int) -> None:
    recipe = Recipe(100, brush, shard=40)
    steps = make_dataset(tmp_path / "a", recipe, paint=fake_paint)
    seen = [next(steps) for _ in range(ended)]
    steps.close()
    # A file is finished by the step after its last block.
    whole = [f"episodes_{shard}.npz" for shard, end in enumerate((40, 80)) if seen[-1] > end]
    assert sorted(os.listdir(tmp_path / "a")) == ["dataset.json", *whole]
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


def test_rejects_bad_recipes() -> None:
    for bad in ({"strokes": 0}, {"strokes": 5, "seed": -1}, {"strokes": 5, "shard": 0}, {"strokes": 5, "shard": 10**6}):
        with pytest.raises(ValueError, match=r"and shard in 1 \.\. 300,000, got"):
            Recipe(**bad)
