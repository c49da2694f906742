"""What a neural painter shows and what the painting program paints of the same strokes, side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from neural_paint.contact_sheet import image_band, panel_gap, title_band, title_height

# By what the difference is multiplied: strokes differ by a few levels of 255, which no one sees.
DIFFERENCE_SCALE = 4
_PANELS = 3


def sheet_size(size: Sequence[int]) -> tuple[int, int]:
    """(H, W) of the sheet of paintings of (H, W) pixels."""
    height, width = size
    return height + title_height(width), _PANELS * width + (_PANELS - 1) * panel_gap(width)


class Sheet:
    """Three panels with titles: what the painter shows, what the program painted, and how far they are apart.

    Args:
        shown: bands of rows (1, 3, h, W) of the painter's picture, from the top down.
        painted: (H, W, 3) uint8, the program's.
        titles: of the first two panels.

    Attributes:
        psnr: peak signal-to-noise ratio of one picture to the other in dB, once `bands` has gone through.
    """

    def __init__(self, shown: Iterator[Tensor], painted: np.ndarray, titles: Sequence[str]) -> None:
        self._shown = shown
        self._painted = painted
        self._titles = (*titles, f"difference x {DIFFERENCE_SCALE}")
        self.psnr = math.nan

    def bands(self) -> Iterator[Tensor]:
        """The sheet (1, 3, h, W) from the top down."""
        height, width, channels = self._painted.shape
        yield title_band(self._titles, width)
        top, error = 0, 0.0
        for shown in self._shown:
            shown = shown.cpu().float().clamp(0, 1)
            painted = image_band(self._painted[top : top + shown.shape[2]])
            top += shown.shape[2]
            difference = (shown - painted).abs()
            error += float(difference.double().square().sum())
            gap = shown.new_ones(1, channels, shown.shape[2], panel_gap(width))
            yield torch.cat([shown, gap, painted, gap, (DIFFERENCE_SCALE * difference).clamp(max=1)], 3)
        self.psnr = -10 * math.log10(max(error / (height * width * channels), 1e-12))
