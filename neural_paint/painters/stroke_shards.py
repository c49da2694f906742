"""The files of a set of strokes: `episodes_0.npz`, `episodes_1.npz` and so on, the layout of the published data.

| array | type | shape | holds |
|---|---|---|---|
| `actions` | float64 | (n, 12) | in [0, 1], with the entries of `neural_paint.painters.actions` |
| `strokes` | uint8 | (n, 64, 64, 3) | what was painted of each, on white: rows, columns, RGB |
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import numpy as np

from neural_paint.io.npz import Member, NpzReader
from neural_paint.painters.actions import ACTION_SIZE, STROKE_SIZE

ACTIONS = Member("actions", np.dtype(np.float64), (ACTION_SIZE,))
STROKES = Member("strokes", np.dtype(np.uint8), (STROKE_SIZE, STROKE_SIZE, 3))

_NAME = re.compile(r"episodes_(\d+)\.npz")


def shard_name(number: int) -> str:
    return f"episodes_{number}.npz"


def list_shards(folder: str | os.PathLike[str]) -> list[Path]:
    """The shards in a folder by their numbers; other files are let be.

    Raises:
        OSError: the folder cannot be read.
    """
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise OSError(error.errno or errno.EIO, f"cannot read {folder}: {error.strerror}") from error
    numbers = {name: int(match[1]) for name in names if (match := _NAME.fullmatch(name))}
    return [Path(folder) / name for name in sorted(numbers, key=lambda name: (numbers[name], name))]


def open_shard(path: str | os.PathLike[str]) -> NpzReader:
    """A shard to read "actions" and "strokes" of; errors are those of `NpzReader`."""
    return NpzReader(path, (ACTIONS, STROKES))
