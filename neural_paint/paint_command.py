"""`neural-paint paint`: everything around the painter, so that no finished work is lost."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from neural_paint import __version__
from neural_paint.action_strokes import ActionStrokes
from neural_paint.brushes import BitmapBrush, Brush
from neural_paint.io import ImageError, load_image
from neural_paint.io.atomic import check_writable
from neural_paint.io.paintings import check_picture
from neural_paint.io.photo_info import photo_info
from neural_paint.paint_jobs import Job
from neural_paint.painters import NeuralPainter
from neural_paint.painting_files import Painting, VideoOptions, scaled
from neural_paint.progress import Progress, listed, reason, say
from neural_paint.stop_signals import stop_signals
from neural_paint.tasks import Step, reconstruct

# What a full disk, a lack of memory (torch reports it as RuntimeError) and a bad file raise.
_FAILURES = (OSError, ValueError, MemoryError, RuntimeError)


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
        except _FAILURES as error:
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
    _check_outputs(job, options, size)
    if info.frames > 1:
        say(f"{job.photo} has {info.frames} frames, the first is painted")
    # A canvas finer than the photograph would have nothing more to show.
    photo = load_image(job.photo, size=min(options.fit, max(info.height, info.width)))

    begun = time.perf_counter()
    with stop_signals() as received:
        step = _optimise(photo.to(options.device), options, received, title)
    seconds = time.perf_counter() - begun
    if received:
        video = "" if job.video is None else ", and then the video; once more leaves that out"
        say(f"stopped by {signal.Signals(received[0]).name}, writing the painting as it is{video}")
    height, width = step.canvas.shape[2:]
    metadata = _metadata(step, job, options, size)
    painter = options.brush if isinstance(options.brush, NeuralPainter) else None
    strokes = step.strokes
    if options.speckle:
        assert isinstance(strokes, ActionStrokes)
        strokes = strokes.seeded(options.seed)
    painting = Painting(strokes, (height, width), step.background[0].tolist(), size, metadata, painter)
    status, written = _write(painting, job, options.video)
    if written:
        print(
            f"{listed(written)}: {size[1]} x {size[0]} pixels, {step.strokes.num_strokes} strokes, "
            f"{step.index + 1} steps, {step.psnr:.2f} dB at {width} x {height}, {seconds:.1f} s",
            flush=True,
        )
    return status if status or not received else 128 + received[0]


def _check_outputs(job: Job, options: PaintOptions, size: tuple[int, int]) -> None:
    """Refuse now what could not be written later."""
    check_picture(job.picture, size)
    if job.video is not None:
        options.video.frame_size(job.video, size)
    for path in job.outputs:
        check_writable(path)


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


def _write(painting: Painting, job: Job, video: VideoOptions) -> tuple[int, list[Path]]:
    """Write the files of a job, the video last; returns the exit status and the files that were written as asked.

    What cannot be written where it was asked for goes elsewhere.
    """
    # The strokes first: they are small, and everything else can be made from them again.
    wanted = [(job.strokes, painting.save_strokes), (job.picture, painting.save)]
    written: list[Path] = []
    try:
        problems = [_attempt(write, path, written) for path, write in wanted if path is not None]
    except KeyboardInterrupt:
        rescued = "" if job.strokes in written else f"; {_rescue([('strokes.safetensors', painting.save_strokes)])}"
        say(f"interrupted before {job.picture} was written{rescued}")
        return 130, []
    if any(problems):
        everything = [(job.picture.name, painting.save), ("strokes.safetensors", painting.save_strokes)]
        say(f"{'; '.join(filter(None, problems))}; {_rescue(everything)}")
        return 1, []
    written.reverse()
    return 0 if job.video is None else _write_video(painting, job, video, written), written


def _write_video(painting: Painting, job: Job, video: VideoOptions, written: list[Path]) -> int:
    """The exit status; `written` takes up the video."""
    assert job.video is not None
    try:
        problem = _attempt(lambda path: painting.save_video(path, video), job.video, written)
    except KeyboardInterrupt:
        say(f"interrupted before {job.video} was written")
        return 130
    if problem is not None:
        rescued = "" if job.strokes in written else f"; {_rescue([('strokes.safetensors', painting.save_strokes)])}"
        say(f"{problem}{rescued}")
    return 0 if problem is None else 1


def _attempt(write: Callable[[Path], None], path: Path, written: list[Path]) -> str | None:
    """Why `path` could not be written; None where it was, and is in `written` now."""
    try:
        write(path)
    except _FAILURES as error:
        text = reason(error)
        return text if str(path) in text else f"cannot write {path}: {text}"
    written.append(path)
    return None


def _rescue(files: Sequence[tuple[str, Callable[[Path], None]]]) -> str:
    """Write files to a new folder among the temporary ones, or in the current one; says where they are."""
    saved: list[Path] = []
    for parent in (tempfile.gettempdir(), os.getcwd()):
        try:
            folder = Path(tempfile.mkdtemp(prefix="neural-paint-", dir=parent))
        except OSError:
            continue
        for name, write in files:
            if name not in [path.name for path in saved]:
                _attempt(write, folder / name, saved)
        with contextlib.suppress(OSError):
            folder.rmdir()  # only where it stayed empty
    return f"the work is in {listed(saved)}" if saved else "it could not be written elsewhere either"


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
