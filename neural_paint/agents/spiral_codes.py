"""What the encodings of SPIRAL have in common: arrays of integers, one for each code, their files, and their grid.

A step's codes are the entries of that number of all arrays.
"""

from __future__ import annotations

import errno
import io
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor

from neural_paint.io.atomic import write_atomic
from neural_paint.painters.actions import ACTION_SIZE, ENTRY_PRESSURE, PRESSURE

Codes: TypeAlias = dict[str, np.ndarray]

# What np.load raises for damaged files, besides ValueError.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, MemoryError, NotImplementedError, RuntimeError)


class Encoding(Protocol):
    """What codes there are, and how many values each has."""

    @property
    def counts(self) -> dict[str, int]: ...


def save_spiral(path: str | os.PathLike[str], codes: Mapping[str, np.ndarray], encoding: Encoding) -> None:
    """Write codes to an .npz file, which is replaced only once the new one is complete.

    Raises:
        ValueError: they are not codes of that encoding.
        OSError: the file cannot be written; the old one is intact.
    """
    file = io.BytesIO()
    arrays = {name: values.numpy() for name, values in checked_codes(codes, encoding.counts).items()}
    np.savez_compressed(file, allow_pickle=False, **arrays)
    write_atomic(path, file.getvalue())


def load_spiral(path: str | os.PathLike[str], encoding: Encoding) -> Codes:
    """Read codes from an .npz file: int64 arrays (N,). Nothing is unpickled, and every value is checked.

    Raises:
        ValueError: naming the file, the rule that it breaks and what was found.
        OSError: it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise ValueError("it is not an .npz file, or not whole")
            with np.load(file, allow_pickle=False) as archive:
                codes = dict(archive)
        return {name: values.numpy() for name, values in checked_codes(codes, encoding.counts).items()}
    except OSError as error:
        raise OSError(error.errno or errno.EIO, f"cannot load {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ValueError(f"cannot load {path}: {error}") from error
    except _DAMAGE as error:
        raise ValueError(f"cannot load {path}: it is damaged ({error})") from error


def checked_codes(codes: Mapping[str, np.ndarray], counts: Mapping[str, int]) -> dict[str, Tensor]:
    """Codes as int64 tensors (N,), known to be all that there are, and in range.

    Raises:
        ValueError: naming the code, the rule that it breaks and what was found.
    """
    if sorted(codes) != sorted(counts):
        raise ValueError(f"codes must be {', '.join(counts)}, got {', '.join(codes) or 'none'}")
    checked: dict[str, Tensor] = {}
    for name, count in counts.items():
        values = np.asarray(codes[name])
        if values.ndim != 1 or values.dtype.kind not in "iu":
            raise ValueError(f"{name} must be integers (N,), got {values.dtype} {values.shape}")
        wrong = np.flatnonzero((values < 0) | (values >= count))
        if len(wrong):
            raise ValueError(f"{name} must be in 0 .. {count - 1}, got {values[wrong[0]]} at step {wrong[0]}")
        checked[name] = torch.from_numpy(values.astype(np.int64))
    lengths = {name: len(values) for name, values in checked.items()}
    if len(set(lengths.values())) > 1:
        what = ", ".join(f"{length} of {name}" for name, length in lengths.items())
        raise ValueError(f"codes must be as many of each, got {what}")
    return checked


def with_moves(
    strokes: dict[str, Tensor],
    move: dict[str, int],
    rows: Tensor,
    start: Tensor,
    anew: Tensor,
    pen: int | None,
) -> Codes:
    """Codes of strokes, with those of `move` where the pen has to be lifted.

    Args:
        strokes: codes of each action, as if none were a move.
        rows: the actions.
        start: cells at which they begin.
        anew: with which pressure they would begin after a move; else it is that of the stroke before.
        pen: the cell at which the pen is before, or None where it has to be moved in any case.
    """
    entry, pressure = rows[:, ENTRY_PRESSURE.start], rows[:, PRESSURE.start]
    lifted = (pressure == 0).tolist()
    nearer = ((entry - anew).abs() < (entry - before_each(pressure)).abs()).tolist()
    steps: list[dict[str, int]] = []
    columns = [values.tolist() for values in strokes.values()]
    for k, (begin, *step) in enumerate(zip(start.tolist(), *columns, strict=True)):
        stroke = dict(zip(strokes, step, strict=True))
        if lifted[k]:
            steps.append({**move, "end": stroke["end"]})
        else:
            if begin != pen or (k and not lifted[k - 1] and nearer[k]):
                steps.append({**move, "end": begin})
            steps.append(stroke)
        pen = stroke["end"]
    return {name: np.array([step.get(name, 0) for step in steps], np.int64) for name in strokes}


def checked_actions(actions: Tensor) -> Tensor:
    """Actions (N, 12) as float64 on the CPU, known to be in [0, 1]."""
    if actions.ndim != 2 or actions.shape[1] != ACTION_SIZE:
        raise ValueError(f"actions must have shape (N, {ACTION_SIZE}), got {tuple(actions.shape)}")
    rows = actions.detach().cpu().double()
    wrong = ~((rows >= 0) & (rows <= 1))
    if wrong.any():
        stroke, entry = wrong.nonzero()[0].tolist()
        raise ValueError(f"actions must be in [0, 1], got {rows[stroke, entry]} at stroke {stroke}, entry {entry}")
    return rows


def before_each(values: Tensor) -> Tensor:
    """What the step before has: (N, ...), zero for the first."""
    return torch.cat([torch.zeros_like(values[:1]), values[:-1]])


def cell_points(cells: Tensor, width: int) -> Tensor:
    """(x, y) of cells, counted in cells: (N, 2)."""
    return torch.stack([cells % width, cells // width], -1)


def cell_numbers(points: Tensor, width: int) -> Tensor:
    return (points[:, 1] * width + points[:, 0]).long()


def nearest_points(points: Tensor, scale: int, width: int) -> Tensor:
    """(x, y) of the cells nearest to points in [0, 1], a cell being 1 / scale wide."""
    return (points * scale).round().clamp(max=width - 1)


def nearest_level(values: Tensor, levels: Tensor) -> Tensor:
    """For each value the index of the nearest level, the first of equal ones."""
    return (values[:, None] - levels).abs().argmin(1)
