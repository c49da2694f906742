"""What can be told of a photograph without decoding it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from neural_paint.io.images import READ_FORMATS, ImageError, orientation_of, own_pixel_limit, why_unreadable

# EXIF orientations whose picture stands upright only after a quarter turn.
_QUARTER_TURNS = (5, 6, 7, 8)


class PhotoInfo(NamedTuple):
    """Attributes: height and width in pixels, upright as `load_image` returns it, and the number of frames."""

    height: int
    width: int
    frames: int


def photo_info(path: str | os.PathLike[str]) -> PhotoInfo:
    """Size and frames of an image file, from its header.

    Raises:
        ImageError: the file cannot be read as an image.
    """
    try:
        with Path(path).open("rb") as file, own_pixel_limit():
            image = Image.open(file, formats=READ_FORMATS)
            width, height = image.size
            if orientation_of(image) in _QUARTER_TURNS:
                width, height = height, width
            return PhotoInfo(height, width, getattr(image, "n_frames", 1))
    except Exception as error:  # damaged files make Pillow's decoders raise many types
        raise ImageError(f"cannot read {path}: {why_unreadable(error)}") from error
