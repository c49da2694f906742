"""The files that a painting is written to: the picture at any size, and the video of how it was painted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from neural_paint.action_strokes import AnyStrokes
from neural_paint.io import save_bands, save_strokes, save_video
from neural_paint.io.video import check_video
from neural_paint.painters.base import NeuralPainter
from neural_paint.progress import Progress
from neural_paint.tasks import render_bands, timelapse
from neural_paint.tasks.bloom import Bloom

# Suffix -> (frames a second, longest side where none is asked for): what every player and every web page takes.
_VIDEOS = {".mp4": (30, 1920), ".gif": (20, 480)}
# The finished picture is held for this share of a video, up to so many seconds.
_HOLD_SHARE = 0.2
_HOLD_SECONDS = 2.0


def scaled(size: Sequence[int], longest: int | None) -> tuple[int, int]:
    """(H, W) in the proportions of `size` with `longest` as the longer side; `size` itself for None."""
    factor = 1.0 if longest is None else longest / max(size)
    height, width = (max(1, round(side * factor)) for side in size)
    return height, width


@dataclass(frozen=True)
class VideoOptions:
    """`--video-seconds` and `--video-size`: the length of a video, and its longest side in pixels or None."""

    seconds: float
    size: int | None

    def frame_size(self, path: Path, painting: Sequence[int]) -> tuple[int, int]:
        """(H, W) of the frames of a painting of (H, W) pixels; ImageError where the file cannot hold them."""
        check_video(path, (1, 1))
        _, longest = _VIDEOS[path.suffix.lower()]
        size = scaled(painting, self.size or min(longest, max(painting)))
        check_video(path, size)
        return size


@dataclass(frozen=True)
class Painting:
    """A finished painting: (1, N) strokes for a canvas of (H, W) pixels, shown at the size (H, W).

    `metadata` goes into the stroke file; `painter` shows strokes that are actions; `bloom` is how they were optimised.
    """

    strokes: AnyStrokes
    canvas: tuple[int, int]
    background: Sequence[float]
    size: tuple[int, int]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    painter: NeuralPainter | None = None
    bloom: Bloom | None = None

    def save_strokes(self, path: Path) -> None:
        save_strokes(path, self.strokes, canvas=self.canvas, background=self.background, metadata=self.metadata)

    def save(self, path: Path) -> None:
        with Progress(sys.stderr, path.name) as progress:
            save_bands(path, self._bands(progress), self.size)

    def save_video(self, path: Path, options: VideoOptions) -> None:
        """Stroke by stroke."""
        self._save_frames(path, options, partial(timelapse, self.strokes))

    def save_bloom(self, path: Path, options: VideoOptions) -> None:
        """Step by step."""
        assert self.bloom is not None
        self._save_frames(path, options, self.bloom.frames)

    def bands(self) -> Iterator[Tensor]:
        return render_bands(self.strokes, self.canvas, self.background, self.size, painter=self.painter)

    def _bands(self, progress: Progress) -> Iterator[Tensor]:
        height, width = self.size
        rows = 0
        for band in self.bands():
            yield band
            rows += band.shape[2]
            progress.show(rows / height, lambda: f"{width} x {height} pixels")

    def _save_frames(self, path: Path, options: VideoOptions, frames: Callable[..., Iterator[Tensor]]) -> None:
        fps, _ = _VIDEOS[path.suffix.lower()]
        total = max(2, round(options.seconds * fps))
        hold = min(round(_HOLD_SECONDS * fps), int(_HOLD_SHARE * total))
        size = options.frame_size(path, self.size)
        video = frames(self.canvas, self.background, size, total, hold=hold, painter=self.painter)
        with Progress(sys.stderr, path.name) as progress:
            save_video(path, _shown(video, total, progress), fps)


def _shown(frames: Iterator[Tensor], total: int, progress: Progress) -> Iterator[Tensor]:
    for index, frame in enumerate(frames, 1):
        yield frame
        progress.show(index / total, partial("frame {} of {}".format, index, total))
