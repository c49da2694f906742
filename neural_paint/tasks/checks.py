"""What every task asks of its arguments, at the call."""

from __future__ import annotations

import math

from torch import Tensor

from neural_paint.painters.base import NeuralPainter


def check_photo(name: str, photo: Tensor, channels: int | None = None) -> None:
    """Floating, (B, C, H, W) without an empty side, in [0, 1]."""
    if not isinstance(photo, Tensor) or not photo.is_floating_point():
        raise TypeError(f"{name} must be a floating tensor, got {getattr(photo, 'dtype', type(photo).__name__)}")
    if photo.ndim != 4 or photo.numel() == 0 or channels not in (None, photo.shape[1]):
        shape = f"(B, {channels or 'C'}, H, W)"
        raise ValueError(f"{name} must have shape {shape} without an empty side, got {tuple(photo.shape)}")
    if not ((photo >= 0) & (photo <= 1)).all():
        raise ValueError(f"{name} must be in [0, 1], got values outside or nan")


def check_strokes(strokes: int) -> None:
    if strokes < 1:
        raise ValueError(f"strokes must be at least 1, got {strokes}")


def check_budget(steps: int | None, seconds: float | None) -> None:
    """At most one of both, and positive."""
    if steps is not None and seconds is not None:
        raise ValueError("steps and seconds exclude each other")
    if steps is not None and steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    if seconds is not None and not 0 < seconds < math.inf:
        raise ValueError(f"seconds must be > 0 and finite, got {seconds}")


def check_painter(name: str, painter: NeuralPainter, like: Tensor) -> None:
    """A painter, called `name`, that can paint canvases like that."""
    if (painter.dtype, painter.device) != (like.dtype, like.device):
        what = f"{like.dtype} on {like.device}, as the photo, got {painter.dtype} on {painter.device}"
        raise ValueError(f"{name} must be a painter in {what}; call its to() first")
    if painter.training:
        raise ValueError(f"{name} must be a painter in eval mode: call its freeze() first")
