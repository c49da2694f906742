"""Photographs in: Pillow images as float tensors of plain sRGB values."""

from __future__ import annotations

import contextlib
import io
import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError
from torch import Tensor

# A bound on what one file can make us allocate: 512 million pixels decode to 2 GB.
MAX_PIXELS = 512_000_000
# Decoders that run on the file alone; Pillow's EPS reader, for one, starts another program.
READ_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "PPM", "JPEG2000")
# Reducing by whole factors down to 3 times the target first costs no visible quality and most of the time is saved.
_REDUCING_GAP = 3.0

# EXIF orientation -> what turns the stored picture upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Pillow's own limit is a global of its module.
_pillow_limit = threading.Lock()


class ImageError(ValueError):
    """An image that cannot be read or written; the message is one sentence naming the file and the problem."""


def load_image(
    path: str | os.PathLike[str], *, size: int | None = None, background: Sequence[float] = (1.0, 1.0, 1.0)
) -> Tensor:
    """Read a photograph as a float32 tensor (1, 3, H, W) of sRGB values in [0, 1].

    The picture is upright (EXIF), in sRGB (an embedded colour profile is applied; a broken one is ignored), opaque
    (composited over `background`) and the first frame of an animation. Grey, palette, CMYK and 16-bit files are
    converted; every channel ends with 8 bits. JPEG, PNG, WebP, AVIF, GIF, TIFF, BMP, PPM and JPEG 2000 are read.

    Args:
        path: the file, of at most `MAX_PIXELS` pixels.
        size: longest side of the result in pixels, the aspect ratio kept and no side less than 1; None keeps the size.
            Reduced and enlarged by a Lanczos filter as wide as the reduction asks: every source pixel counts, as in an
            average over areas, and edges stay sharper. A JPEG is decoded no larger than it needs to be.
        background: sRGB colour under transparent pixels, three values in [0, 1].

    Raises:
        ImageError: the file cannot be read as an image.
    """
    if size is not None and size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    if len(background) != 3 or not all(0 <= value <= 1 for value in background):
        raise ValueError(f"background must be three values in [0, 1], got {background}")
    try:
        image, orientation = decode_image(Path(path), size)
        return _to_tensor(_opaque_srgb(image, size, background, orientation))
    except Exception as error:  # damaged files make Pillow's decoders raise many types
        raise ImageError(f"cannot read {path}: {why_unreadable(error)}") from error


def demo_photo() -> Path:
    """The photograph that ships with the package: Chelsea the cat by Stefan van der Walt, CC0."""
    return Path(str(resources.files("neural_paint") / "data" / "chelsea.jpg"))


def why_unreadable(error: Exception) -> str:
    if isinstance(error, ImageError):
        return str(error)
    if isinstance(error, UnidentifiedImageError):
        return "it is not an image of a known format"
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, IsADirectoryError):
        return "it is a folder"
    if isinstance(error, PermissionError):
        return "permission denied"
    detail = str(error).splitlines() or [type(error).__name__]
    return f"it is damaged or of an unsupported kind ({detail[0]})"


@contextlib.contextmanager
def own_pixel_limit() -> Iterator[None]:
    """Replace Pillow's bound on decompression bombs, which a large photograph exceeds, by the check in `_decode`."""
    with _pillow_limit:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def decode_image(path: Path, size: int | None) -> tuple[Image.Image, int | None]:
    """The first frame as stored, and its EXIF orientation."""
    with path.open("rb") as file, own_pixel_limit(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged metadata, which are ignored here
        image = Image.open(file, formats=READ_FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise ImageError(f"it has {image.width} x {image.height} pixels, more than {MAX_PIXELS:,}")
        if size is not None:
            width, height = _fit(image.size, size)
            image.draft(None, (int(width * _REDUCING_GAP), int(height * _REDUCING_GAP)))
        image.load()
        # After loading: some decoders turn the picture themselves and drop the tag.
        return image, orientation_of(image)


def _fit(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """(width, height) scaled so that the longer side is `longest`."""
    scale = longest / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _opaque_srgb(
    image: Image.Image, size: int | None, background: Sequence[float], orientation: int | None
) -> Image.Image:
    """The picture at its final size, opaque, in sRGB and upright: cheap steps last, once it is small."""
    profile = image.info.get("icc_profile")
    image = to_eight_bits(image)
    if size is not None and max(image.size) != size:
        # Pillow resizes premultiplied where there is alpha, so that hidden colours do not bleed.
        image = image.resize(_fit(image.size, size), Image.Resampling.LANCZOS, reducing_gap=_REDUCING_GAP)
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    image = to_srgb(image.convert(image.mode.removesuffix("A")), profile)
    if alpha is not None:
        canvas = Image.new("RGB", image.size, tuple(round(255 * value) for value in background))
        canvas.paste(image, mask=alpha)
        image = canvas
    return turned_upright(image, orientation)


def turned_upright(image: Image.Image, orientation: int | None) -> Image.Image:
    """The picture as its camera was held, by the EXIF orientation."""
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def orientation_of(image: Image.Image) -> int | None:
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # damaged EXIF raises many types; the picture is shown as stored
        return None


def to_eight_bits(image: Image.Image) -> Image.Image:
    """The same pixels in mode L, LA, RGB, RGBA or CMYK."""
    if image.mode in ("L", "LA", "RGB", "RGBA", "CMYK") and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        return _scale_grey(image)
    if image.mode == "F":
        raise ImageError("floating-point pixels have no defined white")
    if image.has_transparency_data:
        return image.convert("LA" if image.mode in ("1", "L") else "RGBA")
    return image.convert("L" if image.mode == "1" else "RGB")


def _scale_grey(image: Image.Image) -> Image.Image:
    """16-bit grey as L, or as LA where one value stands for transparent."""
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise ImageError("32-bit pixels have no defined white")
    grey = Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))
    key = image.info.get("transparency")
    if not isinstance(key, int):
        return grey
    return Image.merge("LA", (grey, Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8))))


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if not profile:
        return image.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        # A grey or CMYK picture may carry the profile of the RGB picture it was made from.
        fits = {"GRAY": "L", "RGB ": "RGB", "CMYK": "CMYK"}.get(source.profile.xcolor_space) == image.mode
        converted = ImageCms.profileToProfile(
            image if fits else image.convert("RGB"),
            source,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError):
        return image.convert("RGB")
    return converted or image.convert("RGB")


def _to_tensor(image: Image.Image) -> Tensor:
    pixels = torch.from_numpy(np.array(image))
    return pixels.permute(2, 0, 1)[None].contiguous().to(torch.float32).div_(255)
