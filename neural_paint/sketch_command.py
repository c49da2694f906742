"""`neural-paint sketch`: pictures, drawn stroke by stroke by an agent that has learned to draw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from neural_paint.agents import pretrained_agents
from neural_paint.agents.pretrained import DEFAULT_AGENT
from neural_paint.chosen_agent import chosen_agent
from neural_paint.chosen_painter import Weights
from neural_paint.cli_options import Device, PhotoSize, Save, Video, VideoSeconds, VideoSize, within
from neural_paint.io.atomic import check_writable
from neural_paint.io.paintings import check_picture
from neural_paint.paint_jobs import Job, check_unlike, plan_jobs
from neural_paint.painting_files import VideoOptions
from neural_paint.progress import say
from neural_paint.sketch_sheet import MOST_PICTURES
from neural_paint.sketching import SketchOptions, sketch_pictures
from neural_paint.tasks.sketch import MOST_TIMES, checked_strokes

# At most 64 x 64 squares.
_MOST_BLOCKS = 64


def sketch(
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The drawing to write: .png, .jpg or .webp. For several pictures a folder: each drawing is called as "
            "its picture is, and ends in .png.",
            show_default=False,
        ),
    ],
    images: Annotated[list[Path], typer.Argument(help="The picture, or several.", metavar="IMAGE", show_default=False)],
    agent: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=f"Who draws: {', '.join(pretrained_agents())}, or the file of an agent that `train-agent` wrote.",
        ),
    ] = DEFAULT_AGENT,
    weights: Weights = None,
    blocks: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Squares along the longer side of the picture, each of which is drawn by itself; with 1 the whole "
            "picture is drawn on a square of paper.",
            callback=within(1, _MOST_BLOCKS),
        ),
    ] = 1,
    strokes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Strokes in each square. [default: those that the agent learned with; up to "
            f"{MOST_TIMES} times as many]",
            callback=within(1, 1_000_000),
            show_default=False,
        ),
    ] = None,
    invert: Annotated[
        bool | None,
        typer.Option(
            "--invert/--no-invert",
            help="Swap light and dark of the picture. [default: where an agent that has only black gets one that is "
            "light on dark]",
            show_default=False,
        ),
    ] = None,
    size: PhotoSize = None,
    device: Device = "auto",
    save: Save = None,
    video: Video = None,
    video_seconds: VideoSeconds = 10,
    video_size: VideoSize = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write a sheet: the picture, the drawing after each stroke, and what MyPaint, where it is "
            "installed, paints of the strokes.",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Draw pictures stroke by stroke with an agent. Ctrl-C stops early and writes the drawing as it is then."""
    chosen = chosen_agent(agent, weights, device)
    try:
        checked_strokes(chosen.agent, strokes)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'--strokes'") from None
    options = SketchOptions(
        chosen=chosen,
        blocks=blocks,
        strokes=strokes,
        invert=invert,
        size=size,
        device=device,
        video=VideoOptions(video_seconds, video_size),
        sheet=compare,
    )
    try:
        jobs = plan_jobs(images, output, save, video)
        _check_files(jobs, options)
    except ValueError as error:
        say(str(error))
        return 2
    try:
        return sketch_pictures(jobs, options)
    except KeyboardInterrupt:
        say("interrupted, what was named is written")
        return 130


def _check_files(jobs: Sequence[Job], options: SketchOptions) -> None:
    """ValueError or OSError where a file would be written over another one of this run, or cannot be written later."""
    for job in jobs:
        for path in job.files.outputs:
            check_unlike(path, options.chosen.files)
    if options.sheet is None:
        return
    if len(jobs) > MOST_PICTURES:
        raise ValueError(f"--compare is for up to {MOST_PICTURES} pictures, got {len(jobs)}")
    check_unlike(options.sheet, options.chosen.files)
    for job in jobs:
        check_unlike(options.sheet, {job.photo: "the picture"} | dict.fromkeys(job.files.outputs, "a drawing's file"))
    check_picture(options.sheet, (1, 1))
    check_writable(options.sheet)
