"""Strokes of one side of a split, decompressed one shard after the other."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neural_paint.painters.stroke_shards import ACTIONS, STROKES, open_shard

# Strokes decompressed at a time: 3 MB.
_ROWS = 256


@dataclass(frozen=True)
class Part:
    """The strokes of a shard that are wanted: (n,) bool of all that it has."""

    path: Path
    wanted: np.ndarray

    @property
    def count(self) -> int:
        return int(np.count_nonzero(self.wanted))


class StrokeReader:
    """Reads the wanted strokes of `parts` in turn, after the first `passed` of them.

    Shards that are passed over whole are not opened; within one, what lies before is decompressed and dropped.
    """

    def __init__(self, parts: Sequence[Part], passed: int = 0) -> None:
        self._stopped = threading.Event()
        self._blocks = self._read(parts, passed)
        self._actions = np.empty((0, *ACTIONS.row), ACTIONS.dtype)
        self._strokes = np.empty((0, *STROKES.row), STROKES.dtype)

    def stop(self) -> None:
        """Make a `fill` in another thread end soon, with less than it should."""
        self._stopped.set()

    def fill(self, places: np.ndarray, actions: np.ndarray, strokes: np.ndarray) -> None:
        """Put the next strokes into rows `places` of both arrays; what has a negative place is read and left out."""
        while len(places):
            if not len(self._actions):
                block = next(self._blocks, None)
                if block is None:
                    return
                self._actions, self._strokes = block
            count = min(len(places), len(self._actions))
            kept = np.flatnonzero(places[:count] >= 0)
            actions[places[kept]] = self._actions[kept]
            strokes[places[kept]] = self._strokes[kept]
            places, self._actions, self._strokes = places[count:], self._actions[count:], self._strokes[count:]

    def _read(self, parts: Sequence[Part], passed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for part in parts:
            if passed >= part.count:
                passed -= part.count
                continue
            with open_shard(part.path) as shard:
                if shard.rows != len(part.wanted):
                    raise ValueError(f"cannot load {part.path}: it has changed since it was indexed")
                for row in range(0, shard.rows, _ROWS):
                    actions, strokes = shard.read(ACTIONS.name, _ROWS), shard.read(STROKES.name, _ROWS)
                    if self._stopped.is_set():
                        return
                    wanted = np.flatnonzero(part.wanted[row : row + _ROWS])[passed:]
                    passed = max(0, passed - int(np.count_nonzero(part.wanted[row : row + _ROWS])))
                    if len(wanted):
                        yield actions[wanted], strokes[wanted]
