"""What a neural painter shows and what the painting program paints of the same strokes, side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

# By what the difference is multiplied: strokes differ by a few levels of 255, which no one sees.
DIFFERENCE_SCALE = 4
_PANELS = 3
# Gap between two panels, and height of the letters of a title, in widths of a panel, and their bounds in pixels.
_GAP, _LETTER = 1 / 50, 1 / 24
_GAPS, _LETTERS = (2, 40), (8, 64)


def sheet_size(size: Sequence[int]) -> tuple[int, int]:
    """(H, W) of the sheet of paintings of (H, W) pixels."""
    height, width = size
    return height + _title_height(width), _PANELS * width + (_PANELS - 1) * panel_gap(width)


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


def image_band(pixels: np.ndarray) -> Tensor:
    """uint8 rows (h, W, 3) as a float tensor (1, 3, h, W) in [0, 1]."""
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


def panel_gap(width: int) -> int:
    """Pixels between two panels of so many pixels."""
    return _within(_GAP * width, _GAPS)


def _title_height(width: int) -> int:
    return 2 * _within(_LETTER * width, _LETTERS)


def _within(value: float, bounds: tuple[int, int]) -> int:
    return round(min(max(value, bounds[0]), bounds[1]))


def title_band(titles: Sequence[str], width: int) -> Tensor:
    """Titles above panels side by side, each `width` pixels wide: (1, 3, h, W)."""
    height = _title_height(width)
    band = Image.new("RGB", (len(titles) * width + (len(titles) - 1) * panel_gap(width), height), "white")
    draw = ImageDraw.Draw(band)
    for index, title in enumerate(titles):
        letter = height / 2
        while letter > _LETTERS[0] and draw.textlength(title, font=ImageFont.load_default(letter)) > width:
            letter *= 0.9
        left = index * (width + panel_gap(width))
        draw.text((left, height / 2), title, fill="black", font=ImageFont.load_default(letter), anchor="lm")
    return image_band(np.asarray(band).copy())
