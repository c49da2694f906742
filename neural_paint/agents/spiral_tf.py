"""The codes of SPIRAL's port to TensorFlow, which neural painters began with, read as actions and written."""

from __future__ import annotations

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
from neural_paint.painters.actions import ACTION_SIZE, CONTROL, END, ENTRY_PRESSURE, PRESSURE, SIZE, START


@dataclass(frozen=True)
class SpiralTFEncoding:
    """The codes of the TensorFlow port (carpedm20/SPIRAL-tensorflow) in the values that neural painters began with.

    `jump` 0 paints a stroke from where the pen is to the cell `end`, and 1 moves the pen there; the first step of all
    moves it in either case. `control` is the cell of the point that the curve passes at its middle, as in actions.
    Cell r * grid_width + c lies at row r and column c of a grid that reaches from edge to edge. `pressure` and `size`
    are indices into the levels. The pressure goes from that of the stroke before, or none after a move, to its own. The
    colour is black.

    Attributes:
        grid_width: cells along a side.
        pressures: of the pen, in (0, 0.8].
        sizes: natural logarithms of radii in pixels, in [0, 2].
    """

    grid_width: int = 32
    pressures: tuple[float, ...] = (0.8, 0.5)
    sizes: tuple[float, ...] = (0.2, 0.7)

    def __post_init__(self) -> None:
        if self.grid_width < 2:
            raise ValueError(f"grid_width must be at least 2, got {self.grid_width}")
        if not self.pressures or not all(0 < pressure <= PRESSURE.scale for pressure in self.pressures):
            raise ValueError(f"pressures must be in (0, {PRESSURE.scale}], got {self.pressures}")
        if not self.sizes or not all(0 <= size <= SIZE.scale for size in self.sizes):
            raise ValueError(f"sizes must be in [0, {SIZE.scale}], got {self.sizes}")

    @property
    def counts(self) -> dict[str, int]:
        """The codes, and how many values each has."""
        cells = self.grid_width**2
        return {"pressure": len(self.pressures), "size": len(self.sizes), "jump": 2, "control": cells, "end": cells}

    def decode(self, codes: Mapping[str, np.ndarray]) -> tuple[Tensor, Tensor]:
        """Actions (N, 12) float32, and which of them paint, (N,) bool; a move is an action without pressure.

        Raises:
            ValueError: a code is missing, is no integer array like the others, or is out of range.
        """
        values = checked_codes(codes, self.counts)
        paints = values["jump"] == 0
        paints[:1] = False
        end, control = (
            cell_points(values[name], self.grid_width) / (self.grid_width - 1) for name in ("end", "control")
        )
        pressure = self._pressure_levels[values["pressure"]] * paints
        actions = torch.zeros(len(paints), ACTION_SIZE)
        actions[:, START.slice], actions[:, END.slice], actions[:, CONTROL.slice] = before_each(end), end, control
        actions[:, PRESSURE.start], actions[:, ENTRY_PRESSURE.start] = pressure, before_each(pressure) * paints
        actions[:, SIZE.start] = self._size_levels[values["size"]]
        return actions, paints

    def encode(self, actions: Tensor) -> Codes:
        """The nearest codes of actions (N, 12) in [0, 1]: int64 arrays, longer than N.

        An action without pressure at its end is a move. Others are inserted at the beginning, where a stroke does not
        begin where the pen is, and where its pressure at the start is nearer to none than to that of the stroke before.
        Colours are lost, and so are other pressures at the start. The codes of a move, but for `jump` and `end`, are 0.

        Raises:
            ValueError: the shape or a value is wrong.
        """
        rows, last = checked_actions(actions), self.grid_width - 1
        points = (nearest_points(rows[:, field.slice], last, self.grid_width) for field in (START, END, CONTROL))
        start, end, control = (cell_numbers(some, self.grid_width) for some in points)
        pressure = nearest_level(rows[:, PRESSURE.start], self._pressure_levels)
        strokes = {
            "pressure": pressure,
            "size": nearest_level(rows[:, SIZE.start], self._size_levels),
            "jump": torch.zeros_like(pressure),
            "control": control,
            "end": end,
        }
        return with_moves(strokes, {"jump": 1}, rows, start, torch.zeros(len(rows)), pen=None)

    @property
    def _pressure_levels(self) -> Tensor:
        return torch.tensor(self.pressures) / PRESSURE.scale

    @property
    def _size_levels(self) -> Tensor:
        return torch.tensor(self.sizes) / SIZE.scale
