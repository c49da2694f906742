"""What a painter optimises with a bitmap brush: stamps as free numbers that always decode to valid ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from neural_paint.brushes import BitmapBrush
from neural_paint.stamps import Stamps
from neural_paint.tasks.parameter_rows import ParameterRows
from neural_paint.tasks.placement import Placement

_CENTER_STEP = 0.09
_AXIS_STEP = 0.09
_OPACITY_STEP = 0.12
_START_OPACITY = 0.8
# Area of paint of a stamp as it begins, in squares of the radius that it is placed with: that of a stroke.
_START_AREA = 8.0
# Least area of paint in pixels.
_LEAST_AREA = 4.0
_LEAST_DENSITY = 0.25
# Longest side of the patch that is optimised with.
_FIT_TEXELS = 64


class StampParameters(ParameterRows):
    MOVING = ("transform", "color", "opacity")

    def __init__(
        self, batch: int, channels: int, capacity: int, spacing: float, brush: BitmapBrush, like: Tensor
    ) -> None:
        steps = [_CENTER_STEP * spacing] * 2 + [_AXIS_STEP * spacing] * 2 + [_OPACITY_STEP]
        super().__init__(batch, channels, capacity, steps, like)
        self._opacity = brush.opacity
        self._whole = brush.patch.to(like)
        self._patch = _reduced(self._whole)
        height, width = self._patch.shape[1:]
        self._reach = max(width, height) / 2
        mass = self._patch[0].double().cpu()
        total = mass.sum()
        row, column = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
        x, y = float((mass * column).sum() / total), float((mass * row).sum() / total)
        self._middle = like.new_tensor([x, y])
        xx, xy, yy = (
            (mass * a * b).sum() / total
            for a, b in ((column - x, column - x), (column - x, row - y), (row - y, row - y))
        )
        self._tilt = float(torch.atan2(2 * xy, xx - yy) / 2)
        area = max(float(total) / self._reach**2, 4 * _LEAST_DENSITY * height * width / max(height, width) ** 2)
        self._size = math.sqrt(_START_AREA / area)
        self._least = math.sqrt(_LEAST_AREA / area)
        self._patch_id = torch.zeros(batch, capacity, dtype=torch.int64, device=like.device)
        self._columns = like.new_tensor([width / self._whole.shape[2], height / self._whole.shape[1], 1])

    def append(self, placement: Placement, radius: float, generator: torch.Generator) -> None:
        color = placement.color
        x, y = F.normalize(placement.half, dim=-1).unbind(-1)
        c, s = math.cos(self._tilt), math.sin(self._tilt)
        size = self._size * radius
        size = math.sqrt(max(size**2 - self._least**2, 0.01 * size**2))
        axis = torch.stack([x * c + y * s, y * c - x * s], -1) * size
        opacity = color.new_full((*color.shape[:2], 1), math.log(_START_OPACITY / (1 - _START_OPACITY)))
        self._add(torch.cat([placement.center, axis, opacity, color], -1))

    def strokes(self, rows: Tensor | None = None) -> Stamps:
        values = self._values(rows)
        center, axis, opacity, color = values.split([2, 2, 1, values.shape[2] - 5], -1)
        square = axis.square().sum(-1, keepdim=True) + 1e-6
        x, y = (axis * (1 + self._least**2 / square).sqrt() / self._reach).unbind(-1)
        linear = torch.stack([x, -y, y, x], -1).unflatten(-1, (2, 2))
        shift = center - (linear * self._middle).sum(-1)
        return Stamps(
            patches=self._patch,
            transform=torch.cat([linear, shift[..., None]], -1),
            color=color,
            opacity=self._opacity + (1 - self._opacity) * opacity[..., 0].sigmoid(),
            patch_id=self._patch_id[:, : values.shape[1]],
        )

    def painted(self, moving: Sequence[Tensor]) -> Stamps:
        transform, color, opacity = (field[:, : self.count] for field in moving)
        return Stamps(
            patches=self._whole,
            transform=transform * self._columns,
            color=color,
            opacity=opacity,
            patch_id=self._patch_id[:, : self.count],
        )


def _reduced(patch: Tensor) -> Tensor:
    longest = max(patch.shape[1:])
    if longest <= _FIT_TEXELS:
        return patch
    size = [max(1, round(side * _FIT_TEXELS / longest)) for side in patch.shape[1:]]
    return F.interpolate(patch[None], size, mode="area")[0]
