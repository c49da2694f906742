"""Paintings at any size, band by band."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from neural_paint.ops.paint import paint
from neural_paint.strokes import Strokes

# Pixels painted at once: enough to keep every thread busy, and 50 MB of working memory for RGB.
_BAND_PIXELS = 1 << 22


def render(strokes: Strokes, canvas: Sequence[int], background: Sequence[float], size: Sequence[int]) -> Tensor:
    """Paint strokes made for one canvas at another size.

    Args:
        strokes: (1, N) strokes in pixels of `canvas`.
        canvas: (H, W) that the strokes were made for.
        background: colour under the first stroke, one number per channel.
        size: (H, W) of the result; a side of another proportion than the canvas shows more or less of its border.

    Returns:
        (1, C, H, W) painting in the dtype of the strokes.
    """
    height, width = size
    scale = max(size) / max(canvas)
    strokes = strokes.detach().scaled(scale)
    color = torch.tensor(background, dtype=strokes.dtype, device=strokes.device)[None, :, None, None]
    painting = color.new_empty(1, len(background), height, width)
    boxes = strokes.bounds()[0]
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        inside = strokes[:, (boxes[:, 1] < bottom) & (boxes[:, 3] > top)]
        inside = inside.replace(points=inside.points - inside.points.new_tensor([0.0, top]))
        with torch.no_grad():
            painting[:, :, top:bottom] = paint(inside, color.expand(-1, -1, bottom - top, width))
    return painting
