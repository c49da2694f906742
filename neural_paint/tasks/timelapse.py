"""A painting as it comes into being, stroke by stroke."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from neural_paint.action_strokes import AnyStrokes
from neural_paint.painters.base import NeuralPainter
from neural_paint.tasks.lay import lay, mask_sizes
from neural_paint.tasks.render import resized

# Strokes painted grow as this power of time: the broad ones, which come first, are laid on one by one.
_ACCELERATION = 2


def timelapse(
    strokes: AnyStrokes,
    canvas: Sequence[int],
    background: Sequence[float],
    size: Sequence[int],
    frames: int,
    *,
    hold: int = 0,
    painter: NeuralPainter | None = None,
) -> Iterator[Tensor]:
    """Yield a painting's frames, from the bare background to the last stroke; each paints its new strokes alone.

        save_video("cat.mp4", timelapse(strokes, canvas, background, (720, 1280), 300, hold=60), fps=30)

    Args:
        strokes: (1, N) strokes in pixels of `canvas`.
        canvas: (H, W) that the strokes were made for.
        background: colour under the first stroke, one number per channel.
        size: (H, W) of the frames; see `render`.
        frames: how many frames, at least 1. The last one always shows the finished painting.
        hold: how many frames more than that one show it.
        painter: shows strokes that are actions, see `render`.

    Yields:
        (1, C, H, W) frames in the dtype and on the device of the strokes. One without new strokes is the tensor of the
        frame before, so that frames are not to be written into.

    Raises:
        ValueError: `strokes` are those of several paintings, or do not fit `background`; `frames` is below 1, or `hold`
            not in [0, frames - 1].
    """
    if frames < 1 or not 0 <= hold < frames:
        raise ValueError(f"frames must be at least 1, and hold in [0, frames - 1], got {frames} and {hold}")
    strokes = resized(strokes, canvas, size)
    color = torch.tensor(background, dtype=strokes.dtype, device=strokes.device)
    frame = color[None, :, None, None].expand(-1, -1, *size).contiguous()
    sizes = mask_sizes(strokes, painter)
    last = frames - 1 - hold
    painted = 0
    for index in range(frames):
        time = index / last if index < last else 1.0
        count = math.ceil(strokes.num_strokes * time**_ACCELERATION)
        if count > painted:
            with torch.no_grad():
                frame = lay(strokes[:, painted:count], frame, painter, None if sizes is None else sizes[painted:count])
            painted = count
        yield frame
