"""IDX files, in which MNIST and its like are published: an array of bytes behind its shape, plain or in gzip."""

from __future__ import annotations

import errno
import gzip
import math
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import torch
from torch import Tensor

# What the files of a folder are called: a set, and what of it.
_SETS = ("train", "t10k")
_PICTURES, _LABELS = ("images", 3), ("labels", 1)
_GZIP = b"\x1f\x8b"
# The type of an array of unsigned bytes; others hold no pictures.
_UNSIGNED_BYTES = 8
# Read at a time, so that a file that claims to be long needs no more memory than it has bytes.
_PIECE = 1 << 24


def read_idx(path: str | os.PathLike[str], dimensions: int) -> np.ndarray:
    """The array of an IDX file: uint8, of so many dimensions.

    Raises:
        ValueError: naming the file, the rule that it breaks and what was found.
        OSError: it cannot be read.
    """
    try:
        with Path(path).open("rb") as raw:
            packed = raw.read(len(_GZIP)) == _GZIP
            raw.seek(0)
            # Typeshed does not say that a GzipFile is a binary file.
            return _read(cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if packed else raw, dimensions)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(f"cannot load {path}: it is damaged ({error})") from error
    except OSError as error:
        raise OSError(error.errno or errno.EIO, f"cannot load {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ValueError(f"cannot load {path}: {error}") from error


def idx_folder(folder: Path) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor] | None] | None:
    """Pictures (M, 1, h, w) and labels (M,) of the training and of the test set of a folder whose files are called as
    MNIST's, the test set being None where it is not there; or None where no training set is.

    Raises:
        ValueError, OSError: as of `read_idx`; or pictures and labels are not as many.
    """
    found = {(of, what): _find(folder, of, *what) for of in _SETS for what in (_PICTURES, _LABELS)}
    pairs = [(found[of, _PICTURES], found[of, _LABELS]) for of in _SETS]
    (train, train_labels), (test, test_labels) = pairs
    if train is None:
        return None
    return idx_pair(train, train_labels), None if test is None else idx_pair(test, test_labels)


def idx_pair(pictures: Path, labels: Path | None = None) -> tuple[Tensor, Tensor]:
    """Pictures (M, 1, h, w) uint8 and labels (M,) int64, which are -1 where there is no file of them."""
    images = torch.from_numpy(read_idx(pictures, 3))[:, None]
    if not images.numel():
        raise ValueError(f"cannot load {pictures}: it must hold pictures, got shape {tuple(images[:, 0].shape)}")
    if labels is None:
        return images, torch.full((len(images),), -1)
    numbers = torch.from_numpy(read_idx(labels, 1)).long()
    if len(numbers) != len(images):
        raise ValueError(
            f"cannot load {labels}: it must hold a label for each of {len(images)} pictures, got {len(numbers)}"
        )
    return images, numbers


def _find(folder: Path, of: str, what: str, dimensions: int) -> Path | None:
    return next((path for path in _candidates(folder, of, what, dimensions) if path.is_file()), None)


def _candidates(folder: Path, of: str, what: str, dimensions: int) -> Iterator[Path]:
    for packed in ("", ".gz"):
        for joint in ("-", "."):
            yield folder / f"{of}-{what}{joint}idx{dimensions}-ubyte{packed}"


def _read(file: BinaryIO, dimensions: int) -> np.ndarray:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise ValueError(f"it must begin as an IDX file, with two zeros, a type and a number, got {magic!r}")
    if magic[2] != _UNSIGNED_BYTES:
        raise ValueError(f"it must hold unsigned bytes, of type {_UNSIGNED_BYTES}, got type {magic[2]}")
    if magic[3] != dimensions:
        raise ValueError(f"it must have {dimensions} dimensions, got {magic[3]}")
    sizes = file.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise ValueError(f"it must have {dimensions} sizes, got {len(sizes)} bytes of them")
    shape = tuple(np.frombuffer(sizes, ">u4").tolist())
    count = math.prod(shape)
    data = _at_most(file, count + 1)
    if len(data) != count:
        found = "more" if len(data) > count else str(len(data))
        raise ValueError(f"it must hold {' x '.join(map(str, shape))} = {count} bytes, got {found}")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _at_most(file: BinaryIO, count: int) -> bytearray:
    data = bytearray()
    while piece := file.read(min(count - len(data), _PIECE)):
        data += piece
    return data
