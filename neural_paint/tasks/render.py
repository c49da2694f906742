"""Paintings at any size, band by band."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from neural_paint.ops.paint import paint
from neural_paint.strokes import Strokes

# Pixels painted at once: enough to keep every thread busy.
_BAND_PIXELS = 1 << 19


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

    Raises:
        ValueError: `strokes` are those of several paintings, or do not fit `background`.
    """
    painting = strokes.points.new_empty(1, len(background), *size)
    top = 0
    for band in render_bands(strokes, canvas, background, size):
        painting[:, :, top : top + band.shape[2]] = band
        top += band.shape[2]
    return painting


def render_bands(
    strokes: Strokes, canvas: Sequence[int], background: Sequence[float], size: Sequence[int]
) -> Iterator[Tensor]:
    """The painting of `render`, as (1, C, h, W) bands of rows from the top down, for a size that memory cannot hold.

    save_bands("poster.png", render_bands(strokes, canvas, background, (8192, 8192)), (8192, 8192))
    """
    strokes = resized(strokes, canvas, size)
    height, width = size
    color = strokes.points.new_tensor(background)[None, :, None, None]
    boxes = strokes.bounds()[0]
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        band = strokes[:, (boxes[:, 1] < bottom) & (boxes[:, 3] > top)]
        band = band.replace(points=band.points - band.points.new_tensor([0, top]))
        with torch.no_grad():
            painted = paint(band, color.expand(-1, -1, bottom - top, width))
        yield painted


def resized(strokes: Strokes, canvas: Sequence[int], size: Sequence[int]) -> Strokes:
    """The (1, N) strokes, detached, moved from a canvas of (H, W) pixels to one of `size`; see `render`."""
    if strokes.batch_size != 1:
        raise ValueError(f"strokes must be those of one painting, (1, N), got {strokes.shape}")
    height, width = size
    stretch = strokes.points.new_tensor([width / canvas[1], height / canvas[0]])
    broader = math.sqrt(width * height / (canvas[1] * canvas[0]))
    strokes = strokes.detach()
    return strokes.replace(
        points=strokes.points * stretch, radius=strokes.radius * broader, feather=strokes.feather * broader
    )
