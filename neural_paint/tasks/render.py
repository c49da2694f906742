"""Paintings at any size, band by band."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from neural_paint.action_strokes import ActionStrokes, AnyStrokes
from neural_paint.painters.base import NeuralPainter
from neural_paint.tasks.lay import lay, mask_sizes

# Pixels painted at once: enough to keep every thread busy. A neural painter shows a stroke anew for each band.
_BAND_PIXELS = 1 << 19
_ACTION_BAND_PIXELS = 1 << 22


def render(
    strokes: AnyStrokes,
    canvas: Sequence[int],
    background: Sequence[float],
    size: Sequence[int],
    *,
    painter: NeuralPainter | None = None,
) -> Tensor:
    """Paint strokes made for one canvas at another size; working memory beyond the result is bounded.

    Args:
        strokes: (1, N) strokes in pixels of `canvas`.
        canvas: (H, W) that the strokes were made for.
        background: colour under the first stroke, one number per channel.
        size: (H, W) of the result. Where its proportions differ from the canvas's, centre lines are stretched to fit,
            but not the widths of strokes; stamps are stretched whole, and the squares of actions stay squares.
        painter: shows strokes that are actions, in masks as fine as the result where it can; on their device, in their
            dtype.

    Returns:
        (1, C, H, W) painting in the dtype and on the device of the strokes.

    Raises:
        ValueError: `strokes` are those of several paintings, do not fit `background`, or lack a painter.
    """
    painting = torch.empty(1, len(background), *size, dtype=strokes.dtype, device=strokes.device)
    top = 0
    for band in render_bands(strokes, canvas, background, size, painter=painter):
        painting[:, :, top : top + band.shape[2]] = band
        top += band.shape[2]
    return painting


def render_bands(
    strokes: AnyStrokes,
    canvas: Sequence[int],
    background: Sequence[float],
    size: Sequence[int],
    *,
    painter: NeuralPainter | None = None,
) -> Iterator[Tensor]:
    """The painting of `render`, as (1, C, h, W) bands of rows from the top down, for a size that memory cannot hold.

    save_bands("poster.png", render_bands(strokes, canvas, background, (8192, 8192)), (8192, 8192))
    """
    strokes = resized(strokes, canvas, size)
    height, width = size
    color = torch.tensor(background, dtype=strokes.dtype, device=strokes.device)[None, :, None, None]
    boxes, sizes = strokes.bounds()[0], mask_sizes(strokes, painter)
    pixels = _ACTION_BAND_PIXELS if isinstance(strokes, ActionStrokes) else _BAND_PIXELS
    rows = max(1, pixels // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        inside = (boxes[:, 1] < bottom) & (boxes[:, 3] > top)
        band = strokes[:, inside]
        with torch.no_grad():
            painted = lay(
                band.shifted(0, -top),
                color.expand(-1, -1, bottom - top, width),
                painter,
                None if sizes is None else sizes[inside.cpu()],
            )
        yield painted


def resized(strokes: AnyStrokes, canvas: Sequence[int], size: Sequence[int]) -> AnyStrokes:
    """The (1, N) strokes, detached, moved from a canvas of (H, W) pixels to one of `size`; see `render`."""
    if strokes.batch_size != 1:
        raise ValueError(f"strokes must be those of one painting, (1, N), got {strokes.shape}")
    return strokes.detach().stretched(size[1] / canvas[1], size[0] / canvas[0])
