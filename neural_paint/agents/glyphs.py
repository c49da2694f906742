"""Characters of a font as a hand might draw them: pictures in any number, for want of a packaged Kuzushiji-MNIST."""

from __future__ import annotations

import errno
import string
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from neural_paint.painters.actions import STROKE_SIZE

FONT_SUFFIXES = {".ttf", ".otf", ".ttc"}

# Those of Kuzushiji-49.
_HIRAGANA = "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわゐゑをんゝ"
# Katakana lie 96 places after hiragana.
_KATAKANA = "".join(chr(ord(letter) + 96) for letter in _HIRAGANA)
CHARACTERS = {
    "digits": string.digits,
    "latin": string.ascii_letters,
    "hiragana": _HIRAGANA,
    "katakana": _KATAKANA,
}

# Side of the masks that are distorted, and of the largest character on them: the rest is margin.
_SIDE, _LARGEST = 128, 84
# By how many pixels of a mask outlines grow: as by a broader pen.
_PENS = (0, 1, 2, 4)
# Most that a glyph is turned, in radians; leans; grows or shrinks; is shifted, in halves of the picture.
_TURN, _LEAN, _GROWTH, _SHIFT = 0.2, 0.3, 0.12, 0.08
# The hand's own shape: points of so coarse a grid are displaced by up to so much, in halves of the picture.
_BENDS, _BEND = 4, 0.08
# Made at a time: 16 MB of masks.
_CHUNK = 256
# No font has a glyph for it.
_UNASSIGNED = "\U0010ffff"


class Glyphs:
    """A font's characters, white on black, in pens of several breadths.

    Attributes:
        labels: for each character that the font has, its place in the text that was asked for.
    """

    def __init__(self, path: Path, characters: str) -> None:
        """`characters` is a text, or one of the names of `CHARACTERS`.

        Raises:
            ValueError: the file is no font, or has none of the characters.
            OSError: it cannot be read.
        """
        try:
            data = path.open("rb")
        except OSError as error:
            raise OSError(error.errno or errno.EIO, f"cannot load {path}: {error.strerror or error}") from error
        with data:
            try:
                font = ImageFont.truetype(data, _LARGEST)
            except OSError as error:
                raise ValueError(f"cannot load {path}: it is not a font ({error})") from error
            missing = _shape(font, _UNASSIGNED)
            text = list(enumerate(CHARACTERS.get(characters, characters)))
            shown = [(label, letter) for label, letter in text if _shape(font, letter) not in (missing, None)]
            if not shown:
                raise ValueError(f"cannot load {path}: it must have a character of {characters!r}, got none")
            font = _fitted(font, [letter for _, letter in shown])
            masks = [_mask(font, letter, pen) for _, letter in shown for pen in _PENS]
        self.labels = torch.tensor([label for label, _ in shown])
        # (characters, pens, 128, 128) in [0, 1]; smoothed, as only a quarter of the pixels is looked up.
        smooth = F.avg_pool2d(torch.stack(masks), 3, 1, 1)
        self._masks = smooth.unflatten(0, (len(shown), len(_PENS)))

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Pictures (count, 1, 64, 64) uint8, black on white, and labels; each character comes equally often."""
        characters = torch.arange(count) % len(self.labels)
        pictures = torch.empty(count, 1, STROKE_SIZE, STROKE_SIZE, dtype=torch.uint8)
        for first in range(0, count, _CHUNK):
            part = slice(first, first + _CHUNK)
            pictures[part] = self._drawn(characters[part], generator)
        return pictures, self.labels[characters]

    def _drawn(self, characters: Tensor, generator: torch.Generator) -> Tensor:
        pens = torch.randint(len(_PENS), characters.shape, generator=generator)
        masks = self._masks[characters, pens][:, None]
        grid = _hand(len(characters), generator)
        ink = F.grid_sample(masks, grid, align_corners=False)
        return (1 - ink).mul(255).round().byte()


def _hand(count: int, generator: torch.Generator) -> Tensor:
    """Where in its mask each pixel of `count` pictures comes from: (count, 64, 64, 2)."""

    def within(most: float, *shape: int) -> Tensor:
        return most * (2 * torch.rand(count, *shape, generator=generator) - 1)

    angle, lean, growth = within(_TURN), within(_LEAN), 1 + within(_GROWTH, 2)
    sine, cosine = angle.sin(), angle.cos()
    turned = torch.stack([cosine, -sine, sine, cosine], -1).unflatten(-1, (2, 2))
    leaning = torch.eye(2).repeat(count, 1, 1)
    leaning[:, 0, 1] = lean
    matrix = torch.cat([turned @ leaning / growth[:, None], within(_SHIFT, 2, 1)], -1)
    size = (STROKE_SIZE, STROKE_SIZE)
    straight = F.affine_grid(matrix, [count, 1, *size], align_corners=False)
    bends = F.interpolate(within(_BEND, 2, _BENDS, _BENDS), size=size, mode="bicubic", align_corners=True)
    return straight + bends.permute(0, 2, 3, 1)


def _fitted(font: ImageFont.FreeTypeFont, letters: list[str]) -> ImageFont.FreeTypeFont:
    """In the size in which the largest of the letters is as large as it is to be."""
    boxes = [font.getmask(letter).getbbox() for letter in letters]
    largest = max(max(right - left, bottom - top) for left, top, right, bottom in boxes)
    return font.font_variant(size=font.size * _LARGEST / largest)


def _shape(font: ImageFont.FreeTypeFont, letter: str) -> bytes | None:
    """By what a glyph is known; None where it has no ink."""
    mask = font.getmask(letter)
    return bytes(mask) if mask.getbbox() else None


def _mask(font: ImageFont.FreeTypeFont, letter: str, pen: int) -> Tensor:
    """(128, 128) in [0, 1], the ink in the middle."""
    left, top, _, _ = font.getbbox(letter)
    drawn = Image.new("L", (3 * _SIDE, 3 * _SIDE))
    ImageDraw.Draw(drawn).text((_SIDE - left, _SIDE - top), letter, fill=255, font=font, stroke_width=pen)
    ink = drawn.crop(drawn.getbbox())
    image = Image.new("L", (_SIDE, _SIDE))
    image.paste(ink, ((_SIDE - ink.width) // 2, (_SIDE - ink.height) // 2))
    return torch.from_numpy(np.array(image)).float() / 255
