"""Paintings out: float tensors of plain sRGB values as files of 8 bits a channel, written band by band."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from neural_paint.io.atomic import check_writable, open_atomic
from neural_paint.io.images import MAX_PIXELS, ImageError

# Suffix -> (Pillow's name, its options, largest side that the format can hold). PNG at level 4 takes 6 % more room than
# at Pillow's 6 and 40 % of the time.
_WRITE_FORMATS: dict[str, tuple[str, dict[str, object], int]] = {
    ".png": ("PNG", {"compress_level": 4}, 2**31 - 1),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}, 65_500),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}, 65_500),
    ".webp": ("WEBP", {"quality": 95}, 16_383),
}
# Pixels of a tensor that are converted at once.
_BAND_PIXELS = 1 << 18


def save_image(path: str | os.PathLike[str], image: Tensor) -> None:
    """Write a painting as PNG, JPEG (quality 95, full colour resolution) or WebP, by the suffix of `path`.

    Args:
        path: the file; replaced only once the new one is complete.
        image: floating tensor (C, H, W) or (1, C, H, W) with C = 1 (grey) or 3 (sRGB); clamped to [0, 1].

    Raises:
        TypeError, ValueError: `image` is not such a tensor.
        ImageError: unknown suffix, NaN in the image, a side beyond what the format can hold, or too many pixels.
        OSError: the file cannot be written; an old one is intact.
    """
    check_image("image", image)
    height, width = image.shape[-2:]
    save_bands(path, image.split(max(1, _BAND_PIXELS // width), dim=-2), (height, width))


def save_bands(path: str | os.PathLike[str], bands: Iterable[Tensor], size: Sequence[int]) -> None:
    """Write a painting that comes in bands of rows, as `save_image` does; it takes 4 bytes of memory a pixel.

    Args:
        path: the file; replaced only once the new one is complete.
        bands: floating tensors (C, h, W) or (1, C, h, W) from the top down, such as `tasks.render_bands` yields.
        size: (H, W) of the whole.

    Raises:
        TypeError, ValueError: a band is not such a tensor, or the bands do not make up `size`.
        ImageError, OSError: as `save_image`.
    """
    name, options = check_picture(path, size)
    check_writable(path)
    height, width = size
    picture, bottom = None, 0
    for band in bands:
        check_image("band", band)
        top, bottom = bottom, bottom + band.shape[-2]
        if band.shape[-1] != width or bottom > height:
            raise ValueError(f"bands must make up {height} x {width} pixels, got {tuple(band.shape)} at row {top}")
        try:
            pixels = Image.fromarray(to_bytes(band, top))
        except ImageError as error:
            raise ImageError(f"cannot write {path}: {error}") from None
        picture = picture or Image.new(pixels.mode, (width, height))
        picture.paste(pixels, (0, top))
    if picture is None or bottom != height:
        raise ValueError(f"bands must make up {height} x {width} pixels, got {bottom} rows")
    with open_atomic(path) as file:
        picture.save(file, name, **options)


def check_picture(path: str | os.PathLike[str], size: Sequence[int]) -> tuple[str, dict[str, object]]:
    """Pillow's name and options of the format that a painting of (H, W) pixels is written in.

    Raises:
        ImageError: the suffix is not known, or the format or this program cannot hold so many pixels.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _WRITE_FORMATS:
        raise ImageError(f"cannot write {path}: the name must end in one of {', '.join(_WRITE_FORMATS)}")
    name, options, longest = _WRITE_FORMATS[suffix]
    height, width = size
    if max(size) > longest:
        raise ImageError(f"cannot write {path}: {name} holds at most {longest} pixels a side, got {max(size)}")
    if height * width > MAX_PIXELS:
        raise ImageError(f"cannot write {path}: {width} x {height} pixels are more than {MAX_PIXELS:,}")
    return name, options


def check_image(name: str, image: Tensor) -> None:
    """TypeError or ValueError where `image`, called `name`, is no floating tensor (C, H, W) or (1, C, H, W)."""
    if not isinstance(image, Tensor) or not image.is_floating_point():
        kind = image.dtype if isinstance(image, Tensor) else type(image).__name__
        raise TypeError(f"{name} must be a floating tensor, got {kind}")
    shape = tuple(image.shape)
    channels = shape[1:2] if len(shape) == 4 and shape[0] == 1 else shape[:1] if len(shape) == 3 else ()
    if channels not in ((1,), (3,)) or image.numel() == 0:
        raise ValueError(f"{name} must have shape (C, H, W) or (1, C, H, W) with C = 1 or 3 and H, W >= 1, got {shape}")


def to_bytes(image: Tensor, top: int = 0) -> np.ndarray:
    """uint8 pixels (H, W) or (H, W, 3) of an image that `check_image` accepts; `top` is its row in the whole one.

    Raises:
        ImageError: NaN in the image.
    """
    image = image.detach().reshape(image.shape[-3:])
    channels, height, width = image.shape
    pixels = torch.empty(height, width, channels, dtype=torch.uint8)
    rows = max(1, _BAND_PIXELS // width)
    for begin in range(0, height, rows):
        band = image[:, begin : begin + rows]
        band = band if band.dtype == torch.float64 else band.float()
        nan = band.isnan()
        if nan.any():
            channel, y, x = nan.nonzero()[0].tolist()
            raise ImageError(f"the image is nan at (c, y, x) = ({channel}, {top + begin + y}, {x})")
        levels = band.clamp(0, 1).mul_(255).round_().to(torch.uint8)
        pixels[begin : begin + rows] = levels.permute(1, 2, 0)
    return (pixels[..., 0] if channels == 1 else pixels).numpy()
