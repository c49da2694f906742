"""`neural-paint paint`: everything around the painter, so that no finished work is lost."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from neural_paint import __version__
from neural_paint.action_strokes import ActionStrokes
from neural_paint.brushes import BitmapBrush, Brush
from neural_paint.finished_work import FAILURES, write_painting
from neural_paint.io import ImageError, load_image
from neural_paint.io.photo_info import photo_info
from neural_paint.paint_jobs import Job
from neural_paint.painters import NeuralPainter
from neural_paint.painting_files import Painting, VideoOptions, scaled
from neural_paint.progress import Progress, listed, reason, say
from neural_paint.stop_signals import stop_signals
from neural_paint.tasks import Step, reconstruct


@dataclass(frozen=True)
class PaintOptions:
    """The options of `neural-paint paint` that hold for every photograph, each within its range."""

    strokes: int
    steps: int | None
    seconds: float | None
    size: int | None
    fit: int
    brush: Brush | BitmapBrush | NeuralPainter
    record: Mapping[str, Any]  # of the brush, for the stroke file
    speckle: bool
    seed: int
    device: str
    video: VideoOptions


def paint_photos(jobs: Sequence[Job], options: PaintOptions) -> int:
    """Paint photographs one after another, and return the exit status: 1 where any failed, which stops no other."""
    status = 0
    for number, job in enumerate(jobs, 1):
        title = f"{number}/{len(jobs)} {job.photo.name}" if len(jobs) > 1 else ""
        try:
            painted = _paint_photo(job, options, title)
        except FAILURES as error:
            text = reason(error)
            say(text if isinstance(error, (ImageError, OSError)) else f"cannot paint {job.photo}: {text}")
            painted = 1
        if painted > 1:
            if number < len(jobs):
                say(f"{len(jobs) - number} of {len(jobs)} photographs are left unpainted")
            return painted
        status = max(status, painted)
    return status


def _paint_photo(job: Job, options: PaintOptions, title: str) -> int:
    info = photo_info(job.photo)
    size = scaled((info.height, info.width), options.size)
    job.files.check(size, options.video)
    if info.frames > 1:
        say(f"{job.photo} has {info.frames} frames, the first is painted")
    # A canvas finer than the photograph would have nothing more to show.
    photo = load_image(job.photo, size=min(options.fit, max(info.height, info.width)))

    begun = time.perf_counter()
    with stop_signals() as received:
        step = _optimise(photo.to(options.device), options, received, title)
    seconds = time.perf_counter() - begun
    if received:
        video = "" if job.files.video is None else ", and then the video; once more leaves that out"
        say(f"stopped by {signal.Signals(received[0]).name}, writing the painting as it is{video}")
    height, width = step.canvas.shape[2:]
    metadata = _metadata(step, job, options, size)
    painter = options.brush if isinstance(options.brush, NeuralPainter) else None
    strokes = step.strokes
    if options.speckle:
        assert isinstance(strokes, ActionStrokes)
        strokes = strokes.seeded(options.seed)
    painting = Painting(strokes, (height, width), step.background[0].tolist(), size, metadata, painter)
    status, written = write_painting(painting, job.files, options.video)
    if written:
        print(
            f"{listed(written)}: {size[1]} x {size[0]} pixels, {step.strokes.num_strokes} strokes, "
            f"{step.index + 1} steps, {step.psnr:.2f} dB at {width} x {height}, {seconds:.1f} s",
            flush=True,
        )
    return status if status or not received else 128 + received[0]


def _optimise(photo: Tensor, options: PaintOptions, received: list[int], title: str) -> Step:
    painter = reconstruct(
        photo,
        options.strokes,
        steps=options.steps,
        seconds=options.seconds,
        brush=options.brush,
        seed=options.seed,
    )
    with Progress(sys.stderr, title) as progress:
        for step in painter:
            progress.show(step.progress, partial(_state, step))
            if received:
                break
    return step


def _state(step: Step) -> str:
    """Synchronises with the device."""
    return f"step {step.index + 1}, {step.strokes.num_strokes} strokes, {step.psnr:.2f} dB"


def _metadata(step: Step, job: Job, options: PaintOptions, size: tuple[int, int]) -> dict[str, Any]:
    return {
        "program": f"neural-paint {__version__}",
        "photo": job.photo.name,
        "size": size,
        **options.record,
        "seed": options.seed,
        "steps": step.index + 1,
        "psnr": round(step.psnr, 3),
    }
