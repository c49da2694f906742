"""Paintings at any size, band by band."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from neural_paint.ops.paint import paint
from neural_paint.strokes import Strokes

# Pixels painted at once: enough to keep every thread busy, and 50 MB of working memory for RGB.
_BAND_PIXELS = 1 << 22


def render(strokes: Strokes, canvas: Sequence[int], background: Sequence[float], size: Sequence[int]) -> Tensor:
    """Paint strokes made for one canvas at another size; working memory beyond the result is bounded.

    Args:
        strokes: (1, N) strokes in pixels of `canvas`.
        canvas: (H, W) that the strokes were made for.
        background: colour under the first stroke, one number per channel.
        size: (H, W) of the result. Where its proportions differ from the canvas's, centre lines are stretched to fit,
            but not the widths of strokes.

    Returns:
        (1, C, H, W) painting in the dtype and on the device of the strokes.
    """
    height, width = size
    stretch = strokes.points.new_tensor([width / canvas[1], height / canvas[0]])
    broader = math.sqrt(width * height / (canvas[1] * canvas[0]))
    strokes = strokes.detach().replace(
        points=strokes.points.detach() * stretch,
        radius=strokes.radius.detach() * broader,
        feather=strokes.feather.detach() * broader,
    )
    color = strokes.points.new_tensor(background)[None, :, None, None]
    painting = color.new_empty(1, len(background), height, width)
    boxes = strokes.bounds()[0]
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        band = strokes[:, (boxes[:, 1] < bottom) & (boxes[:, 3] > top)]
        band = band.replace(points=band.points - band.points.new_tensor([0, top]))
        with torch.no_grad():
            painting[:, :, top:bottom] = paint(band, color.expand(-1, -1, bottom - top, width))
    return painting
