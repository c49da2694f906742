"""In which order the strokes of a set come: a pure function of the seed, in bounded memory.

An epoch deals the shards, in random order, onto a few lanes. All lanes are read at the same time, each from its first
shard to its last; as many strokes as a window holds, an equal share of every lane, are put in random order and are the
next to come. So a window is what memory is needed for, and what there is before one can be passed over.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np

# Strokes of a window: 100 MB of pictures, and two windows are in memory at a time.
WINDOW = 8192
# Shards that are mixed, and decompressed by a thread each.
LANES = 4


def permutation(count: int, *key: int) -> np.ndarray:
    """0 ... count - 1 in an order that depends on non-negative integers alone, and not on the version of NumPy."""
    return np.argsort(np.random.PCG64(np.random.SeedSequence(key)).random_raw(count), kind="stable")


def check_slices(batch_size: int, *, seed: int, start: int, rank: int, world: int) -> None:
    """The arguments by which batches without end are asked for: ValueError, or TypeError, where one is wrong."""
    batch_size, seed, start = (operator.index(number) for number in (batch_size, seed, start))
    if not 0 <= rank < world:
        raise ValueError(f"rank must be in [0, world), got {rank} of {world}")
    if batch_size < 1 or batch_size % world:
        raise ValueError(f"batch_size must be a positive multiple of world, {world}, got {batch_size}")
    if seed < 0 or start < 0:
        raise ValueError(f"seed and start must not be negative, got {seed} and {start}")


class Epoch:
    """The order of one epoch.

    Attributes:
        lanes: for each lane the numbers of its shards, in the order in which they are read.
        starts: (windows + 1,) how many strokes have come before each window, and before the end.
    """

    def __init__(self, counts: Sequence[int], seed: int, number: int) -> None:
        """`counts` are the strokes of each shard."""
        self._seed, self._number = seed, number
        shards = permutation(len(counts), number, 0, 0, seed)
        lanes = min(LANES, len(counts))
        self.lanes = [shards[lane::lanes].tolist() for lane in range(lanes)]
        self._lengths = np.array([sum(counts[shard] for shard in lane) for lane in self.lanes])
        self._share = max(1, WINDOW // lanes)
        windows = -(-int(self._lengths.max()) // self._share)
        # (windows + 1, lanes): how far each lane has been read before each window.
        self._read = np.minimum(np.arange(windows + 1)[:, None] * self._share, self._lengths)
        self.starts = self._read.sum(axis=1)

    def window_of(self, stroke: int) -> int:
        """The window in which a stroke comes, given how many have come before it."""
        return int(np.searchsorted(self.starts, stroke, side="right")) - 1

    def passed(self, window: int) -> list[int]:
        """How many strokes of each lane come before a window."""
        return self._read[window].tolist()

    def places(self, window: int) -> list[np.ndarray]:
        """For the next strokes of each lane, where in the window they come."""
        sizes = self._read[window + 1] - self._read[window]
        places = permutation(int(sizes.sum()), self._number, 1, window, self._seed)
        return np.split(places, np.cumsum(sizes)[:-1])
