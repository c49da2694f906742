"""What `neural-paint visualize` does once its options are known."""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from neural_paint import __version__
from neural_paint.contact_sheet import contact_sheet
from neural_paint.finished_work import Files, attempt, write_painting
from neural_paint.io import save_image
from neural_paint.io.atomic import check_writable
from neural_paint.io.paintings import check_picture
from neural_paint.media import Medium
from neural_paint.painters import NeuralPainter
from neural_paint.painting_files import Painting, VideoOptions, scaled
from neural_paint.perception import FeatureNetwork, label_name
from neural_paint.progress import Progress, listed, say
from neural_paint.stop_signals import stop_signals
from neural_paint.tasks.bloom import Bloom
from neural_paint.tasks.class_objective import ClassObjective
from neural_paint.tasks.render import render
from neural_paint.tasks.visualize import VisualizeStep, classified, visualize

# Labels that a network is quoted with.
_TOP = 3
# Longest side of a painting on a contact sheet.
_PANEL = 320


@dataclass(frozen=True)
class VisualizeOptions:
    """The options of `neural-paint visualize`, each within its range."""

    label: int
    networks: Sequence[FeatureNetwork]
    judges: Sequence[FeatureNetwork]
    medium: Medium
    record: Mapping[str, Any]  # of the medium, for the stroke file
    strokes: int
    canvas: tuple[int, int]
    size: int
    batch: int
    objective: ClassObjective
    steps: int | None
    seconds: float | None
    seed: int
    device: str
    video: VideoOptions


def paint_label(files: Sequence[Files], sheet: Path | None, options: VisualizeOptions) -> int:
    """Paint a label to the files of each canvas of the batch, and return the exit status.

    Raises:
        ValueError, OSError: with a message of one sentence, before anything is painted.
    """
    for each in files:
        each.check(scaled(options.canvas, options.size), options.video)
    if sheet is not None:
        check_picture(sheet, (1, 1))
        check_writable(sheet)
    blooms = [Bloom() for each in files if each.bloom is not None]
    begun = time.perf_counter()
    with stop_signals() as received:
        step = _optimise(options, blooms, received)
    took = f"{step.index + 1} steps, {time.perf_counter() - begun:.1f} s"
    if received:
        videos = ", and then the videos; once more leaves those out" if files[0].videos else ""
        say(f"stopped by {signal.Signals(received[0]).name}, writing the painting as it is{videos}")
    paintings = _paintings(step, blooms, options)
    status = 0
    for index, (painting, each) in enumerate(zip(paintings, files, strict=True)):
        failed, written = write_painting(painting, each, options.video)
        if written:
            height, width = painting.size
            strokes = f"{painting.strokes.num_strokes} strokes"
            print(f"{listed(written)}: {width} x {height} pixels, {strokes}, {took}", flush=True)
            _print_answers(step.canvas[index : index + 1], options)
        status = max(status, failed)
        if failed > 1:
            return failed
    if sheet is not None:
        status = max(status, _write_sheet(paintings, files, sheet))
    return status if status or not received else 128 + received[0]


def _optimise(options: VisualizeOptions, blooms: Sequence[Bloom], received: list[int]) -> VisualizeStep:
    steps = visualize(
        options.label,
        networks=options.networks,
        medium=options.medium,
        strokes=options.strokes,
        size=options.canvas,
        batch=options.batch,
        objective=options.objective,
        steps=options.steps,
        seconds=options.seconds,
        seed=options.seed,
        device=options.device,
    )
    with Progress(sys.stderr, label_name(options.label)) as progress:
        for step in steps:
            for index, bloom in enumerate(blooms):
                bloom.add(step.strokes[index])
            progress.show(step.progress, partial(_state, step, options.objective.score))
            if received:
                break
    return step


def _state(step: VisualizeStep, score: str) -> str:
    """Synchronises with the device."""
    return f"step {step.index + 1}, {score} {-float(step.loss):.2f}"


def _paintings(step: VisualizeStep, blooms: Sequence[Bloom], options: VisualizeOptions) -> list[Painting]:
    brush = options.medium.brush
    probability = step.probability()
    paintings = []
    for index in range(options.batch):
        metadata = {
            "program": f"neural-paint {__version__}",
            "label": label_name(options.label),
            "size": scaled(options.canvas, options.size),
            **options.record,
            "networks": [network.name for network in options.networks],
            "probability": [round(float(p), 4) for p in probability[:, index]],
            "seed": options.seed,
            "steps": step.index + 1,
        }
        painting = Painting(
            step.strokes[index],
            options.canvas,
            step.background[index].tolist(),
            scaled(options.canvas, options.size),
            metadata,
            brush if isinstance(brush, NeuralPainter) else None,
            blooms[index] if blooms else None,
        )
        paintings.append(painting)
    return paintings


def _print_answers(canvas: Tensor, options: VisualizeOptions) -> None:
    """What each network takes the canvas for."""
    for network in (*options.networks, *options.judges):
        share, label = (x[0].tolist() for x in classified(network, canvas).topk(_TOP))
        said = ", ".join(f"{label_name(i)} {100 * p:.1f} %" for p, i in zip(share, label, strict=True))
        print(f"  {network.name}: {said}", flush=True)


def _write_sheet(paintings: Sequence[Painting], files: Sequence[Files], sheet: Path) -> int:
    side = min(_PANEL, max(paintings[0].size))
    pictures = [
        render(each.strokes, each.canvas, each.background, scaled(each.canvas, side), painter=each.painter)
        for each in paintings
    ]
    columns = math.ceil(math.sqrt(len(pictures)))
    picture = contact_sheet(pictures, [each.picture.name for each in files], columns)
    problem = attempt(lambda path: save_image(path, picture), sheet, [])
    if problem is not None:
        say(problem)
        return 1
    print(f"{sheet}: {picture.shape[3]} x {picture.shape[2]} pixels, {len(pictures)} paintings", flush=True)
    return 0
