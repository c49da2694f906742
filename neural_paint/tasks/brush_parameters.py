"""What is optimised of strokes, by what they are painted with."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from neural_paint.brushes import BitmapBrush, Brush
from neural_paint.painters.base import NeuralPainter
from neural_paint.tasks.action_parameters import FINEST, ActionParameters
from neural_paint.tasks.parameters import StrokeParameters
from neural_paint.tasks.stamp_parameters import StampParameters

# What strokes are painted with, and what is optimised of them.
AnyBrush = Brush | BitmapBrush | NeuralPainter
AnyParameters = StrokeParameters | StampParameters | ActionParameters
# Bounds the size of strokes and steps where there are fewer strokes than the square of this.
_MIN_STROKES_PER_SIDE = 8


def spacing_of(size: Sequence[int], strokes: int) -> float:
    """Side in pixels of the square that each stroke has for itself on a canvas of (H, W) pixels."""
    # A few strokes do not each get the whole width that is theirs: one of that size fits no picture.
    return math.sqrt(math.prod(size)) / max(math.sqrt(strokes), _MIN_STROKES_PER_SIDE)


def finest_radius(brush: AnyBrush) -> float:
    """Of the strokes placed last, in spacings."""
    return FINEST if isinstance(brush, NeuralPainter) else brush.radius


def parameters_of(
    brush: AnyBrush, batch: int, channels: int, capacity: int, spacing: float, like: Tensor
) -> AnyParameters:
    """Parameters of strokes that may lie anywhere on the canvas; arguments are those of `StrokeParameters`."""
    if isinstance(brush, NeuralPainter):
        return ActionParameters(batch, channels, capacity, spacing, brush, like)
    if isinstance(brush, BitmapBrush):
        return StampParameters(batch, channels, capacity, spacing, brush, like)
    return StrokeParameters(batch, channels, capacity, spacing, brush, like)
