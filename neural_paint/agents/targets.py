"""Pictures that agents draw: digits, clothes, glyphs and photographs, as squares of 64 x 64 pixels."""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from neural_paint.agents.glyphs import FONT_SUFFIXES, Glyphs
from neural_paint.agents.idx import idx_folder, idx_pair
from neural_paint.agents.packaged import PACKAGED, find_packaged, scikit_digits
from neural_paint.agents.picture_folder import folder_labels, list_pictures, read_pictures
from neural_paint.painters.actions import STROKE_SIZE
from neural_paint.painters.stroke_order import check_slices, permutation

# Pictures (b, 3, 64, 64) uint8 and labels (b,) int64.
Batch: TypeAlias = tuple[Tensor, Tensor]


class Targets:
    """Pictures in an order, with labels; each is brought to 64 x 64 pixels and three channels as it is given out.

    Attributes:
        pictures: (M, C, h, w) uint8, grey or RGB, as stored.
        labels: (M,) int64, -1 for a picture that has none.
        digest: another for other pictures or labels, or for the same ones in another order.
        unit: what they are.
    """

    unit = "pictures"

    def __init__(self, pictures: Tensor, labels: Tensor) -> None:
        """
        Raises:
            TypeError, ValueError: a dtype or a shape is wrong.
        """
        if pictures.dtype != torch.uint8 or labels.dtype != torch.int64:
            raise TypeError(f"pictures and labels must be uint8 and int64, got {pictures.dtype} and {labels.dtype}")
        if pictures.ndim != 4 or pictures.shape[1] not in (1, 3) or 0 in pictures.shape[1:]:
            rule = "(M, 1 or 3, h, w) without an empty side"
            raise ValueError(f"pictures must have shape {rule}, got {tuple(pictures.shape)}")
        if labels.shape != pictures.shape[:1]:
            raise ValueError(f"labels must have shape ({len(pictures)},), got {tuple(labels.shape)}")
        self.pictures, self.labels = pictures.contiguous(), labels.contiguous()
        self.digest = _digest(self.pictures, self.labels)
        self._rows, self._columns = (_resizing(side) for side in pictures.shape[2:])

    def __len__(self) -> int:
        return len(self.pictures)

    def batches(self, batch_size: int, *, seed: int, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """Batches without end, every picture once a pass, in an order that depends on `seed` alone.

        Args:
            batch_size: pictures of a batch, over all processes; a batch may end one pass and begin the next.
            seed: of the order, non-negative.
            start: so many batches are passed over; the rest is what would have come after them.
            rank, world: of `world` processes, this one gets slice `rank` of each batch, batch_size / world pictures.

        Yields:
            pictures (b, 3, 64, 64) uint8 and labels (b,) int64.

        Raises:
            ValueError: an argument is wrong, or there are no pictures.
        """
        check_slices(batch_size, seed=seed, start=start, rank=rank, world=world)
        if not len(self):
            raise ValueError("there must be a picture to draw, got none")
        return self._batches(seed, start * batch_size + rank * (batch_size // world), batch_size, batch_size // world)

    def _batches(self, seed: int, first: int, step: int, count: int) -> Iterator[Batch]:
        order = functools.lru_cache(maxsize=2)(lambda number: permutation(len(self), number, seed))
        for begin in itertools.count(first, step):
            passes, places = np.divmod(np.arange(begin, begin + count), len(self))
            rows = [order(number)[places[passes == number]] for number in np.unique(passes).tolist()]
            yield self._batch(torch.from_numpy(np.concatenate(rows)))

    def once(self, batch_size: int) -> Iterator[Batch]:
        """Each picture once, in order, the last batch short; tensors as of `batches`."""
        if batch_size < 1:
            raise ValueError(f"batch_size must be positive, got {batch_size}")
        return map(self._batch, torch.arange(len(self)).split(batch_size)) if len(self) else iter(())

    def _batch(self, rows: Tensor) -> Batch:
        pictures = self.pictures[rows]
        if pictures.shape[2:] != (STROKE_SIZE, STROKE_SIZE):
            resized = self._rows @ pictures.float() @ self._columns.T
            pictures = resized.clamp_(0, 255).round_().byte()
        return pictures.expand(-1, 3, -1, -1).contiguous(), self.labels[rows]


def open_targets(
    source: str | Path,
    *,
    validation: float = 0.05,
    invert: bool | None = None,
    characters: str = "digits",
    glyphs: int = 20_000,
    seed: int = 0,
) -> tuple[Targets, Targets]:
    """Pictures to train with, and others that are held out.

    Args:
        source: "mnist", "fashion-mnist" or "digits", which packages carry (docs/agent_data.md says which); a folder of
            IDX files with MNIST's names; an IDX file of pictures; a folder of image files, of which the middle squares
            are drawn, labelled by the folders that they lie in; or a font, whose characters are drawn by many hands.
        validation: the share of pictures that is held out, in [0, 1), where the source has no test set of its own; of
            two pictures or more, one at least, unless it is 0.
        invert: swap black and white; by default as it takes to draw IDX files and digits, which are white on black, in
            black on white.
        characters: of a font: a text, or "digits", "latin", "hiragana" or "katakana"; a label is a place in it.
            Those that the font lacks are left out.
        glyphs: of a font: how many pictures to train with; `validation` times as many more are held out.
        seed: of the hands that draw a font.

    Raises:
        ValueError: an argument or a file is wrong; what and why in one sentence.
        OSError: a file cannot be read; `TargetsMissing` where a package is not installed.
    """
    if not str(source):
        raise ValueError("source must name pictures, got an empty text")
    if not characters.strip():
        raise ValueError(f"characters must be a text or a name, got {characters!r}")
    if not 0 <= validation < 1:
        raise ValueError(f"validation must be in [0, 1), got {validation}")
    if glyphs < 1:
        raise ValueError(f"glyphs must be at least 1, got {glyphs}")
    path = find_packaged(str(source)) if source in PACKAGED else Path(source)
    light = True
    if source == "digits":
        sides = _split(*scikit_digits(), validation)
    elif path.suffix.lower() in FONT_SUFFIXES and not path.is_dir():
        sides, light = _font(path, characters, glyphs, _share(glyphs, validation), seed), False
    elif not path.is_dir():
        sides = _split(*idx_pair(path), validation)
    elif found := idx_folder(path):
        sides = _split(*found[0], validation) if found[1] is None else (found[0], found[1])
    else:
        paths = list_pictures(path)
        names = [picture.relative_to(path).as_posix() for picture in paths]
        sides, light = _split(read_pictures(paths), folder_labels(path, paths), validation, names), False
    inverted = light if invert is None else invert
    return _targets(*sides[0], inverted), _targets(*sides[1], inverted)


def _targets(pictures: Tensor, labels: Tensor, inverted: bool) -> Targets:
    return Targets(255 - pictures if inverted else pictures, labels)


def _font(path: Path, characters: str, train: int, held_out: int, seed: int) -> tuple[Batch, Batch]:
    glyphs, generator = Glyphs(path, characters), torch.Generator().manual_seed(seed)
    return glyphs.draw(train, generator), glyphs.draw(held_out, generator)


def _split(pictures: Tensor, labels: Tensor, validation: float, names: list[str] | None = None) -> tuple[Batch, Batch]:
    """What trains and what is held out, by a hash of the name, or of the number: neither is a block of the other."""
    names = names or [str(number) for number in range(len(pictures))]
    hashes = [hashlib.sha256(name.encode(errors="surrogateescape")).digest() for name in names]
    count = min(_share(len(names), validation), len(names) - 1)
    held_out = torch.zeros(len(names), dtype=torch.bool)
    held_out[sorted(range(len(names)), key=hashes.__getitem__)[:count]] = True
    return (pictures[~held_out], labels[~held_out]), (pictures[held_out], labels[held_out])


def _share(count: int, validation: float) -> int:
    return max(1, round(validation * count)) if validation else 0


def _resizing(side: int) -> Tensor:
    """(64, side) by which a column of so many pixels becomes one of 64: bicubic, and an average where it shrinks."""
    pixels = torch.eye(side, dtype=torch.float32)[None, None]
    return F.interpolate(pixels, size=(STROKE_SIZE, side), mode="bicubic", antialias=True)[0, 0]


def _digest(pictures: Tensor, labels: Tensor) -> str:
    digest = hashlib.sha256(repr(tuple(pictures.shape)).encode())
    digest.update(labels.numpy().data)
    digest.update(pictures.numpy().data)
    return digest.hexdigest()
