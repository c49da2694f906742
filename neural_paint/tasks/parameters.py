"""What a painter optimises: strokes as free numbers that always decode to valid ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from neural_paint.brushes import Brush
from neural_paint.strokes import Strokes
from neural_paint.tasks.parameter_rows import ParameterRows
from neural_paint.tasks.placement import Placement

# How far one step of Adam at rate 1 moves a parameter; lengths are in spacings (see StrokeParameters).
_POINT_STEP = 0.09
_WIDTH_STEP = 0.15
_OPACITY_STEP = 0.12
# Widths are softplus of a parameter: this long, in spacings, at the bend, so that fine and broad strokes both can move.
_WIDTH_SCALE = 0.125
# The sampling of the canvas resolves nothing narrower, in pixels.
MIN_RADIUS = 0.5
MIN_FEATHER = 1.0
_START_OPACITY = 0.8


class StrokeParameters(ParameterRows):
    """Quadratic strokes on B canvases as rows of numbers.

    Args:
        batch, channels: B and C.
        capacity: strokes that there is room for on each canvas.
        spacing: side in pixels of the square that a stroke has for itself, which geometry is measured in.
        brush: what strokes are painted with; each picks one of its textures when it is appended.
        like: gives the dtype and the device.

    Attributes:
        texture: the brush's bank of textures, or None.
        texture_id: (B, capacity) which of them each stroke has.
    """

    # What of a stroke follows from its row.
    MOVING = ("points", "radius", "color", "opacity", "feather")

    def __init__(self, batch: int, channels: int, capacity: int, spacing: float, brush: Brush, like: Tensor) -> None:
        steps = [_POINT_STEP * spacing] * 6 + [_WIDTH_STEP] * 3 + [_OPACITY_STEP]
        super().__init__(batch, channels, capacity, steps, like)
        self._brush = brush
        self.texture = None if brush.texture is None else brush.texture().to(like)
        self._textures = 1 if self.texture is None else len(self.texture)
        self._width_scale = _WIDTH_SCALE * spacing
        self._least_widths = like.new_tensor([MIN_RADIUS, MIN_RADIUS, MIN_FEATHER])
        self.texture_id = torch.zeros(batch, capacity, dtype=torch.int64, device=like.device)

    def append(self, placement: Placement, radius: float, generator: torch.Generator) -> None:
        """Add strokes of one radius in pixels on top."""
        color = placement.color
        widths = [self._width_parameter(x) for x in (radius - MIN_RADIUS, radius - MIN_RADIUS, radius / 3)]
        start = color.new_tensor([*widths, math.log(_START_OPACITY / (1 - _START_OPACITY))])
        added = self._add(torch.cat([placement.points.flatten(2), start.expand(*color.shape[:2], -1), color], -1))
        texture_id = torch.randint(self._textures, color.shape[1:2], generator=generator)
        self.texture_id[:, added] = texture_id.to(color.device)

    def keep(self, index: Tensor) -> None:
        super().keep(index)
        self.texture_id[:, : self.count] = self.texture_id.gather(1, index)

    def strokes(self, rows: Tensor | None = None) -> Strokes:
        """The strokes that `rows` (by default the first `count`) stand for, differentiable; valid for finite rows."""
        values = self._values(rows)
        # One split, as its gradient is one concatenation.
        points, widths, opacity, color = values.split([6, 3, 1, values.shape[2] - 10], -1)
        radius, feather = (F.softplus(widths) * self._width_scale + self._least_widths).split([2, 1], -1)
        feather, brush = feather[..., 0], self._brush
        if brush.even:
            radius = radius.mean(-1, keepdim=True).expand_as(radius)
        if brush.softness is not None:
            feather = torch.minimum(feather, MIN_FEATHER + brush.softness * radius.mean(-1))
        return Strokes(
            points=points.unflatten(-1, (3, 2)),
            radius=radius,
            color=color,
            opacity=brush.opacity + (brush.max_opacity - brush.opacity) * opacity[..., 0].sigmoid(),
            feather=feather,
            texture=self.texture,
            texture_id=None if self.texture is None else self.texture_id[:, : values.shape[1]],
        )

    def painted(self, moving: Sequence[Tensor]) -> Strokes:
        """The strokes whose `MOVING` fields have these values for all rows; later changes leave them alone."""
        fields = {name: field[:, : self.count] for name, field in zip(self.MOVING, moving, strict=True)}
        if self.texture is not None:
            fields |= {"texture": self.texture, "texture_id": self.texture_id[:, : self.count].clone()}
        return Strokes(**fields)

    def _width_parameter(self, pixels: float) -> float:
        """Inverse of the softplus; a width of nothing would have no gradient, so it starts a little above."""
        ratio = max(pixels / self._width_scale, 0.1)
        return ratio + math.log(-math.expm1(-ratio))
