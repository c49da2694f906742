"""`StrokeData`: what it reads, in which order, on which side of the split, and what it refuses."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from stroke_files import make_actions, numbers_of, write_shard, write_shards

from neural_paint.io.stroke_codecs import decode_safetensors, encode_safetensors
from neural_paint.painters import StrokeData, stroke_index, stroke_order, stroke_reader
from neural_paint.painters.stroke_index import INDEX_NAME, hash_actions

# By number, to be read as 1, 3, 20 and 100.
SIZES = {1: 40, 3: 7, 20: 61, 100: 25}
TOTAL = sum(SIZES.values())
SPLITS = ("train", "validation", "all")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_shards(tmp_path / "strokes", SIZES)
    for other in ("episodes_x.npz", "episodes_2.npz.part", "notes.txt"):
        (tmp_path / "strokes" / other).write_text("not strokes")
    return tmp_path / "strokes"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows, lanes and blocks that shards of a few strokes fill."""
    monkeypatch.setattr(stroke_order, "WINDOW", 24)
    monkeypatch.setattr(stroke_order, "LANES", 3)
    monkeypatch.setattr(stroke_reader, "_ROWS", 5)


def _numbers(data: StrokeData, count: int, batch_size: int = 10, **options: int) -> list[list[int]]:
    batches = data.batches(batch_size, **{"seed": 0, **options})
    return [numbers_of(strokes) for _, strokes in itertools.islice(batches, count)]


def _all_numbers(data: StrokeData) -> list[int]:
    return [number for _, strokes in data.once(50) for number in numbers_of(strokes)]


@pytest.mark.parametrize("batch_size", [1, 10, TOTAL, 1000])
def test_once_gives_every_stroke_in_the_order_of_the_files(folder: Path, batch_size: int) -> None:
    data = StrokeData(folder, "all")
    batches = list(data.once(batch_size))
    assert len(data) == TOTAL
    assert [len(actions) for actions, _ in batches[:-1]] == [batch_size] * (-(-TOTAL // batch_size) - 1)
    actions, strokes = (torch.cat(parts) for parts in zip(*batches, strict=True))
    assert numbers_of(strokes) == list(range(TOTAL))
    assert torch.equal(actions, torch.from_numpy(make_actions(TOTAL)).float())
    assert strokes.dtype == torch.uint8 and batches[0][1].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("batch_size", [1, 7, 10, TOTAL, 300])
def test_every_epoch_has_every_stroke_once(folder: Path, batch_size: int) -> None:
    data = StrokeData(folder, "all")
    numbers = [*chain(*_numbers(data, -(-3 * TOTAL // batch_size), batch_size))]
    epochs = [numbers[first : first + TOTAL] for first in range(0, 3 * TOTAL, TOTAL)]
    assert all(sorted(epoch) == list(range(TOTAL)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    # No stroke comes about where it lies.
    assert abs(np.corrcoef(epochs[0][:24], np.arange(24))[0, 1]) < 0.6


@pytest.mark.usefixtures("small")
def test_strokes_come_with_their_actions(folder: Path) -> None:
    actions = torch.from_numpy(make_actions(TOTAL)).float()
    for own, strokes in itertools.islice(StrokeData(folder, "all").batches(16, seed=3), 20):
        assert torch.equal(own, actions[numbers_of(strokes)])


@pytest.mark.usefixtures("small")
def test_order_depends_on_the_seed_alone(folder: Path) -> None:
    data = StrokeData(folder)
    assert _numbers(data, 30, seed=5) == _numbers(StrokeData(folder), 30, seed=5)
    assert _numbers(data, 30, seed=5) != _numbers(data, 30, seed=6)


def test_order_stays_what_it_was() -> None:
    """A training that goes on with a later version gets the batches that it would have got."""
    epoch = stroke_order.Epoch([10_000, 3_000, 10_000, 10_000, 500], 7, 2)
    assert epoch.lanes == [[1, 2], [4], [0], [3]]
    assert epoch.starts.tolist() == [0, 6644, 12788, 18932, 25076, 30740, 32788, 33500]
    assert [places[:3].tolist() for places in epoch.places(1)] == [
        [3554, 1002, 5052],
        [],
        [6138, 1489, 1993],
        [3780, 3320, 351],
    ]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("start", [0, 1, 2, 3, 12, 13, 14, 26, 27, 39])
@pytest.mark.parametrize("split", ["all", "train"])
def test_resumes_with_the_batches_that_would_have_come(folder: Path, split: str, start: int) -> None:
    data = StrokeData(folder, split, validation=0.3)
    assert _numbers(data, 15, start=start) == _numbers(data, start + 15)[start:]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("world", [1, 2, 5])
@pytest.mark.parametrize("start", [0, 17])
def test_processes_share_each_batch(folder: Path, world: int, start: int) -> None:
    data = StrokeData(folder)
    parts = [_numbers(data, 40, start=start, rank=rank, world=world) for rank in range(world)]
    assert all(len(batch) == 10 // world for part in parts for batch in part)
    whole = [[*chain(*batches)] for batches in zip(*parts, strict=True)]
    assert whole == _numbers(data, 40, start=start)


@pytest.mark.usefixtures("small")
def test_shards_before_the_start_are_not_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = StrokeData(folder, "all")
    opened: list[str] = []
    open_shard = stroke_reader.open_shard
    monkeypatch.setattr(stroke_reader, "open_shard", lambda path: opened.append(path.name) or open_shard(path))
    monkeypatch.setattr(stroke_order, "LANES", 1)
    (lane,) = stroke_order.Epoch([*SIZES.values()], 7, 0).lanes
    first, second, third, _ = (list(SIZES.items())[shard] for shard in lane)
    # The window of the stroke to come begins at most 23 before it.
    assert third[1] > 24
    _numbers(data, 1, 1, seed=7, start=first[1] + second[1] + 23)
    assert opened[0] == f"episodes_{third[0]}.npz"


def test_splits_by_the_action_alone(folder: Path, tmp_path: Path) -> None:
    sides = {split: set(_all_numbers(StrokeData(folder, split, validation=0.3))) for split in SPLITS}
    assert sides["train"] | sides["validation"] == sides["all"] == set(range(TOTAL))
    assert not sides["train"] & sides["validation"] and len(sides["validation"]) > 0.15 * TOTAL
    fewer = set(_all_numbers(StrokeData(folder, "validation", validation=0.1)))
    assert fewer < sides["validation"]
    # The same actions in other files, in another order.
    order = np.random.default_rng(1).permutation(TOTAL)
    (tmp_path / "other").mkdir()
    write_shard(tmp_path / "other" / "episodes_7.npz", order, make_actions(TOTAL)[order])
    other = StrokeData(tmp_path / "other", "validation", validation=0.3)
    assert set(_all_numbers(other)) == sides["validation"]


def test_split_has_its_share() -> None:
    shares = hash_actions(make_actions(200_000)) / 2.0**64
    assert abs(shares.mean() - 0.5) < 0.003
    assert all(abs((shares < share).mean() - share) < 0.003 for share in (0.01, 0.05, 0.5, 0.99))
    # The least change of one entry is another side half of the time.
    actions = make_actions(2000)
    for entry in range(12):
        near = actions.copy()
        near[:, entry] = np.nextafter(near[:, entry], 2)
        assert 0.45 < ((hash_actions(near) < 2**63) != (hash_actions(actions) < 2**63)).mean() < 0.55


def test_hash_stays_what_it_was() -> None:
    """Else training would see what was held out before."""
    assert hash_actions(np.arange(24).reshape(2, 12) / 24).tolist() == [5426531715382650197, 9476289912383893771]


def test_duplicates_are_counted_over_all_files_and_stay_on_one_side(folder: Path) -> None:
    assert StrokeData(folder).duplicates == 0
    actions = make_actions(TOTAL)
    write_shard(folder / "episodes_4.npz", np.arange(200, 230), np.concatenate([actions[:20], actions[5:15]]))
    data = {split: StrokeData(folder, split, validation=0.5) for split in SPLITS}
    assert {part.duplicates for part in data.values()} == {30}
    held_out, trained = (
        {tuple(action) for actions, _ in data[split].once(99) for action in actions.tolist()} for split in SPLITS[:2]
    )
    assert held_out and trained and not held_out & trained


def _with_other_counts(index: Path) -> bytes:
    header, tensors = decode_safetensors(index.read_bytes())
    header["files"][0][-1] += 1
    header["files"][1][-1] -= 1
    return encode_safetensors(header, tensors)


def test_the_index_is_read_again_until_a_file_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    open_shard = stroke_index.open_shard
    monkeypatch.setattr(stroke_index, "open_shard", lambda path: opened.append(path.name) or open_shard(path))
    assert len(StrokeData(folder, "all")) == TOTAL and len(opened) == 4
    opened.clear()
    assert len(StrokeData(folder, "all")) == TOTAL and opened == []
    write_shard(folder / "episodes_3.npz", np.arange(8), make_actions(8, seed=1))
    assert len(StrokeData(folder, "all")) == TOTAL + 1 and opened == ["episodes_3.npz"]
    (folder / "episodes_1.npz").unlink()
    assert len(StrokeData(folder, "all")) == TOTAL - 39 and opened == ["episodes_3.npz"]
    whole = (folder / INDEX_NAME).read_bytes()
    zeroed, miscounted = whole[:-64] + bytes(64), _with_other_counts(folder / INDEX_NAME)
    for damage in (b"", b"nothing", whole[:-30], zeroed, miscounted):
        opened.clear()
        (folder / INDEX_NAME).write_bytes(damage)
        assert len(StrokeData(folder, "all")) == TOTAL - 39 and len(opened) == 3


def test_a_folder_that_cannot_be_written_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("read-only")

    monkeypatch.setattr(stroke_index, "write_atomic", refuse)
    assert len(StrokeData(folder, "all")) == TOTAL
    assert not (folder / INDEX_NAME).exists()


def test_rejects_bad_arguments(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"split must be one of train, validation, all, got 'test'"):
        StrokeData(folder, "test")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"validation must be in \[0, 1\], got 1.5"):
        StrokeData(folder, validation=1.5)
    with pytest.raises(OSError, match=r"cannot read .*none: No such file"):
        StrokeData(tmp_path / "none")
    with pytest.raises(ValueError, match=r"it must hold files called episodes_0.npz and so on, got none"):
        StrokeData(tmp_path)
    data = StrokeData(folder)
    with pytest.raises(ValueError, match=r"batch_size must be a positive multiple of world, 3, got 10"):
        data.batches(10, seed=0, world=3)
    with pytest.raises(ValueError, match=r"batch_size must be a positive multiple of world, 1, got 0"):
        data.batches(0, seed=0)
    with pytest.raises(ValueError, match=r"rank must be in \[0, world\), got 2 of 2"):
        data.batches(10, seed=0, rank=2, world=2)
    with pytest.raises(ValueError, match=r"seed and start must not be negative, got -1 and 0"):
        data.batches(10, seed=-1)
    with pytest.raises(ValueError, match=r"batch_size must be positive, got 0"):
        data.once(0)
    with pytest.raises(TypeError):
        data.batches(2.5, seed=0)  # type: ignore[arg-type]
    nothing = StrokeData(folder, "validation", validation=0)
    assert len(nothing) == 0 and list(nothing.once(5)) == []
    with pytest.raises(ValueError, match=r"no stroke is in split 'validation'"):
        nothing.batches(5, seed=0)


@pytest.mark.usefixtures("small")
def test_threads_end_with_the_batches(folder: Path) -> None:
    batches = StrokeData(folder).batches(10, seed=0)
    next(batches)
    assert any(thread.name.startswith("strokes") for thread in threading.enumerate())
    batches.close()  # type: ignore[attr-defined]
    assert not any(thread.name.startswith("strokes") for thread in threading.enumerate())


STREAM = """
import itertools, resource, sys
from neural_paint.painters import StrokeData
data = StrokeData(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
strokes = sum(len(actions) for actions, _ in itertools.islice(data.batches(64, seed=0), len(data) // 64))
print(strokes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads kilobytes of memory")
def test_memory_is_bounded(tmp_path: Path) -> None:
    write_shards(tmp_path, {0: 12_000, 1: 12_000, 2: 12_000})
    command = [sys.executable, "-c", STREAM, str(tmp_path)]
    strokes, grown = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert int(strokes) > 34_000
    # Two windows of 8192 strokes of 12 KB, and blocks of 512 of each lane; all strokes are 440 MB.
    assert int(grown) * 1024 < 300e6
