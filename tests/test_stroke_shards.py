"""Files of strokes that are damaged or hold something else are refused, in one sentence that names them."""

from __future__ import annotations

import io
import itertools
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stroke_files import make_actions, make_strokes, numbers_of, write_shard, write_shards

from neural_paint.painters import StrokeData


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_shards(tmp_path / "strokes", {1: 40, 3: 7, 20: 61})
    return tmp_path / "strokes"


def _npy(array: np.ndarray, version: tuple[int, int] = (1, 0)) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version, allow_pickle=True)
    return file.getvalue()


def _zip(path: Path, entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(f"{name}.npy", data)


def _replace(**arrays: np.ndarray) -> Callable[[Path], None]:
    good = {"actions": make_actions(6), "strokes": make_strokes(np.arange(6))}
    return lambda path: _zip(path, {name: _npy(array) for name, array in {**good, **arrays}.items()})


def _value(row: int, value: float) -> Callable[[Path], None]:
    actions = make_actions(6)
    actions[row, 5] = value
    return _replace(actions=actions)


def _entries(**changes: bytes | None) -> Callable[[Path], None]:
    entries = {"actions": _npy(make_actions(6)), "strokes": _npy(make_strokes(np.arange(6))), **changes}
    return lambda path: _zip(path, {name: data for name, data in entries.items() if data is not None})


BAD_FILES = [
    (lambda path: path.write_bytes(b""), "it is damaged"),
    (lambda path: path.write_bytes(b"x" * 5000), "it is damaged"),
    (lambda path: path.write_bytes(path.read_bytes()[:-50]), "it is damaged"),
    (_entries(strokes=None), "it must hold actions.npy and strokes.npy, got actions.npy"),
    (_entries(labels=b""), "got actions.npy, strokes.npy, labels.npy"),
    (_entries(actions=b"nothing"), "its actions must be an array of .npy version 1.0"),
    (_entries(actions=_npy(make_actions(6), (2, 0))), "its actions must be an array of .npy version 1.0"),
    (_entries(actions=_npy(make_actions(6))[:-1]), "its actions have fewer bytes than they should"),
    (_entries(actions=_npy(make_actions(6)) + b"1"), "its actions have more bytes than they should"),
    (_replace(actions=make_actions(6).astype(np.float32)), "must be (n, 12) of <f8, got (6, 12) of <f4"),
    (_replace(actions=make_actions(6).astype(">f8")), "must be (n, 12) of <f8, got (6, 12) of >f8"),
    (_replace(actions=np.asfortranarray(make_actions(6))), "of <f8 by columns"),
    (_replace(actions=make_actions(6)[:, :11]), "must be (n, 12) of <f8, got (6, 11)"),
    (_replace(actions=np.float64(1)), "must be (n, 12) of <f8, got () of <f8"),
    (_replace(actions=make_actions(6).astype(object)), "must be (n, 12) of <f8, got (6, 12) of |O"),
    (_replace(actions=make_actions(5)), "it must hold as many of each, got 5 actions and 6 strokes"),
    (_replace(strokes=make_strokes(np.arange(6))[:, :32]), "must be (n, 64, 64, 3) of |u1, got (6, 32, 64, 3)"),
    (_replace(strokes=make_strokes(np.arange(6)).astype(np.int8)), "of |u1, got (6, 64, 64, 3) of |i1"),
    (_value(4, 1.5), "its actions must be in [0, 1], got 1.5 at stroke 4"),
    (_value(2, -0.1), "its actions must be in [0, 1], got -0.1 at stroke 2"),
    (_value(0, float("nan")), "its actions must be in [0, 1], got nan at stroke 0"),
    (
        lambda path: _zip(path, {"actions": b"", "strokes": b""}, zipfile.ZIP_BZIP2),
        "actions.npy must be stored or deflated, got compression 12",
    ),
]


@pytest.mark.parametrize(("damage", "message"), BAD_FILES, ids=[message for _, message in BAD_FILES])
def test_bad_files(folder: Path, damage: Callable[[Path], None], message: str) -> None:
    path = folder / "episodes_3.npz"
    damage(path)
    with pytest.raises(ValueError) as error:
        StrokeData(folder)
    text = str(error.value)
    assert text.startswith(f"cannot load {path}: ") and message in text and "\n" not in text


def test_damage_of_strokes_is_found_where_they_are_read(folder: Path) -> None:
    path = folder / "episodes_20.npz"
    data = StrokeData(folder, "all")
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo("strokes.npy")
    content = bytearray(path.read_bytes())
    content[entry.header_offset + 600] ^= 1
    path.write_bytes(content)
    for batches in (data.once(7), data.batches(7, seed=0)):
        with pytest.raises(ValueError, match=f"cannot load {path}: "):
            for _ in itertools.islice(batches, 108):
                pass


def test_a_file_that_changes_after_it_was_indexed(folder: Path) -> None:
    data = StrokeData(folder, "all")
    write_shard(folder / "episodes_3.npz", np.arange(8), make_actions(8))
    with pytest.raises(ValueError, match=r"episodes_3.npz: it has changed since it was indexed"):
        list(data.once(10))
    (folder / "episodes_3.npz").unlink()
    with pytest.raises(OSError, match=r"cannot load .*episodes_3.npz: No such file"):
        list(data.once(10))


@settings(max_examples=150)
@given(place=st.integers(0), bits=st.integers(1, 255), cut=st.booleans())
def test_any_damage_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, place: int, bits: int, cut: bool
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    path = folder / "episodes_0.npz"
    write_shard(path, np.arange(3), make_actions(3))
    content = bytearray(path.read_bytes())
    place %= len(content)
    content[place] ^= bits
    path.write_bytes(content[:place] if cut else content)
    try:
        ((actions, strokes),) = StrokeData(folder, "all").once(9)
    except (ValueError, OSError) as error:
        assert str(error).startswith(f"cannot load {path}: ")
    else:
        assert torch.equal(actions, torch.from_numpy(make_actions(3)).float()) and numbers_of(strokes) == [0, 1, 2]
