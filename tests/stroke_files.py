"""Files of strokes that tests read: each stroke tells its number, and they are written as NumPy writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor


def make_actions(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 12))


def make_strokes(numbers: np.ndarray) -> np.ndarray:
    """White, but for the first pixel, which holds the number in its channels."""
    strokes = np.full((len(numbers), 64, 64, 3), 255, np.uint8)
    strokes[:, 0, 0] = np.asarray(numbers)[:, None] >> np.array([16, 8, 0]) & 255
    return strokes


def numbers_of(strokes: Tensor) -> list[int]:
    """The numbers of strokes (b, 3, 64, 64)."""
    assert (strokes[:, :, 1:] == 255).all() and (strokes[:, :, 0, 1:] == 255).all()
    red, green, blue = strokes[:, :, 0, 0].long().unbind(1)
    return (red << 16 | green << 8 | blue).tolist()


def write_shard(path: Path, numbers: np.ndarray, actions: np.ndarray) -> None:
    np.savez_compressed(path, actions=actions, strokes=make_strokes(numbers))


def write_shards(folder: Path, sizes: dict[int, int]) -> np.ndarray:
    """Files of so many strokes by their number, the strokes counted from 0; all actions, in order."""
    folder.mkdir(exist_ok=True)
    actions = make_actions(sum(sizes.values()))
    first = 0
    for number, size in sorted(sizes.items()):
        rows = np.arange(first, first + size)
        write_shard(folder / f"episodes_{number}.npz", rows, actions[rows])
        first += size
    return actions
