"""Paintings at any size, band by band."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from neural_paint.stamps import Stamps
from neural_paint.strokes import Strokes
from neural_paint.tasks.lay import lay

# Pixels painted at once: enough to keep every thread busy.
_BAND_PIXELS = 1 << 19


def render(
    strokes: Strokes | Stamps, canvas: Sequence[int], background: Sequence[float], size: Sequence[int]
) -> Tensor:
    """Paint strokes made for one canvas at another size; working memory beyond the result is bounded.

    Args:
        strokes: (1, N) strokes in pixels of `canvas`.
        canvas: (H, W) that the strokes were made for.
        background: colour under the first stroke, one number per channel.
        size: (H, W) of the result. Where its proportions differ from the canvas's, centre lines are stretched to fit,
            but not the widths of strokes; stamps are stretched whole.

    Returns:
        (1, C, H, W) painting in the dtype and on the device of the strokes.

    Raises:
        ValueError: `strokes` are those of several paintings, or do not fit `background`.
    """
    painting = torch.empty(1, len(background), *size, dtype=strokes.dtype, device=strokes.device)
    top = 0
    for band in render_bands(strokes, canvas, background, size):
        painting[:, :, top : top + band.shape[2]] = band
        top += band.shape[2]
    return painting


def render_bands(
    strokes: Strokes | Stamps, canvas: Sequence[int], background: Sequence[float], size: Sequence[int]
) -> Iterator[Tensor]:
    """The painting of `render`, as (1, C, h, W) bands of rows from the top down, for a size that memory cannot hold.

    save_bands("poster.png", render_bands(strokes, canvas, background, (8192, 8192)), (8192, 8192))
    """
    strokes = resized(strokes, canvas, size)
    height, width = size
    color = torch.tensor(background, dtype=strokes.dtype, device=strokes.device)[None, :, None, None]
    boxes = strokes.bounds()[0]
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        band = strokes[:, (boxes[:, 1] < bottom) & (boxes[:, 3] > top)]
        with torch.no_grad():
            painted = lay(band.shifted(0, -top), color.expand(-1, -1, bottom - top, width))
        yield painted


def resized(strokes: Strokes | Stamps, canvas: Sequence[int], size: Sequence[int]) -> Strokes | Stamps:
    """The (1, N) strokes, detached, moved from a canvas of (H, W) pixels to one of `size`; see `render`."""
    if strokes.batch_size != 1:
        raise ValueError(f"strokes must be those of one painting, (1, N), got {strokes.shape}")
    return strokes.detach().stretched(size[1] / canvas[1], size[0] / canvas[0])
