"""Bitmap brushes in: an image file as the alpha of a stamp."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from neural_paint.brushes import BitmapBrush, reduced
from neural_paint.io.images import ImageError, decode_image, to_eight_bits, to_srgb, turned_upright, why_unreadable

# Longest side of a brush in texels; finer detail would not show in a painting of any usual size.
MAX_TEXELS = 256
# What is no more than this share of the darkest is paper or the noise of a scanner, not paint.
_BLANK = 4 / 255
# Of sRGB values, for the lightness of a pixel (Rec. 709).
_LUMA = (0.2126, 0.7152, 0.0722)


def load_brush(path: str | os.PathLike[str]) -> BitmapBrush:
    """Read a brush tip from an image file of any kind that `load_image` reads.

    Its paint is where the image is opaque; where that is everywhere, as in most scans and brush libraries, where it is
    dark: black is alpha 1, white 0. What is empty around it is cut off, and what is larger than 256 pixels is reduced,
    each pixel the mean of its area. The image's colours are not used: each stamp has its own.

    Raises:
        ImageError: the file cannot be read as an image, or there is no paint in it.
    """
    try:
        alpha = _alpha(*decode_image(Path(path), None))
    except Exception as error:  # damaged files make Pillow's decoders raise many types
        raise ImageError(f"cannot read brush {path}: {why_unreadable(error)}") from error
    painted = alpha > _BLANK
    if not painted.any():
        raise ImageError(f"cannot read brush {path}: it is empty, all of it is transparent or white")
    rows, columns = painted.any(1).nonzero(), painted.any(0).nonzero()
    patch = alpha[rows[0, 0] : rows[-1, 0] + 1, columns[0, 0] : columns[-1, 0] + 1]
    return BitmapBrush(reduced(patch[None].contiguous(), MAX_TEXELS))


def _alpha(image: Image.Image, orientation: int | None) -> Tensor:
    """(H, W) in [0, 1], upright."""
    profile = image.info.get("icc_profile")
    image = to_eight_bits(image)
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    if alpha is not None and alpha.getextrema()[0] == 255:
        alpha = None
    plane = turned_upright(alpha or to_srgb(image.convert(image.mode.removesuffix("A")), profile), orientation)
    values = torch.from_numpy(np.array(plane)).float() / 255
    return values if alpha is not None else (1 - values @ values.new_tensor(_LUMA)).clamp(0, 1)
