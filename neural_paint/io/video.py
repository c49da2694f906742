"""Videos out: frames one after another as .mp4 (H.264) or .gif; no more than a few are held at a time."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np
from torch import Tensor

from neural_paint.io.atomic import check_writable, open_atomic
from neural_paint.io.gif import write_gif
from neural_paint.io.images import ImageError
from neural_paint.io.paintings import check_image, to_bytes

# Suffix -> (longest side, most frames a second): levels of H.264 end at 8192 pixels, and browsers slow down a GIF whose
# frames last less than 2/100 s.
_LIMITS = {".mp4": (8192, 120), ".gif": (65_535, 50)}
# Visually lossless, as fast as the painting of frames; a short look-ahead bounds the frames held back.
_X264 = {"crf": "18", "preset": "veryfast", "rc-lookahead": "10"}


def save_video(path: str | os.PathLike[str], frames: Iterable[Tensor], fps: float = 30) -> None:
    """Write frames as a silent video: H.264 in .mp4, or a .gif that repeats for ever, by the suffix of `path`.

    An .mp4 is made for every player: 8 bits, 4:2:0, BT.709, its index in front; an odd side grows by one pixel. A frame
    of a .gif stores what changed, with 255 colours of its own, and what stays the same keeps its colours.

    Args:
        path: the file; replaced only once the new one is complete.
        frames: floating tensors (C, H, W) or (1, C, H, W) with C = 1 (grey) or 3 (sRGB), all of one shape; clamped to
            [0, 1]. Taken one at a time, such as `tasks.timelapse` yields them.
        fps: frames a second, in (0, 120] for .mp4 and (0, 50] for .gif.

    Raises:
        TypeError, ValueError: a frame is not such a tensor or differs in shape, there is none, or `fps` is out of
            range.
        ImageError: unknown suffix, NaN in a frame, or a side beyond what the format can hold.
        OSError: the file cannot be written; an old one is intact.
    """
    suffix = Path(path).suffix.lower()
    check_video(path, (1, 1))
    fastest = _LIMITS[suffix][1]
    if not 0 < fps <= fastest:
        raise ValueError(f"fps must be in (0, {fastest}] for {suffix}, got {fps}")
    check_writable(path)
    pixels = _pixels(path, frames)
    first = next(pixels, None)
    if first is None:
        raise ValueError("frames must hold at least one frame, got none")
    write = _write_mp4 if suffix == ".mp4" else write_gif
    with open_atomic(path) as file:
        write(file, itertools.chain([first], pixels), fps)


def check_video(path: str | os.PathLike[str], size: Sequence[int]) -> None:
    """ImageError where the suffix is not known or its format cannot hold frames of (H, W) pixels."""
    suffix = Path(path).suffix.lower()
    if suffix not in _LIMITS:
        raise ImageError(f"cannot write {path}: the name must end in one of {', '.join(_LIMITS)}")
    longest = _LIMITS[suffix][0]
    if max(size) > longest:
        raise ImageError(f"cannot write {path}: {suffix} holds at most {longest} pixels a side, got {max(size)}")


def _pixels(path: str | os.PathLike[str], frames: Iterable[Tensor]) -> Iterator[np.ndarray]:
    """The frames as uint8 (H, W, 3)."""
    shape = None
    for index, frame in enumerate(frames):
        check_image(f"frame {index}", frame)
        if shape is None:
            shape = frame.shape
            check_video(path, shape[-2:])
        if frame.shape != shape:
            raise ValueError(f"frames must have one shape, got {tuple(frame.shape)} after {tuple(shape)}")
        try:
            pixels = to_bytes(frame)
        except ImageError as error:
            raise ImageError(f"cannot write {path}: frame {index}: {error}") from None
        yield pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)


def _write_mp4(file: BinaryIO, frames: Iterator[np.ndarray], fps: float) -> None:
    import av  # loads all of FFmpeg, which only videos need
    from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

    first = next(frames)
    height, width = (side + side % 2 for side in first.shape[:2])
    # By name: the index is moved to the front in a second pass over the file, for which FFmpeg opens it again.
    with av.open(file.name, "w", format="mp4", options={"movflags": "+faststart"}) as container:
        rate = Fraction(fps).limit_denominator(1001)
        # Visually lossless; a short look-ahead bounds the frames held back.
        stream = container.add_stream(
            "libx264", rate, options={"crf": "18", "preset": "veryfast", "rc-lookahead": "10"}
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        for pixels in itertools.chain([first], frames):
            rows, columns = height - pixels.shape[0], width - pixels.shape[1]
            padded = np.pad(pixels, ((0, rows), (0, columns), (0, 0)), "edge") if rows or columns else pixels
            frame = av.VideoFrame.from_ndarray(padded, format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)))
        container.mux(stream.encode())
