"""Around `stylize` on the command line: a photograph in, its painting and a contact sheet of layers out."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from neural_paint import __version__
from neural_paint.constraints import Constraints
from neural_paint.contact_sheet import contact_sheet, sheet_size
from neural_paint.finished_work import FAILURES, attempt, write_painting
from neural_paint.io import load_image, save_image
from neural_paint.io.atomic import check_writable
from neural_paint.io.paintings import check_picture
from neural_paint.io.photo_info import photo_info
from neural_paint.media import Medium
from neural_paint.paint_jobs import Job
from neural_paint.painters import NeuralPainter
from neural_paint.painting_files import Painting, VideoOptions, scaled
from neural_paint.palettes import palette_of
from neural_paint.perception import load_network
from neural_paint.progress import Progress, listed, reason, say
from neural_paint.stop_signals import stop_signals
from neural_paint.tasks.stylize import Objective, Start, StylizeStep, stylize

# Layers on a contact sheet, after the photograph, and panels in a row of it.
_SHEET_LAYERS, _COLUMNS = 7, 4
_INTERRUPTED = 128 + signal.SIGINT


@dataclass(frozen=True)
class StylizeOptions:
    """The options of `neural-paint stylize`; `canvas`, (H, W), goes before `fit`."""

    medium: Medium
    objective: Objective
    style: Path | None
    strokes: int
    steps: int | None
    seconds: float | None
    start: Start
    canvas: tuple[int, int] | None
    fit: int
    size: int | None
    grey: bool
    palette: str | None
    thin: float | None  # in hundredths of the longer side
    opaque: bool
    seed: int
    device: str
    record: Mapping[str, Any]  # of the medium, for the stroke file
    video: VideoOptions
    sheet: Path | None


def stylize_photo(job: Job, options: StylizeOptions) -> int:
    """Paint a photograph, and return the exit status.

    Raises:
        ValueError, OSError, RuntimeError: it cannot be painted.
    """
    info = photo_info(job.photo)
    # A canvas of its own proportions shows the middle of the photograph.
    size = scaled(options.canvas or (info.height, info.width), options.size or max(info.height, info.width))
    job.files.check(size, options.video)
    if info.frames > 1:
        say(f"{job.photo} has {info.frames} frames, the first is painted")
    photo = _canvas(load_image(job.photo, size=min(options.fit, max(info.height, info.width))), options)
    style = None if options.style is None else load_image(options.style, size=options.fit).to(options.device)
    constraints = _constraints(options, photo)
    _check_sheet(options.sheet, photo)

    def paint(objective: Objective, title: str, received: list[int]) -> StylizeStep:
        steps = stylize(
            photo,
            options.medium,
            options.strokes,
            objective=objective,
            style=style,
            constraints=constraints,
            start=options.start,
            steps=options.steps,
            seconds=options.seconds,
            seed=options.seed,
        )
        with Progress(sys.stderr, title) as progress:
            for step in steps:
                progress.show(step.progress, partial(_state, step))
                if received:
                    break
        return step

    begun = time.perf_counter()
    with stop_signals() as received:
        step = paint(options.objective, "", received)
    seconds = time.perf_counter() - begun
    if received:
        video = "" if job.files.video is None else ", and then the video; once more leaves that out"
        say(f"stopped by {signal.Signals(received[0]).name}, writing the painting as it is{video}")
    status, written = write_painting(_painting(step, job, options, size), job.files, options.video)
    if written:
        print(f"{listed(written)}: {size[1]} x {size[0]} pixels, {_summary(step)}, {seconds:.1f} s", flush=True)
    if options.sheet is not None and not received and status != _INTERRUPTED:
        status = max(status, _write_sheet(options.sheet, photo, options.objective, paint))
    return status if status or not received else 128 + received[0]


def _check_sheet(path: Path | None, photo: Tensor) -> None:
    """Refuse now what could not be written later."""
    if path is not None:
        check_picture(path, sheet_size(photo.shape[2:], 1 + _SHEET_LAYERS, _COLUMNS))
        check_writable(path)


def _canvas(photo: Tensor, options: StylizeOptions) -> Tensor:
    if options.canvas is not None:
        photo = F.interpolate(_middle(photo, options.canvas), options.canvas, mode="bilinear", antialias=True).clamp(
            0, 1
        )
    return photo.to(options.device)


def _middle(photo: Tensor, canvas: tuple[int, int]) -> Tensor:
    """As much of the photograph as has the canvas's proportions."""
    height, width = photo.shape[2:]
    scale = min(height / canvas[0], width / canvas[1])
    rows, columns = (max(1, round(side * scale)) for side in canvas)
    top, left = (height - rows) // 2, (width - columns) // 2
    return photo[:, :, top : top + rows, left : left + columns]


def _constraints(options: StylizeOptions, photo: Tensor) -> Constraints:
    return Constraints(
        grey=options.grey,
        palette=None if options.palette is None else palette_of(options.palette, photo),
        thin=None if options.thin is None else options.thin / 100 * max(photo.shape[2:]),
        opaque=options.opaque,
    )


def _painting(step: StylizeStep, job: Job, options: StylizeOptions, size: tuple[int, int]) -> Painting:
    brush, (height, width) = options.medium.brush, step.canvas.shape[2:]
    metadata = {
        "program": f"neural-paint {__version__}",
        "photo": job.photo.name,
        "size": size,
        **options.record,
        "layers": list(options.objective.layers),
        "network": options.objective.network,
        **({} if options.style is None else {"style": options.style.name}),
        "seed": options.seed,
        "steps": step.index + 1,
        "loss": round(float(step.loss), 5),
    }
    painter = brush if isinstance(brush, NeuralPainter) else None
    return Painting(step.strokes, (height, width), step.background[0].tolist(), size, metadata, painter)


def _write_sheet(path: Path, photo: Tensor, objective: Objective, paint: Any) -> int:
    """Paint with layers all through the network, write them as a contact sheet, and return the exit status."""
    try:
        return _paint_sheet(path, photo, objective, paint)
    except KeyboardInterrupt:
        say(f"interrupted before {path} was written")
        return _INTERRUPTED
    except FAILURES as error:
        say(f"cannot paint {path}: {reason(error)}")
        return 1


def _paint_sheet(path: Path, photo: Tensor, objective: Objective, paint: Any) -> int:
    assert isinstance(objective.network, str)
    layers = load_network(objective.network).spread(_SHEET_LAYERS)
    pictures, titles = [photo], ["photograph"]
    with stop_signals() as received:
        for layer in layers:
            step = paint(objective.with_layers([layer]), layer, received)
            if received:
                break
            pictures.append(step.canvas)
            titles.append(layer)
    written: list[Path] = []
    sheet = contact_sheet(pictures, titles, _COLUMNS)
    problem = attempt(lambda file: save_image(file, sheet), path, written)
    if problem is None:
        print(f"{path}: {listed(titles[1:])}" if len(titles) > 1 else f"{path}: the photograph alone", flush=True)
    else:
        say(problem)
    return 128 + received[0] if received else int(problem is not None)


def _summary(step: StylizeStep) -> str:
    return f"{step.strokes.num_strokes} strokes, {step.index + 1} steps, loss {float(step.loss):.4g}"


def _state(step: StylizeStep) -> str:
    """Synchronises with the device."""
    return f"step {step.index + 1}, loss {float(step.loss):.4g}"
