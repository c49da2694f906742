"""What a painter optimises with a neural painter: actions as free numbers that always decode to valid ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from neural_paint.action_strokes import ActionStrokes
from neural_paint.painters.actions import MAX_LOG_RADIUS, STROKE_SIZE
from neural_paint.painters.base import NeuralPainter
from neural_paint.stamps import Stamps
from neural_paint.tasks.lay import texels_for
from neural_paint.tasks.parameter_rows import ParameterRows
from neural_paint.tasks.placement import Placement

# How far one step of Adam at rate 1 moves a parameter; lengths are in spacings (see ActionParameters).
_POINT_STEP = 0.09
_RADIUS_STEP = 0.15
_PRESSURE_STEP = 0.12
# Radii are softplus of a parameter: this long, in spacings, at the bend, so that fine and broad strokes both can move.
_RADIUS_SCALE = 0.125
# The sampling of the canvas resolves nothing finer, in pixels.
_LEAST_RADIUS = 0.5
# Radius of the finest strokes as they begin, in spacings.
FINEST = 0.2
# A pen that does not press leaves nothing, and would have no way back.
_LEAST_PRESSURE = 0.1
# Light strokes are scattered less: what MyPaint paints is nearer to what was optimised.
_START_PRESSURE = 0.3
# Room around a stroke's points for its ink, in radii without pressure, and what full pressure scatters it farther.
_ROOM, _SCATTER = 1.2, 2.2
# The points that a curve passes, and two on the way, of its start, control and end.
_ON_CURVE = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (0.375, 0.75, -0.125), (-0.125, 0.75, 0.375))
# Side of a mask in spacings, of most strokes.
_USUAL_SIDE = 2.5
# Strokes that a painter shows at a time: what lies between its actions and strokes is kept for the backward pass.
_CHUNK = 1024


class ActionParameters(ParameterRows):
    """Actions on B canvases as rows of numbers: three points, radius, two pressures and colour, in canvas pixels.

    A stroke's square follows from these: the least one that holds its ink and gives a valid action.

    Args:
        batch, channels: B and C, which is 3.
        capacity: strokes that there is room for on each canvas.
        spacing: side in pixels of the square that a stroke has for itself, which geometry is measured in.
        painter: shows the strokes.
        like: gives the dtype and the device.
    """

    # What of a stroke follows from its row.
    MOVING = ("actions", "place")

    def __init__(
        self, batch: int, channels: int, capacity: int, spacing: float, painter: NeuralPainter, like: Tensor
    ) -> None:
        steps = [_POINT_STEP * spacing] * 6 + [_RADIUS_STEP] + [_PRESSURE_STEP] * 2
        super().__init__(batch, channels, capacity, steps, like)
        self._painter = painter
        self._radius_scale = _RADIUS_SCALE * spacing
        self._texels = texels_for(painter, _USUAL_SIDE * spacing)
        self.is_reduced = painter.any_size
        self._chunk = _CHUNK if batch * capacity > _CHUNK else None
        self._on_curve = like.new_tensor(_ON_CURVE)

    def append(self, placement: Placement, radius: float, generator: torch.Generator) -> None:
        """Add strokes of one radius in pixels on top."""
        color = placement.color
        ratio = max((radius - _LEAST_RADIUS) / self._radius_scale, 0.1)
        pressure = (_START_PRESSURE - _LEAST_PRESSURE) / (1 - _LEAST_PRESSURE)
        logit = math.log(pressure / (1 - pressure))
        # Inverse of the softplus.
        start = color.new_tensor([ratio + math.log(-math.expm1(-ratio)), logit, logit])
        self._add(torch.cat([placement.points.flatten(2), start.expand(*color.shape[:2], -1), color], -1))

    def strokes(self, rows: Tensor | None = None) -> ActionStrokes:
        """The strokes that `rows` (by default the first `count`) stand for, differentiable; valid for finite rows."""
        values = self._values(rows)
        points, width, pressure, color = values.split([6, 1, 2, values.shape[2] - 9], -1)
        radius = F.softplus(width) * self._radius_scale + _LEAST_RADIUS
        pressure = _LEAST_PRESSURE + (1 - _LEAST_PRESSURE) * pressure.sigmoid()
        points = points.unflatten(-1, (3, 2))
        place = self._place(points, radius, pressure)
        corner, side = place.split([2, 1], -1)
        # Rounding alone leaves the unit interval; but a long thin stroke cannot be as thin as it likes.
        start, control, end = ((points - corner.unsqueeze(-2)) / side.unsqueeze(-2)).clamp(0, 1).unbind(-2)
        size = ((radius * STROKE_SIZE / side).log() / MAX_LOG_RADIUS).clamp(0, 1)
        entry_pressure, end_pressure = pressure.split(1, -1)
        return ActionStrokes(
            actions=torch.cat([end_pressure, size, control, end, color, start, entry_pressure], -1), place=place
        )

    def _place(self, points: Tensor, radius: Tensor, pressure: Tensor) -> Tensor:
        passed = self._on_curve @ points
        low, high = passed.amin(-2), passed.amax(-2)
        room = radius * (_ROOM + _SCATTER * pressure.amax(-1, keepdim=True))
        side = (high - low).amax(-1, keepdim=True) + 2 * room
        side = torch.maximum(side, radius * (STROKE_SIZE / math.exp(MAX_LOG_RADIUS)))
        return torch.cat([(low + high - side) / 2, side], -1)

    def shown(self, strokes: Any) -> Stamps:
        stamps: Stamps = strokes.to_stamps(self._painter, self._texels, chunk=self._chunk)
        return stamps.replace(opacity=torch.ones_like(stamps.transform[..., 0, 0]))

    def painted(self, moving: Sequence[Tensor]) -> ActionStrokes:
        """The strokes whose `MOVING` fields have these values for all rows; later changes leave them alone."""
        actions, place = (field[:, : self.count] for field in moving)
        return ActionStrokes(actions=actions, place=place)
