"""The codes by which agents of SPIRAL paint with libmypaint, read as actions and written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from neural_paint.agents.spiral_codes import (
    Codes,
    before_each,
    cell_numbers,
    cell_points,
    checked_actions,
    checked_codes,
    nearest_level,
    nearest_points,
    with_moves,
)
from neural_paint.painters.actions import (
    ACTION_SIZE,
    COLOR,
    CONTROL,
    END,
    ENTRY_PRESSURE,
    MAX_PRESSURE,
    PRESSURE,
    SIZE,
    START,
)

_COLORS = ("red", "green", "blue")


@dataclass(frozen=True)
class SpiralEncoding:
    """The codes of DeepMind's environment of libmypaint (Ganin et al., arXiv:1804.01118; deepmind/spiral).

    `flag` 1 paints a stroke from where the pen is to the cell `end`, and 0 moves the pen there. `control` is the
    cell of the control point of the Bezier curve. Cell r * grid_width + c lies at row r and column c of a grid
    whose last row and column are one cell away from the canvas's edge. `size` is an index into `brush_sizes`,
    `pressure` into linspace(0.1, 1, pressures), and `red`, `green` and `blue` into linspace(0, 1, colors). The
    pressure goes from that of the stroke before to its own; after a move, and first of all, it is its own from the
    start. The pen begins in the corner (0, 0).

    The released environment has the next stroke after a move to (x, y) begin at (y, y), with a line to there; here it
    begins where the pen moved to.

    Attributes:
        grid_width: cells along a side.
        brush_sizes: radii in pixels, ascending.
        pressures, colors: how many levels there are.
    """

    grid_width: int = 32
    brush_sizes: tuple[float, ...] = (1, 2, 3)
    pressures: int = 10
    colors: int = 20

    def __post_init__(self) -> None:
        for name in ("grid_width", "pressures", "colors"):
            if getattr(self, name) < 2:
                raise ValueError(f"{name} must be at least 2, got {getattr(self, name)}")
        if not self.brush_sizes or min(self.brush_sizes) <= 0 or list(self.brush_sizes) != sorted(self.brush_sizes):
            raise ValueError(f"brush_sizes must be positive and ascending, got {self.brush_sizes}")

    @property
    def counts(self) -> dict[str, int]:
        """The codes, in the order in which agents choose them, and how many values each has."""
        cells = self.grid_width**2
        return {
            "flag": 2,
            **{"end": cells, "control": cells, "size": len(self.brush_sizes), "pressure": self.pressures},
            **dict.fromkeys(_COLORS, self.colors),
        }

    def decode(self, codes: Mapping[str, np.ndarray]) -> tuple[Tensor, Tensor]:
        """Actions (N, 12) float32, and which of them paint, (N,) bool.

        A move is an action without pressure. Pressures above 0.8 become 0.8, and radii outside of [1, 7.39] the
        nearest, as actions have no others; along a stroke, the pressure changes as that of actions, and not evenly.

        Raises:
            ValueError: a code is missing, is no integer array like the others, or is out of range.
        """
        values = checked_codes(codes, self.counts)
        paints = values["flag"] == 1
        end, control = (cell_points(values[name], self.grid_width) / self.grid_width for name in ("end", "control"))
        start = before_each(end)
        pressure = self._pressure_levels[values["pressure"]]
        actions = torch.zeros(len(paints), ACTION_SIZE)
        actions[:, START.slice], actions[:, END.slice] = start, end
        # Half way, a Bezier curve is half way between its control point and the middle of its ends.
        actions[:, CONTROL.slice] = (start + end) / 4 + control / 2
        actions[:, PRESSURE.start] = pressure * paints
        actions[:, ENTRY_PRESSURE.start] = torch.where(before_each(paints), before_each(pressure), pressure) * paints
        actions[:, SIZE.start] = self._size_levels.clamp(0, 1)[values["size"]]
        colors = torch.stack([values[name] for name in _COLORS], -1)
        actions[:, COLOR.slice] = colors / (self.colors - 1)
        return actions, paints

    def encode(self, actions: Tensor) -> Codes:
        """The nearest codes of actions (N, 12) in [0, 1]: int64 arrays, at least N long.

        An action without pressure at its end is a move. Others are inserted where a stroke does not begin where the pen
        is, or where its pressure at the start is nearer to that at its end than to that of the stroke before; other
        pressures at the start are lost. Points are those of the nearest cells, so that the last row and column of
        pixels are out of reach; control points of the Bezier curve that lie outside of the grid move to its edge. The
        codes of a move, but for `end`, are 0.

        Raises:
            ValueError: the shape or a value is wrong.
        """
        rows = checked_actions(actions)
        start, end = (nearest_points(rows[:, field.slice], self.grid_width, self.grid_width) for field in (START, END))
        control = 2 * self.grid_width * rows[:, CONTROL.slice] - (start + end) / 2
        own = rows[:, PRESSURE.start]
        pressure = nearest_level(own, self._pressure_levels)
        strokes = {
            "flag": torch.ones_like(pressure),
            "end": cell_numbers(end, self.grid_width),
            "control": cell_numbers(control.round().clamp(0, self.grid_width - 1), self.grid_width),
            "size": nearest_level(rows[:, SIZE.start], self._size_levels),
            "pressure": pressure,
            **dict(zip(_COLORS, (rows[:, COLOR.slice] * (self.colors - 1)).round().long().T, strict=True)),
        }
        return with_moves(strokes, {"flag": 0}, rows, cell_numbers(start, self.grid_width), own, pen=0)

    @property
    def _pressure_levels(self) -> Tensor:
        """As entries of actions, not above 1."""
        return (torch.linspace(0.1, 1, self.pressures) / MAX_PRESSURE).clamp(max=1)

    @property
    def _size_levels(self) -> Tensor:
        """As entries of actions, which may lie outside of [0, 1]."""
        return torch.tensor([math.log(size) for size in self.brush_sizes]) / SIZE.scale
