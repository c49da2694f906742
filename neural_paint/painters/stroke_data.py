"""Strokes of a real painting program to train painters with, streamed from a folder (docs/dataset.md)."""

from __future__ import annotations

import hashlib
import itertools
import json
import operator
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor

from neural_paint.painters.stroke_index import IndexedShard, index_folder
from neural_paint.painters.stroke_order import LANES, Epoch, check_slices
from neural_paint.painters.stroke_reader import Part, StrokeReader
from neural_paint.painters.stroke_shards import ACTIONS, STROKES

Split = Literal["train", "validation", "all"]
# actions (b, 12) float32 and strokes (b, 3, 64, 64) uint8.
Batch: TypeAlias = tuple[Tensor, Tensor]


class StrokeData:
    """One side of the split of a folder of strokes: files `episodes_0.npz` and so on, as `neural-paint dataset` writes
    them and as they were published.

    A stroke's side depends on the bits of its action alone: equal actions are on one side, in whichever files they are,
    and more files move no stroke. What validates with a smaller share validates with a larger one.

    Attributes:
        digest: of actions and files of the folder: another for other strokes, or for the same ones in another order.
        duplicates: how many strokes of the folder, both sides together, have the action of an earlier one.
        unit: what there is, for messages.
    """

    unit = "strokes"

    def __init__(self, folder: str | os.PathLike[str], split: Split = "train", *, validation: float = 0.05) -> None:
        """Reads the actions of all files, unless an index of them lies in the folder; writes that index if it can.

        Args:
            folder: where the files are.
            split: "train", "validation" or "all".
            validation: the share of strokes that is held out, in [0, 1].

        Raises:
            ValueError: an argument or a file is wrong, or there are no files; what and why in one sentence.
            OSError: a file or the folder cannot be read.
        """
        if split not in get_args(Split):
            raise ValueError(f"split must be one of {', '.join(get_args(Split))}, got {split!r}")
        if not 0 <= validation <= 1:
            raise ValueError(f"validation must be in [0, 1], got {validation}")
        self.folder, self.split = folder, split
        shards = index_folder(folder)
        hashes = np.concatenate([shard.hashes for shard in shards])
        self.duplicates = len(hashes) - len(np.unique(hashes))
        self.digest = _digest(shards, hashes)
        self._parts = [Part(shard.path, _wanted(shard.hashes, split, validation)) for shard in shards]
        self._counts = [part.count for part in self._parts]

    def __len__(self) -> int:
        return sum(self._counts)

    def batches(self, batch_size: int, *, seed: int, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """Batches without end, every stroke once an epoch, in an order that depends on `seed` alone.

        The next are decompressed by threads while one is used. Memory is that of two windows of 8192 strokes, 100 MB
        each, divided by `world`.

        Args:
            batch_size: strokes of a batch, over all processes; a batch may end one epoch and begin the next.
            seed: of the order, non-negative.
            start: so many batches are passed over. The rest is what would have come after them; of the shards that lie
                before it, nothing is read.
            rank, world: of `world` processes, this one gets slice `rank` of each batch, batch_size / world strokes.

        Yields:
            actions (b, 12) float32 in [0, 1] and strokes (b, 3, 64, 64) uint8 in channels-last memory.

        Raises:
            ValueError: an argument is wrong, or the split has no strokes; or, once it is reached, a file is damaged.
            OSError: a file cannot be read.
        """
        check_slices(batch_size, seed=seed, start=start, rank=rank, world=world)
        if not len(self):
            raise ValueError(f"cannot load {self.folder}: no stroke is in split {self.split!r}")
        wanted = _Slice(start * batch_size, batch_size, rank, world)
        return _batches(lambda readers: self._pending(readers, seed, wanted), batch_size // world)

    def once(self, batch_size: int) -> Iterator[Batch]:
        """Each stroke once, in the order of the files, the last batch short; tensors and errors as of `batches`."""
        if operator.index(batch_size) < 1:
            raise ValueError(f"batch_size must be positive, got {batch_size}")
        return _batches(lambda readers: self._pending_once(readers, batch_size), batch_size)

    def _pending(self, readers: _Readers, seed: int, wanted: _Slice) -> Iterator[_Pending]:
        for number in itertools.count(wanted.first // len(self)):
            epoch, before = Epoch(self._counts, seed, number), number * len(self)
            first = epoch.window_of(max(0, wanted.first - before))
            lanes = zip(epoch.lanes, epoch.passed(first), strict=True)
            readers.open([StrokeReader([self._parts[shard] for shard in lane], passed) for lane, passed in lanes])
            for window in range(first, len(epoch.starts) - 1):
                begin, end = (before + int(start) for start in epoch.starts[window : window + 2])
                chosen = wanted.rows(begin, end)
                yield readers.begin([chosen[places] for places in epoch.places(window)])

    def _pending_once(self, readers: _Readers, batch_size: int) -> Iterator[_Pending]:
        readers.open([StrokeReader(self._parts)])
        for begin in range(0, len(self), batch_size):
            yield readers.begin([np.arange(min(batch_size, len(self) - begin))])


def _digest(shards: Sequence[IndexedShard], hashes: np.ndarray) -> str:
    # The sizes of files tell apart what other brushes make of the same actions.
    files = [[len(shard.hashes), shard.size] for shard in shards]
    return hashlib.sha256(json.dumps(files).encode() + hashes.tobytes()).hexdigest()


def _wanted(hashes: np.ndarray, split: Split, validation: float) -> np.ndarray:
    if split == "all":
        return np.ones(len(hashes), bool)
    held_out = (hashes >> np.uint64(11)) * 2.0**-53 < validation
    return held_out if split == "validation" else ~held_out


@dataclass(frozen=True)
class _Slice:
    """What one process wants of the strokes of all epochs, one after the other."""

    first: int
    batch_size: int
    rank: int
    world: int

    def rows(self, begin: int, end: int) -> np.ndarray:
        """For each stroke of [begin, end) how many that are wanted come before it, or -1 if it is not wanted itself."""
        strokes = np.arange(begin, end)
        wanted = strokes % self.batch_size // (self.batch_size // self.world) == self.rank
        wanted &= strokes >= self.first
        return np.where(wanted, wanted.cumsum() - 1, -1)


@dataclass(frozen=True)
class _Window:
    actions: np.ndarray
    strokes: np.ndarray


def _window(count: int) -> _Window:
    return _Window(np.empty((count, *ACTIONS.row), np.float32), np.empty((count, *STROKES.row), STROKES.dtype))


@dataclass(frozen=True)
class _Pending:
    """A window that threads are filling."""

    window: _Window
    filled: list[Future[None]]

    def wait(self) -> _Window:
        for filled in self.filled:
            filled.result()
        return self.window


class _Readers:
    """A context with a thread for each reader, and memory for two windows; on leaving it, they stop."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(LANES, thread_name_prefix="strokes")
        self._readers: list[StrokeReader] = []
        self._used, self._free = _window(0), _window(0)

    def __enter__(self) -> _Readers:
        return self

    def __exit__(self, *_: object) -> None:
        for reader in self._readers:
            reader.stop()
        self._pool.shutdown()

    def open(self, readers: list[StrokeReader]) -> None:
        """Read from these from now on."""
        self._readers = readers

    def begin(self, places: list[np.ndarray]) -> _Pending:
        """A window in which every reader fills its own places; the one before must be full, and that before it used."""
        count = 1 + max(int(own.max(initial=-1)) for own in places)
        if len(self._free.actions) < count:
            self._free = _window(count)
        self._used, self._free = self._free, self._used
        window = _Window(self._used.actions[:count], self._used.strokes[:count])
        submit, arrays = self._pool.submit, (window.actions, window.strokes)
        pairs = zip(self._readers, places, strict=True)
        return _Pending(window, [submit(reader.fill, own, *arrays) for reader, own in pairs])


def _batches(pending: Callable[[_Readers], Iterator[_Pending]], count: int) -> Iterator[Batch]:
    """Windows cut into batches of `count`, the last one short if they end."""
    parts: list[_Window] = []
    missing = count
    with _Readers() as readers:
        for window in _filled(pending(readers)):
            row = 0
            while row < len(window.actions):
                # A copy, as the window's memory is used again.
                part = _Window(window.actions[row : row + missing].copy(), window.strokes[row : row + missing].copy())
                parts.append(part)
                row += len(part.actions)
                missing -= len(part.actions)
                if not missing:
                    yield _tensors(parts)
                    parts, missing = [], count
        if parts:
            yield _tensors(parts)


def _filled(windows: Iterator[_Pending]) -> Iterator[_Window]:
    """Each window once it is full; the next is filled while it is used."""
    ahead = next(windows, None)
    while ahead is not None:
        window = ahead.wait()
        ahead = next(windows, None)
        yield window


def _tensors(parts: list[_Window]) -> Batch:
    first, *more = parts
    actions = np.concatenate([part.actions for part in parts]) if more else first.actions
    strokes = np.concatenate([part.strokes for part in parts]) if more else first.strokes
    return torch.from_numpy(actions), torch.from_numpy(strokes).permute(0, 3, 1, 2)
