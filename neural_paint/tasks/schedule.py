"""When a painter does what: its budget of steps or seconds, its waves of new strokes, the size of its steps."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import torch

# The first strokes are placed at once, then as many again and again; all are there by this share of the budget.
_FIRST_WAVE = 16
_GROWN_AT = 0.18
# After that, the strokes that turned out to be of little use get more chances.
_RELOCATIONS = tuple(0.24 + 0.06 * i for i in range(9))
# Radius of new strokes but the last, in sides of the square that each stroke has for itself by then.
_BROAD = 0.45
# Steps are full until this share of the budget, then shrink to nothing.
_DECAY_FROM = 0.5


class Wave(NamedTuple):
    """Strokes to be placed at one time.

    Attributes:
        begin: share of the budget that is spent before.
        total: strokes on each canvas when they have been placed.
        radius: of the new strokes, in sides of the square that each of all strokes has for itself.
    """

    begin: float
    total: int
    radius: float


def waves(strokes: int, finest: float) -> list[Wave]:
    """From few broad strokes to many fine ones.

    Args:
        strokes: on each canvas in the end, at least 1.
        finest: radius of the strokes placed last, in the unit of `Wave.radius`.
    """
    totals = [strokes]
    while totals[0] >= 2 * _FIRST_WAVE:
        totals.insert(0, totals[0] // 2)
    *growing, last = (
        Wave(_GROWN_AT * i / max(len(totals) - 1, 1), total, _BROAD * math.sqrt(strokes / total))
        for i, total in enumerate(totals)
    )
    if growing:
        last = last._replace(radius=finest)
    return [*growing, last, *(Wave(begin, strokes, finest) for begin in _RELOCATIONS)]


def rate(progress: float) -> float:
    """Size of the steps: full at first, then along half a cosine to nothing."""
    decay = max(0.0, progress - _DECAY_FROM) / (1 - _DECAY_FROM)
    return (1 + math.cos(math.pi * decay)) / 2


class Budget:
    """Steps or seconds on a device, and how much of them is used up."""

    def __init__(self, steps: int, seconds: float | None, device: torch.device) -> None:
        self._steps = steps
        self._seconds = seconds
        self._device = device
        self._begun = time.perf_counter()
        self._duration = 0.0
        self.spent = 0.0
        self.index = 0

    def begin_step(self) -> None:
        """What passed since the last step, or since the call, is the caller's."""
        self._begun = time.perf_counter()

    def end_step(self) -> None:
        if self._seconds is not None and self._device.type == "cuda":
            # A step has only been launched so far, and whoever looks at it would do the waiting.
            torch.cuda.current_stream(self._device).synchronize()
        self._duration = time.perf_counter() - self._begun
        self.spent += self._duration
        self.index += 1

    @property
    def progress(self) -> float:
        """Share used up by the steps that have ended."""
        return self.index / self._steps if self._seconds is None else min(self.spent / self._seconds, 1.0)

    @property
    def is_last(self) -> bool:
        """Whether only one more step fits, if it takes as long as the one before."""
        if self._seconds is None:
            return self.index + 1 >= self._steps
        return self.spent + self._duration >= self._seconds
