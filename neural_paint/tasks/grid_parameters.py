"""What is optimised of a neural painter's strokes in the blocks of a grid, as "Neural Painters" (arXiv:1904.08410) have
them: actions whose entries are sigmoids of free numbers, drawn from (0, 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from neural_paint.action_strokes import ActionStrokes
from neural_paint.media import Medium
from neural_paint.painters.actions import ACTION_SIZE, COLOR, CONTROL
from neural_paint.painters.base import NeuralPainter
from neural_paint.painters.canvas import connect
from neural_paint.stamps import Stamps
from neural_paint.tasks.lay import texels_for
from neural_paint.tasks.parameter_rows import ParameterRows

# How far one step of Adam at rate 1 moves a parameter: the published rate. Colours are as those of other strokes.
_STEP = 0.1


class GridParameters(ParameterRows):
    """N actions on each of B canvases, as rows of the entries before the sigmoid, and colours as they are.

    Blocks go row by row; each has N / blocks strokes, or one more or less.

    Args:
        batch: B.
        size: (H, W) of the canvas, which the blocks fill; they are smaller where it is.
        capacity: N.
        medium: whose brush is a neural painter with blocks.
        like: gives the dtype and the device.
    """

    MOVING = ("actions", "place")

    def __init__(self, batch: int, size: Sequence[int], capacity: int, medium: Medium, like: Tensor) -> None:
        assert isinstance(medium.brush, NeuralPainter) and medium.block is not None
        super().__init__(batch, COLOR.size, capacity, [_STEP] * (ACTION_SIZE - COLOR.size), like)
        self._painter = medium.brush
        side = min(medium.block, *size)
        self._texels = texels_for(medium.brush, side)
        corners = _corners(size, side, side * (1 - medium.overlap / medium.block))
        # The block of a stroke.
        block = torch.arange(capacity)
        block = block * len(corners) // capacity if medium.order == "blocks" else block % len(corners)
        self._connected = medium.connected
        self._first = (torch.cat([block.new_ones(1), block.diff()]) != 0).to(like.device)
        place = torch.cat([corners[block], corners.new_full((capacity, 1), side)], -1)
        self._place = place.to(like).expand(batch, -1, -1)

    def begin(self, photo: Tensor | None, generator: torch.Generator) -> None:
        """All strokes at once, at random; in the colours of the photograph (B, 3, H, W) where their middles are."""
        rows = torch.rand(self.rows.shape, generator=generator).to(self.rows)
        if photo is not None:
            height, width = photo.shape[2:]
            middle = self._actions(rows)[..., CONTROL.slice] * self._place[..., 2:] + self._place[..., :2]
            x, y = (z.long().clamp(0, side - 1) for z, side in zip(middle.unbind(-1), (width, height), strict=True))
            pixel = (y * width + x)[:, None].expand(-1, COLOR.size, -1)
            rows[..., -COLOR.size :] = photo.flatten(2).gather(2, pixel).transpose(1, 2)
        self._add(rows)

    def strokes(self, rows: Tensor | None = None) -> ActionStrokes:
        """The strokes that `rows` stand for, differentiable."""
        return ActionStrokes(actions=self._actions(self._values(rows)), place=self._place)

    def _actions(self, values: Tensor) -> Tensor:
        shape, color = values.split([ACTION_SIZE - COLOR.size, COLOR.size], -1)
        before, after = shape.sigmoid().split([COLOR.start, ACTION_SIZE - COLOR.size - COLOR.start], -1)
        actions = torch.cat([before, color, after], -1)
        return connect(actions, first=self._first) if self._connected else actions

    def shown(self, strokes: Any) -> Stamps:
        stamps: Stamps = strokes.to_stamps(self._painter, self._texels)
        return stamps

    def painted(self, moving: Sequence[Tensor]) -> ActionStrokes:
        """The strokes whose `MOVING` fields have these values; later changes leave them alone."""
        actions, place = moving
        return ActionStrokes(actions=actions, place=place.clone())


def _corners(size: Sequence[int], side: int, step: float) -> Tensor:
    """(blocks, 2) upper left corners, x and y in whole pixels, so that no mask is resampled."""
    rows, columns = (torch.linspace(0, length - side, 1 + math.ceil((length - side) / step)).round() for length in size)
    return torch.cartesian_prod(rows, columns).flip(-1)
