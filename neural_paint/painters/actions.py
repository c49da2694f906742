"""The action of one stroke: 12 numbers in [0, 1], what each means and in which unit.

The order is that of the strokes that neural painters were published with (Nakano, "Neural Painters", arXiv:1904.08410):
the pressure at the END of a stroke comes first, that at its start last. x is the column and y the row, y down.

| entries | field | value in its unit |
|---|---|---|
| 0 | `PRESSURE` | pen pressure at the end, 0.8 a |
| 1 | `SIZE` | natural logarithm of the brush's radius in pixels, 2 a: 1 to 7.39 pixels |
| 2, 3 | `CONTROL` | point (x, y) that the curve passes at its middle, 64 a pixels |
| 4, 5 | `END` | last point (x, y), 64 a pixels |
| 6, 7, 8 | `COLOR` | red, green and blue in [0, 1] |
| 9, 10 | `START` | first point (x, y), 64 a pixels |
| 11 | `ENTRY_PRESSURE` | pen pressure at the start, 0.8 a |

The curve is the quadratic Bezier curve from start to end with control point 2 CONTROL - (START + END) / 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Side of the square that positions refer to and a painter's strokes have, in pixels.
STROKE_SIZE = 64
# Pressure of the pen for an action of 1: the brush never reaches its full opacity.
MAX_PRESSURE = 0.8
# Natural logarithm of the largest radius in pixels; the least is 0.
MAX_LOG_RADIUS = 2.0


@dataclass(frozen=True)
class ActionField:
    """Consecutive entries of an action that belong together.

    Attributes:
        name: what they are.
        start: index of the first entry.
        size: how many they are.
        scale: what an entry of 1 stands for, in `unit`; units are linear and 0 stands for 0.
        unit: in words.
    """

    name: str
    start: int
    size: int
    scale: float
    unit: str

    @property
    def slice(self) -> slice:
        """Where the field lies in the last axis: `actions[..., COLOR.slice]`."""
        return slice(self.start, self.start + self.size)

    def values(self, actions: Tensor) -> Tensor:
        """The field of actions (..., 12) in its unit: (..., size), differentiable."""
        return actions[..., self.slice] * self.scale

    def replaced(self, actions: Tensor, entries: Tensor) -> Tensor:
        """The actions (..., 12) with other entries (..., size) for this field, differentiable in both."""
        return torch.cat([actions[..., : self.start], entries, actions[..., self.slice.stop :]], -1)


PRESSURE = ActionField("pressure", 0, 1, MAX_PRESSURE, "pen pressure at the end")
SIZE = ActionField("size", 1, 1, MAX_LOG_RADIUS, "natural logarithm of the radius in pixels")
CONTROL = ActionField("control", 2, 2, STROKE_SIZE, "pixels (x, y)")
END = ActionField("end", 4, 2, STROKE_SIZE, "pixels (x, y)")
COLOR = ActionField("color", 6, 3, 1.0, "RGB in [0, 1]")
START = ActionField("start", 9, 2, STROKE_SIZE, "pixels (x, y)")
ENTRY_PRESSURE = ActionField("entry_pressure", 11, 1, MAX_PRESSURE, "pen pressure at the start")

# All of them, in the order of the entries.
ACTION_FIELDS = (PRESSURE, SIZE, CONTROL, END, COLOR, START, ENTRY_PRESSURE)
ACTION_SIZE = sum(field.size for field in ACTION_FIELDS)
