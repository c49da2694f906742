"""Animated GIF, frame by frame: Pillow's own writer holds every frame, and would give all of them one palette."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import GifImagePlugin, Image

# Of 256 colours one is transparent.
_COLORS = 255
# The next frame is laid over this one.
_KEEP = 1


class _Change(NamedTuple):
    """What a frame changes: a picture in palette colours, where it lies, and the colour index that leaves pixels be."""

    picture: Image.Image
    offset: tuple[int, int]
    transparent: int


def write_gif(file: BinaryIO, frames: Iterator[np.ndarray], fps: float) -> None:
    """Write uint8 frames (H, W, 3) of one shape, at least one, as a GIF that repeats for ever.

    Pixels that stay the same from frame to frame are not written again: they cannot flicker, though every frame has its
    own palette. Frames that change nothing prolong the one before.
    """
    before = next(frames)
    change = _change(before, np.ones(before.shape[:2], bool))
    header, _ = GifImagePlugin.getheader(change.picture, info={"loop": 0})
    file.writelines(header)
    shown, index = 0, 0
    for index, pixels in enumerate(frames, 1):
        changed = (pixels != before).any(2)
        if changed.any():
            now = round(100 * index / fps)
            _write(file, change, now - shown)
            change, before, shown = _change(pixels, changed), pixels, now
    _write(file, change, round(100 * (index + 1) / fps) - shown)
    file.write(b";")


def _change(pixels: np.ndarray, changed: np.ndarray) -> _Change:
    rows, columns = (np.flatnonzero(changed.any(axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    reduced = Image.fromarray(pixels[changed][None]).quantize(_COLORS, Image.Quantize.MEDIANCUT)
    palette = reduced.getpalette() or []
    transparent = len(palette) // 3
    indices = np.full(changed.shape, transparent, np.uint8)
    indices[changed] = np.asarray(reduced)[0]
    picture = Image.fromarray(indices[box])
    picture.putpalette([*palette, 0, 0, 0])
    return _Change(picture, (int(columns[0]), int(rows[0])), transparent)


def _write(file: BinaryIO, change: _Change, hundredths: int) -> None:
    """Write a change that is shown for so many hundredths of a second."""
    data = GifImagePlugin.getdata(
        change.picture,
        change.offset,
        duration=10 * hundredths,
        transparency=change.transparent,
        disposal=_KEEP,
        include_color_table=True,
    )
    file.writelines(data)
