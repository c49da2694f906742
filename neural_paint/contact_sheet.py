"""Sheets of pictures side by side, each below its title."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

# Gap between two panels, and height of the letters of a title, in widths of a panel, and their bounds in pixels.
_GAP, _LETTER = 1 / 50, 1 / 24
_GAPS, _LETTERS = (2, 40), (8, 64)


def contact_sheet(pictures: Sequence[Tensor], titles: Sequence[str], columns: int) -> Tensor:
    """(1, 3, h, w) float32 on the CPU: pictures (1, 3, H, W) in [0, 1] of one size, row by row, with their titles."""
    height, width = pictures[0].shape[2:]
    gap = panel_gap(width)
    columns = min(columns, len(pictures))
    rows = []
    for begin in range(0, len(pictures), columns):
        shown = [picture.detach().cpu().float() for picture in pictures[begin : begin + columns]]
        blank = torch.ones(1, 3, height, width)
        shown += [blank] * (columns - len(shown))
        parts = [shown[0]]
        for panel in shown[1:]:
            parts += [blank[..., :gap], panel]
        names = [*titles[begin : begin + columns]]
        rows += [title_band(names + [""] * (columns - len(names)), width), torch.cat(parts, 3)]
    return torch.cat(rows, 2)


def image_band(pixels: np.ndarray) -> Tensor:
    """uint8 rows (h, W, 3) as a float tensor (1, 3, h, W) in [0, 1]."""
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


def panel_gap(width: int) -> int:
    """Pixels between two panels of so many pixels."""
    return _within(_GAP * width, _GAPS)


def title_height(width: int) -> int:
    """Pixels of titles above panels of so many."""
    return 2 * _within(_LETTER * width, _LETTERS)


def _within(value: float, bounds: tuple[int, int]) -> int:
    return round(min(max(value, bounds[0]), bounds[1]))


def title_band(titles: Sequence[str], width: int) -> Tensor:
    """Titles above panels side by side, each `width` pixels wide: (1, 3, h, W)."""
    height = title_height(width)
    band = Image.new("RGB", (len(titles) * width + (len(titles) - 1) * panel_gap(width), height), "white")
    draw = ImageDraw.Draw(band)
    for index, title in enumerate(titles):
        letter = height / 2
        while letter > _LETTERS[0] and draw.textlength(title, font=ImageFont.load_default(letter)) > width:
            letter *= 0.9
        left = index * (width + panel_gap(width))
        draw.text((left, height / 2), title, fill="black", font=ImageFont.load_default(letter), anchor="lm")
    return image_band(np.asarray(band).copy())
