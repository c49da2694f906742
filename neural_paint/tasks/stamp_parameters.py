"""What a painter optimises with a bitmap brush: stamps as free numbers that always decode to valid ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from neural_paint.brushes import BitmapBrush, reduced
from neural_paint.stamps import Stamps
from neural_paint.tasks.parameter_rows import ParameterRows
from neural_paint.tasks.placement import Placement

# How far one step of Adam at rate 1 moves a parameter; lengths are in spacings (see StampParameters).
_POINT_STEP = 0.15
_OPACITY_STEP = 0.12
_START_OPACITY = 0.8
# Paint of a stamp as it begins, in squares of the radius that it is placed with.
_START_PAINT = 5.0
# The least paint of a stamp, in pixels: less would hardly show, and have no direction.
_LEAST_PAINT = 2.0
# However thin a brush's paint is, a stamp is made no larger than if it had this share of its bounding square.
_LEAST_COVER = 0.06
# Longest side of the patch that is optimised with, in texels: a pixel of a fine stamp takes the mean of many, and steps
# with 256 take more than twice as long. With 64 they are faster still, but bristles blur, and the whole patch shows up
# to 1 dB less than the steps report; with 96, 0.1 to 0.5 dB.
_FIT_TEXELS = 96
# Keeps the direction of an arm of length 0 finite, in square pixels.
_EPSILON = 1e-6


class StampParameters(ParameterRows):
    """Stamps of one brush on B canvases as rows of numbers: centre, arm, opacity and colour.

    The arm leads from the centre to where half the longer side of the patch, laid along its x, is turned and scaled to.

    Args:
        batch, channels: B and C.
        capacity: stamps that there is room for on each canvas.
        spacing: side in pixels of the square that a stamp has for itself, which geometry is measured in.
        brush: what is stamped.
        like: gives the dtype and the device.
    """

    # What of a stamp follows from its row.
    MOVING = ("transform", "color", "opacity")

    def __init__(
        self, batch: int, channels: int, capacity: int, spacing: float, brush: BitmapBrush, like: Tensor
    ) -> None:
        super().__init__(batch, channels, capacity, [_POINT_STEP * spacing] * 4 + [_OPACITY_STEP], like)
        self._least_opacity = brush.opacity
        self._whole = brush.patch.detach().to(like)
        self._patch = reduced(self._whole, _FIT_TEXELS)
        self.is_reduced = self._patch is not self._whole
        self._patch_id = torch.zeros(batch, capacity, dtype=torch.int64, device=like.device)
        # Texels of the reduced patch to one of the whole.
        ratio = [a / b for a, b in zip(self._patch.shape[:0:-1], self._whole.shape[:0:-1], strict=True)]
        self._ratio = like.new_tensor([*ratio, 1.0])
        tip = _measure(self._patch[0])
        self._reach, self._tilt = max(self._patch.shape[1:]) / 2, tip.tilt
        self._middle = like.new_tensor(tip.middle)
        # Arms of a stamp with a pixel of paint.
        self._unit = self._reach / math.sqrt(max(tip.paint, _LEAST_COVER * (2 * self._reach) ** 2))
        self._least_arm = self._unit * math.sqrt(_LEAST_PAINT)

    def append(self, placement: Placement, radius: float, generator: torch.Generator) -> None:
        """Add stamps on top, all with the paint of strokes of one radius in pixels."""
        color = placement.color
        # An arm of no more than the least one would have no gradient, so it starts a little above.
        square = self._unit**2 * _START_PAINT * radius**2
        free = math.sqrt(max(square - self._least_arm**2, 0.01 * square))
        cos, sin = math.cos(self._tilt), math.sin(self._tilt)
        x, y = (F.normalize(placement.half, dim=-1) * free).unbind(-1)
        arm = torch.stack([x * cos + y * sin, y * cos - x * sin], -1)
        opacity = color.new_full((*color.shape[:2], 1), math.log(_START_OPACITY / (1 - _START_OPACITY)))
        self._add(torch.cat([placement.center, arm, opacity, color], -1))

    def strokes(self, rows: Tensor | None = None) -> Stamps:
        """The stamps that `rows` (by default the first `count`) stand for, differentiable; valid for finite rows.

        Their patch is the reduced one.
        """
        values = self._values(rows)
        center, arm, opacity, color = values.split([2, 2, 1, values.shape[2] - 5], -1)
        square = arm.square().sum(-1, keepdim=True) + _EPSILON
        x, y = (arm * (1 + self._least_arm**2 / square).sqrt() / self._reach).unbind(-1)
        linear = torch.stack([x, -y, y, x], -1).unflatten(-1, (2, 2))
        shift = center - (linear * self._middle).sum(-1)
        return Stamps(
            patches=self._patch,
            transform=torch.cat([linear, shift[..., None]], -1),
            color=color,
            opacity=self._least_opacity + (1 - self._least_opacity) * opacity[..., 0].sigmoid(),
            patch_id=self._patch_id[:, : values.shape[1]],
        )

    def painted(self, moving: Sequence[Tensor]) -> Stamps:
        """The stamps, of the whole patch, whose `MOVING` fields have these values for all rows; later changes leave
        them alone."""
        transform, color, opacity = (field[:, : self.count] for field in moving)
        return Stamps(
            patches=self._whole,
            transform=transform * self._ratio,
            color=color,
            opacity=opacity,
            patch_id=self._patch_id[:, : self.count],
        )


class _Tip(NamedTuple):
    """Sum of alpha, its centre (x, y) in texels, and the angle of its long axis."""

    paint: float
    middle: tuple[float, float]
    tilt: float


def _measure(alpha: Tensor) -> _Tip:
    alpha = alpha.double().cpu()
    paint = float(alpha.sum())
    row, column = torch.meshgrid(*(torch.arange(side) + 0.5 for side in alpha.shape), indexing="ij")
    x, y = (float((alpha * place).sum()) / paint for place in (column, row))
    xx, xy, yy = (
        float((alpha * place).sum()) for place in ((column - x) ** 2, (column - x) * (row - y), (row - y) ** 2)
    )
    return _Tip(paint, (x, y), math.atan2(2 * xy, xx - yy) / 2)
