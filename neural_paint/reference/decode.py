"""`decode_strokes` in plain PyTorch: what each published stroke vector says, in pixels.

Every formula of docs/decode_strokes.md stands here once, written to be read.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from neural_paint.stroke_vectors import MYPAINT_BRUSH, MyPaintBrush

# MyPaint's canvas, in pixels, and what an entry of 1 is: pen pressure, logarithm of the radius.
CANVAS = 64
MAX_PRESSURE = 0.8
MAX_LOG_RADIUS = 2.0
# Scatter of its dabs, in radii at pressure 1.
SCATTER = 1.4
# Side of the canvas on which Learning to Paint draws discs, in pixels.
DISC_CANVAS = 256
# Largest radius of the two painters with markers, as a share of the canvas's side.
MAX_RADIUS = 0.25
# Width of a soft edge whose profile has the variance of a pixel's box, in pixels: what averaging over pixels gives.
PIXEL_EDGE = math.sqrt(5 / 3)


def decode_strokes(
    vectors: Tensor, kind: str, size: tuple[int, int], brush: MyPaintBrush | Any = MYPAINT_BRUSH
) -> Tensor:
    """The numbers of each stroke, (B, N, F): the fields of its kind (`stroke_vectors.KINDS`), one after the other.

    `vectors` are (B, N, P), float32 or float64, `size` is the canvas's (H, W). The constants of the brush may be
    tensors, so that they can be fitted.
    """
    height, width = size
    pixels = vectors.new_tensor([width, height])
    side = math.sqrt(width * height)
    match kind:
        case "mypaint":
            return torch.cat(_mypaint(vectors, pixels, side / CANVAS, brush), -1)
        case "learning_to_paint":
            return torch.cat(_learning_to_paint(vectors, pixels, side), -1)
        case "snp_marker":
            return torch.cat(_snp_marker(vectors, pixels, side), -1)
        case "snp_oil":
            center, sides = vectors[..., 0:2] * (pixels - 1) + 0.5, vectors[..., 2:4] * pixels + 1
            return torch.cat([_bitmap_map(center, sides, vectors[..., 4:5]), vectors[..., 5:11]], -1)
        case "paint_transformer":
            center, sides = vectors[..., 0:2] * pixels, vectors[..., 2:4] * pixels
            return torch.cat([_bitmap_map(center, sides, vectors[..., 4:5]), vectors[..., 5:8]], -1)
    raise ValueError(f"kind must be one of the kinds of stroke vectors, got {kind!r}")


def _mypaint(vectors: Tensor, pixels: Tensor, scale: float, brush: MyPaintBrush | Any) -> list[Tensor]:
    last, entry = MAX_PRESSURE * vectors[..., 0:1], MAX_PRESSURE * vectors[..., 11:12]
    radius = scale * (MAX_LOG_RADIUS * vectors[..., 1:2]).exp()
    control, end, start = (vectors[..., i : i + 2] * pixels for i in (2, 4, 9))
    # The pen's pressure ramps, stays at the mean for half of the stroke, and ramps again.
    mean = (entry + last) / 2
    change = brush.spread * (last - entry) / 2
    pressure = torch.cat([mean - change, mean + change], -1)
    width = _ink_width(pressure, radius, brush)
    # Dabs lie so dense that their layers add up like a gas's: alpha = 1 - exp(-density); less so on a dot.
    opacity = (0.8 + 0.2 * pressure) * pressure
    length = 2 * ((control - start).square().sum(-1, True) + (end - control).square().sum(-1, True))
    density = brush.density * opacity * (radius / width) * length / (length + brush.dot * width.square())
    middle = 2 * control - (start + end) / 2
    ends = (_pulled(start, middle, brush.pull * width[..., :1]), _pulled(end, middle, brush.pull * width[..., 1:]))
    return [
        *(ends[0], middle, ends[1]),
        brush.radius * width,
        vectors[..., 6:9],
        1 - (-density).exp(),
        brush.feather * _ink_width(mean, radius, brush),
    ]


def _ink_width(pressure: Tensor, radius: Tensor, brush: MyPaintBrush | Any) -> Tensor:
    """Standard deviation of the ink across a stroke, in pixels: that of a dab, and of its scatter."""
    return radius * (brush.width**2 + (SCATTER * pressure).square()).sqrt()


def _pulled(end: Tensor, middle: Tensor, distance: Tensor) -> Tensor:
    """The end, that much nearer to the middle control point; on a short way at most half of it."""
    way = middle - end
    return end + way * (distance / (way.square().sum(-1, True) + 4 * distance.square()).sqrt())


def _relative_curve(start: Tensor, middle: Tensor, end: Tensor) -> list[Tensor]:
    """Control points of which the middle one is given from start to end, along each axis."""
    return [start, start + (end - start) * middle, end]


def _learning_to_paint(vectors: Tensor, pixels: Tensor, side: float) -> list[Tensor]:
    # Its x is the row. Places are pixel numbers of its own canvas.
    start, middle, end = (vectors[..., i : i + 2].flip(-1) for i in (0, 2, 4))
    points = [((DISC_CANVAS - 1) * p + 0.5) * pixels / DISC_CANVAS for p in _relative_curve(start, middle, end)]
    radius = side * (1 / DISC_CANVAS + MAX_RADIUS * vectors[..., 6:8])
    return [*points, radius, vectors[..., 10:13], vectors[..., 8:10], _pixel_edges(vectors)]


def _snp_marker(vectors: Tensor, pixels: Tensor, side: float) -> list[Tensor]:
    start, middle, end = (vectors[..., i : i + 2] for i in (0, 2, 4))
    points = [(pixels - 1) * p + 0.5 for p in _relative_curve(start, middle, end)]
    # The second radius is not used by its renderer.
    radius = 1 + MAX_RADIUS * side * vectors[..., 6:7]
    both = (*vectors.shape[:2], 2)
    return [
        *points,
        radius.expand(both),
        vectors[..., 8:11],
        vectors[..., 11:12].expand(both),
        _pixel_edges(vectors),
    ]


def _pixel_edges(vectors: Tensor) -> Tensor:
    return vectors.new_full((*vectors.shape[:2], 1), PIXEL_EDGE)


def _bitmap_map(center: Tensor, sides: Tensor, turn: Tensor) -> Tensor:
    """(B, N, 6): the map (A, t) of the unit square to a rectangle about `center`, turned clockwise by pi * turn."""
    cos, sin = (math.pi * turn).cos(), (math.pi * turn).sin()
    across, down = torch.cat([cos, sin], -1) * sides[..., :1], torch.cat([-sin, cos], -1) * sides[..., 1:]
    return torch.stack([across, down, center - (across + down) / 2], -1).flatten(-2)
