"""What a painter optimises: strokes as free numbers that always decode to valid ones, and the Adam that moves them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from neural_paint.brushes import Brush
from neural_paint.strokes import Strokes

# How far one step of Adam at rate 1 moves a parameter; lengths are in spacings (see StrokeParameters).
_POINT_STEP = 0.09
_WIDTH_STEP = 0.15
_OPACITY_STEP = 0.12
_COLOR_STEP = 0.05
# Widths are softplus of a parameter: this long, in spacings, at the bend, so that fine and broad strokes both can move.
_WIDTH_SCALE = 0.125
# The sampling of the canvas resolves nothing narrower, in pixels.
MIN_RADIUS = 0.5
MIN_FEATHER = 1.0
_START_OPACITY = 0.8

_BETA1, _BETA2, _EPSILON = 0.9, 0.98, 1e-12
_POINTS, _RADII, _FEATHER, _OPACITY, _COLOR = slice(0, 6), slice(6, 8), 8, 9, slice(10, None)


class StrokeParameters:
    """Quadratic strokes on B canvases as rows of one tensor, of which the first `count` hold a stroke.

    Each column is measured in its own steps, so that one rate suits them all. Adam's moments are kept with the rows:
    `torch.optim.Adam` would have to start anew whenever strokes come or go, which costs half a decibel.

    There are rows for all strokes from the beginning, and every change is made in place, on the device: a step that was
    captured in a CUDA graph stays valid.

    Args:
        batch, channels: B and C.
        capacity: strokes that there is room for on each canvas.
        spacing: side in pixels of the square that a stroke has for itself, which geometry is measured in.
        brush: what strokes are painted with; each picks one of its textures when it is appended.
        like: gives the dtype and the device.

    Attributes:
        count: strokes on each canvas.
        rows: (B, capacity, columns) what is optimised.
        texture: the brush's bank of textures, or None.
        texture_id: (B, capacity) which of them each stroke has.
    """

    def __init__(self, batch: int, channels: int, capacity: int, spacing: float, brush: Brush, like: Tensor) -> None:
        self._brush = brush
        self.texture = None if brush.texture is None else brush.texture().to(like)
        self._textures = 1 if self.texture is None else len(self.texture)
        self._width_scale = _WIDTH_SCALE * spacing
        steps = [_POINT_STEP * spacing] * 6 + [_WIDTH_STEP] * 3 + [_OPACITY_STEP] + [_COLOR_STEP] * channels
        self._steps = like.new_tensor(steps)
        self._least_widths = like.new_tensor([MIN_RADIUS, MIN_RADIUS, MIN_FEATHER])
        self.count = 0
        self.rows = like.new_zeros(batch, capacity, len(steps))
        self._mean = torch.zeros_like(self.rows)
        self._square = torch.zeros_like(self.rows)
        self.texture_id = torch.zeros(batch, capacity, dtype=torch.int64, device=like.device)
        self._betas = torch.tensor([_BETA1, _BETA2], dtype=torch.float64, device=like.device)
        # What is left of the moments' first values, which were zero: the betas to the power of the number of updates.
        self._bias = torch.ones_like(self._betas)

    def append(self, points: Tensor, color: Tensor, radius: float, generator: torch.Generator) -> None:
        """Add strokes on top: points (B, n, 3, 2), color (B, n, C), one radius in pixels."""
        added = slice(self.count, self.count + color.shape[1])
        self.count = added.stop
        rows = self.rows[:, added]
        rows[..., _POINTS] = points.flatten(2)
        rows[..., _RADII] = self._width_parameter(radius - MIN_RADIUS)
        rows[..., _FEATHER] = self._width_parameter(radius / 3)
        rows[..., _OPACITY] = math.log(_START_OPACITY / (1 - _START_OPACITY))
        rows[..., _COLOR] = color
        rows /= self._steps
        self._mean[:, added] = 0
        self._square[:, added] = 0
        texture_id = torch.randint(self._textures, color.shape[1:2], generator=generator)
        self.texture_id[:, added] = texture_id.to(color.device)

    def keep(self, index: Tensor) -> None:
        """Drop all strokes but those at `index` (B, n)."""
        self.count = index.shape[1]
        for x in (self.rows, self._mean, self._square, self.texture_id[..., None]):
            x[:, : self.count] = x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))

    def strokes(self, rows: Tensor | None = None) -> Strokes:
        """The strokes that `rows` (by default the first `count`) stand for, differentiable; valid for finite rows."""
        values = (self.rows[:, : self.count] if rows is None else rows) * self._steps
        # One split, as its gradient is one concatenation.
        points, widths, opacity, color = values.split([6, 3, 1, values.shape[2] - 10], -1)
        radius, feather = (F.softplus(widths) * self._width_scale + self._least_widths).split([2, 1], -1)
        feather, brush = feather[..., 0], self._brush
        if brush.softness is not None:
            feather = torch.minimum(feather, MIN_FEATHER + brush.softness * radius.mean(-1))
        return Strokes(
            points=points.unflatten(-1, (3, 2)),
            radius=radius,
            color=color,
            opacity=brush.opacity + (1 - brush.opacity) * opacity[..., 0].sigmoid(),
            feather=feather,
            texture=self.texture,
            texture_id=None if self.texture is None else self.texture_id[:, : values.shape[1]],
        )

    def update(self, grad: Tensor, rate: Tensor) -> None:
        """One step of Adam, its `rate` a number on the device; a gradient that is not finite counts as none."""
        mean_bias, square_bias = (1 - self._bias.mul_(self._betas)).unbind()
        grad = grad.nan_to_num(0.0, 0.0, 0.0)
        self._mean.lerp_(grad, 1 - _BETA1)
        self._square.lerp_(grad.square(), 1 - _BETA2)
        size = self._square.sqrt().mul_(square_bias.rsqrt()).add_(_EPSILON)
        self.rows.addcdiv_(self._mean * (rate / mean_bias), size, value=-1)
        self.rows[..., _COLOR].clamp_(0, 1 / _COLOR_STEP)

    def _width_parameter(self, pixels: float) -> float:
        """Inverse of the softplus; a width of nothing would have no gradient, so it starts a little above."""
        ratio = max(pixels / self._width_scale, 0.1)
        return ratio + math.log(-math.expm1(-ratio))
