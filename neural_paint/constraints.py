"""Limits that strokes of every kind can be held to: differentiable, so that painters optimise within them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from neural_paint.action_strokes import ActionStrokes, AnyStrokes
from neural_paint.colors import mean_color, nearest_color
from neural_paint.painters.actions import COLOR, MAX_LOG_RADIUS, SIZE, STROKE_SIZE
from neural_paint.painters.canvas import opaque
from neural_paint.stamps import Stamps
from neural_paint.strokes import Strokes


@dataclass(frozen=True, eq=False)
class Constraints:
    """What an artist does without. Calling it holds strokes to it: (B, N) strokes -> strokes of the same kind.

    Attributes:
        grey: the channels of a colour are equal.
        palette: (K, 3) the only colours there are, in [0, 1], or with `grey` their greys; each stroke takes the nearest
            one.
        thin: most width of a stroke in pixels of the canvas, > 0. Strokes come as near to it as they like, and a neural
            painter's are never thinner than a pixel of its own 64.
        opaque: full opacity; the pen of a neural painter's strokes presses fully.

    Raises:
        ValueError: `palette` or `thin` is out of range.
    """

    grey: bool = False
    palette: Tensor | None = None
    thin: float | None = None
    opaque: bool = False

    def __post_init__(self) -> None:
        palette = self.palette
        if palette is not None:
            if palette.ndim != 2 or palette.shape[1] != COLOR.size or not len(palette):
                raise ValueError(f"palette must have shape (K, 3) with K at least 1, got {tuple(palette.shape)}")
            if not ((palette >= 0) & (palette <= 1)).all():
                raise ValueError("palette must be in [0, 1], got values outside or nan")
        if self.thin is not None and not 0 < self.thin < math.inf:
            raise ValueError(f"thin must be > 0 and finite, got {self.thin}")

    def __call__(self, strokes: AnyStrokes) -> AnyStrokes:
        if isinstance(strokes, ActionStrokes):
            return self._of_actions(strokes)
        if self.opaque and strokes.opacity is not None:
            strokes = strokes.replace(opacity=torch.ones_like(strokes.opacity))
        if strokes.color is not None:
            strokes = strokes.replace(color=self.color(strokes.color))
        if self.thin is None:
            return strokes
        return _thin_stamps(strokes, self.thin) if isinstance(strokes, Stamps) else _thin_curves(strokes, self.thin)

    def color(self, color: Tensor) -> Tensor:
        """(..., 3) colours as strokes may have them."""
        palette = self.palette
        if self.grey:
            color = mean_color(color)
            palette = None if palette is None else mean_color(palette)
        return color if palette is None else nearest_color(color, palette)

    def _of_actions(self, strokes: ActionStrokes) -> ActionStrokes:
        actions = COLOR.replaced(strokes.actions, self.color(strokes.actions[..., COLOR.slice]))
        if self.opaque:
            actions = opaque(actions)
        if self.thin is not None:
            scale = strokes.place[..., 2:] / STROKE_SIZE
            radius = _bounded(SIZE.values(actions).exp() * scale, self.thin / 2)
            actions = SIZE.replaced(actions, ((radius / scale).log() / MAX_LOG_RADIUS).clamp(0, 1))
        return strokes.replace(actions=actions)


def _bounded(x: Tensor, most: float) -> Tensor:
    """Positive numbers, those far below `most` as they are and none beyond; rising, so that there is a gradient."""
    return most * torch.tanh(x / most)


def _thin_curves(strokes: Strokes, width: float) -> Strokes:
    radius = _bounded(strokes.radius, width / 2)
    # An edge as soft as the stroke was broad would leave little of it.
    feather = strokes.feather * (radius / strokes.radius).mean(-1)
    return strokes.replace(radius=radius, feather=feather)


def _thin_stamps(stamps: Stamps, width: float) -> Stamps:
    linear, shift = stamps.transform[..., :2], stamps.transform[..., 2:]
    texels = linear.new_tensor(stamps.patches.shape[:-3:-1])
    broad = (linear.square().sum(-2).sqrt() * texels).amin(-1)[..., None, None]
    shrunk = linear * (_bounded(broad, width) / broad)
    # About the middle of the stamp.
    shift = shift + (linear - shrunk) @ (texels / 2)[:, None]
    return stamps.replace(transform=torch.cat([shrunk, shift], -1))
