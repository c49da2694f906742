"""Around `sketch` on the command line: pictures in, their drawings and a contact sheet of them out."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from neural_paint import __version__
from neural_paint.chosen_agent import ChosenAgent
from neural_paint.finished_work import FAILURES, attempt, write_painting
from neural_paint.io import ImageError, load_image, save_image
from neural_paint.io.photo_info import photo_info
from neural_paint.paint_jobs import Job
from neural_paint.painters.actions import STROKE_SIZE
from neural_paint.painting_files import Painting, VideoOptions, scaled
from neural_paint.progress import Progress, listed, reason, say
from neural_paint.sketch_sheet import SketchSheet
from neural_paint.stop_signals import stop_signals
from neural_paint.tasks.sketch import SketchStep, has_dark_border, sketch

_INTERRUPTED = 128 + signal.SIGINT


@dataclass(frozen=True)
class SketchOptions:
    """The options of `neural-paint sketch` that hold for every picture, each within its range; `invert` is None where
    the picture says."""

    chosen: ChosenAgent
    blocks: int
    strokes: int | None
    invert: bool | None
    size: int | None
    device: str
    video: VideoOptions
    sheet: Path | None


def sketch_pictures(jobs: Sequence[Job], options: SketchOptions) -> int:
    """Draw pictures one after another, and return the exit status: 1 where any failed, which stops no other."""
    status = 0
    sheet = None if options.sheet is None else SketchSheet()
    for number, job in enumerate(jobs, 1):
        title = f"{number}/{len(jobs)} {job.photo.name}" if len(jobs) > 1 else ""
        try:
            drawn = _sketch_picture(job, options, title, sheet)
        except FAILURES as error:
            text = reason(error)
            say(text if isinstance(error, (ImageError, OSError)) else f"cannot draw {job.photo}: {text}")
            drawn = 1
        status = max(status, drawn)
        if drawn > 1:
            if number < len(jobs):
                say(f"{len(jobs) - number} of {len(jobs)} pictures are left undrawn")
            break
    if options.sheet is not None and sheet:
        status = max(status, _write_sheet(options.sheet, sheet))
    return status


def _sketch_picture(job: Job, options: SketchOptions, title: str, sheet: SketchSheet | None) -> int:
    info = photo_info(job.photo)
    size = scaled((info.height, info.width), options.size)
    job.files.check(size, options.video)
    if info.frames > 1:
        say(f"{job.photo} has {info.frames} frames, the first is drawn")
    # The agent sees no more of it.
    photo = load_image(job.photo, size=min(options.blocks * STROKE_SIZE, max(info.height, info.width)))
    photo, inverted = _inverted(photo, job, options)
    begun = time.perf_counter()
    with stop_signals() as received:
        step = _draw(photo.to(options.device), options, received, title)
    seconds = time.perf_counter() - begun
    if received:
        video = "" if job.files.video is None else ", and then the video; once more leaves that out"
        say(f"stopped by {signal.Signals(received[0]).name}, writing the drawing as it is{video}")
    height, width = step.canvas.shape[2:]
    metadata = _metadata(step, job, options, size, inverted)
    painting = Painting(
        step.strokes, (height, width), step.background[0].tolist(), size, metadata, options.chosen.painter
    )
    status, written = write_painting(painting, job.files, options.video)
    if written:
        print(
            f"{listed(written)}: {size[1]} x {size[0]} pixels, {step.strokes.num_strokes} strokes, "
            f"{step.psnr:.2f} dB at {width} x {height}, {seconds:.1f} s",
            flush=True,
        )
    if sheet is not None and written:
        sheet.add(job.photo.name, photo, painting, step.index + 1)
    return status if status or not received else 128 + received[0]


def _inverted(photo: Tensor, job: Job, options: SketchOptions) -> tuple[Tensor, bool]:
    """The picture as the agent is to see it, and whether it is inverted: on its own accord only for an agent that has
    nothing but black."""
    if options.invert is not None:
        return (1 - photo, True) if options.invert else (photo, False)
    if not (options.chosen.agent.black and has_dark_border(photo)):
        return photo, False
    say(f"{job.photo} is light on dark and is inverted, as the agent draws in black; --no-invert leaves it as it is")
    return 1 - photo, True


def _draw(photo: Tensor, options: SketchOptions, received: list[int], title: str) -> SketchStep:
    chosen = options.chosen
    steps = sketch(photo, chosen.agent, painter=chosen.painter, blocks=options.blocks, strokes=options.strokes)
    with Progress(sys.stderr, title) as progress:
        for step in steps:
            progress.show(step.progress, partial(_state, step))
            if received:
                break
    return step


def _state(step: SketchStep) -> str:
    """Synchronises with the device."""
    return f"{step.strokes.num_strokes} strokes, {step.psnr:.2f} dB"


def _metadata(
    step: SketchStep, job: Job, options: SketchOptions, size: tuple[int, int], inverted: bool
) -> dict[str, Any]:
    return {
        "program": f"neural-paint {__version__}",
        "photo": job.photo.name,
        "size": size,
        **options.chosen.record,
        "blocks": options.blocks,
        "inverted": inverted,
        "psnr": round(step.psnr, 3),
    }


def _write_sheet(path: Path, sheet: SketchSheet) -> int:
    """The exit status."""
    try:
        picture = sheet.picture()
        problem = attempt(lambda file: save_image(file, picture), path, [])
    except KeyboardInterrupt:
        say(f"interrupted before {path} was written")
        return _INTERRUPTED
    if problem is not None:
        say(problem)
        return 1
    print(f"{path}: {picture.shape[3]} x {picture.shape[2]} pixels, {listed(sheet.names)}", flush=True)
    return 0
