"""Photographs of a folder as small squares: faces, and whatever else agents may draw."""

from __future__ import annotations

import errno
import math
import os
from pathlib import Path

import torch
from torch import Tensor

from neural_paint.io.images import load_image
from neural_paint.io.photo_info import photo_info
from neural_paint.painters.actions import STROKE_SIZE

# Of files that are read; others, such as notes and lists of labels, are passed over.
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".avif", ".gif", ".tif", ".tiff", ".bmp", ".ppm", ".pgm", ".jp2"}


def list_pictures(folder: Path) -> list[Path]:
    """The picture files in a folder and in those in it, by name; hidden ones are passed over.

    Raises:
        ValueError: there are none.
        OSError: the folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise OSError(error.errno or errno.EIO, f"cannot read {folder}: {error.strerror or error}") from error

    found = []
    for parent, folders, files in os.walk(folder, onerror=refuse, followlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".")]
        shown = (Path(parent) / name for name in files if not name.startswith("."))
        found += [path for path in shown if path.suffix.lower() in _SUFFIXES]
    if not found:
        raise ValueError(f"cannot load {folder}: it must hold pictures or train-images-idx3-ubyte, got neither")
    return sorted(found, key=lambda path: path.relative_to(folder).parts)


def read_pictures(paths: list[Path]) -> Tensor:
    """The middle square of each: (M, 3, 64, 64) uint8.

    Raises:
        ImageError: a file cannot be read; one sentence that names it.
    """
    pictures = torch.empty(len(paths), 3, STROKE_SIZE, STROKE_SIZE, dtype=torch.uint8)
    for picture, path in zip(pictures, paths, strict=True):
        info = photo_info(path)
        # The shorter side is what has to be 64 pixels.
        longest = math.ceil(STROKE_SIZE * max(info.height, info.width) / min(info.height, info.width))
        (photo,) = load_image(path, size=longest)
        top, left = ((side - STROKE_SIZE) // 2 for side in photo.shape[1:])
        square = photo[:, top : top + STROKE_SIZE, left : left + STROKE_SIZE]
        picture.copy_(square.mul(255).round())
    return pictures


def folder_labels(folder: Path, paths: list[Path]) -> Tensor:
    """(M,) int64: a number for each folder in the folder, by name; -1 for what lies in the folder itself."""
    folders = [path.relative_to(folder).parts[:-1][:1] for path in paths]
    numbers = {name: number for number, name in enumerate(sorted({name for name in folders if name}))}
    return torch.tensor([numbers.get(name, -1) for name in folders])
