"""The command line: `neural-paint paint PHOTO -o painting.png`, and the commands around it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from neural_paint import __version__, backends
from neural_paint.allocation import keep_freed_memory
from neural_paint.brushes import BRUSHES
from neural_paint.chosen_painter import DEFAULT_BRUSH, DEFAULT_PAINTER, Painters, Speckle, Weights, chosen_tool
from neural_paint.cli_options import (
    Device,
    PaintedSize,
    PhotoSize,
    Save,
    Seconds,
    Seed,
    Video,
    VideoSeconds,
    VideoSize,
    check_budget,
    steps_option,
    within,
)
from neural_paint.dataset_command import dataset
from neural_paint.io import ImageError, demo_photo
from neural_paint.mypaint import library
from neural_paint.paint_command import PaintOptions, paint_photos
from neural_paint.paint_jobs import plan_jobs
from neural_paint.painters import pretrained_painters
from neural_paint.painting_files import VideoOptions
from neural_paint.progress import reason, say
from neural_paint.render_command import RenderOptions, render_file
from neural_paint.replay_command import replay
from neural_paint.sketch_command import sketch
from neural_paint.stylize_command import stylize
from neural_paint.tasks.reconstruct import DEFAULT_STEPS
from neural_paint.train_agent_command import train_agent
from neural_paint.train_command import train_painter
from neural_paint.visualize_command import visualize

_HELP = """Paint photographs with brush strokes.

\b
Examples:
  neural-paint paint cat.jpg -o painting.png
  neural-paint paint cat.jpg -o poster.png --strokes 2000 --seconds 60 --size 4096
  neural-paint paint cat.jpg -o painting.png --save strokes.json --video painting.mp4
  neural-paint paint cat.jpg -o painting.png --brush my-brush.png
  neural-paint paint cat.jpg -o painting.png --painter neural --speckle --save strokes.json
  neural-paint paint holidays/*.jpg -o paintings/  (one painting for each photograph)
  neural-paint paint --demo -o painting.png        (the photograph that comes with the program)
  neural-paint visualize goldfish -o goldfish.png --bloom goldfish.mp4
  neural-paint render strokes.json -o poster.png --size 8192
  neural-paint replay strokes.json -o mypaint.png --compare sheet.png
  neural-paint stylize cat.jpg -o painting.png --medium watercolour
  neural-paint sketch seven.png -o drawing.png --compare sheet.png
  neural-paint dataset --strokes 100000 -o strokes/
  neural-paint train-painter --recipe dab --data strokes/ -o run/
  neural-paint train-agent --data mnist -o run/
  neural-paint info
"""

app = typer.Typer(
    name="neural-paint", help=_HELP, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 1 failed, 2 wrong usage, 130 or 143 interrupted."""
    keep_freed_memory()
    try:
        return app(arguments, standalone_mode=False) or 0
    except (ImageError, OSError) as error:
        return _complain(reason(error), 1)
    except Exception as error:
        # The parser's errors, whose common base class is not public.
        if not hasattr(error, "format_message"):
            raise
        return _complain(error.format_message(), 2)


def _complain(message: str, status: int) -> int:
    say(message)
    return status


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"neural-paint {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _program(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def paint(
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The painting to write: .png, .jpg or .webp. For several photographs a folder: each painting is "
            "called as its photograph is, and ends in .png.",
            show_default=False,
        ),
    ],
    photos: Annotated[
        list[Path] | None, typer.Argument(help="The photograph, or several.", metavar="PHOTO", show_default=False)
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Paint the photograph that comes with the program.")] = False,
    strokes: Annotated[int, typer.Option(metavar="N", help="Number of strokes.", callback=within(1, 1_000_000))] = 500,
    steps: Annotated[int | None, steps_option(DEFAULT_STEPS)] = None,
    seconds: Seconds = None,
    size: PhotoSize = None,
    fit: Annotated[
        int,
        typer.Option(
            metavar="PX",
            help="Longest side of the reduced photograph that the strokes are fitted to: more shows finer detail and "
            "takes longer. The painting's own size is --size.",
            callback=within(16, 16_384),
        ),
    ] = 320,
    painter: Annotated[
        Painters,
        typer.Option(
            metavar="NAME",
            help="Who paints: optimise (strokes of --brush) or neural (strokes that a network learned from MyPaint; "
            "`replay` executes them there).",
        ),
    ] = Painters.optimise,
    brush: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"One of {', '.join(BRUSHES)}, or an image file to stamp: paint is where it is opaque, or, if it is "
            f"that everywhere, where it is dark. [default: {DEFAULT_BRUSH}] With --painter neural one of MyPaint's "
            f"that painters have learned: {', '.join(pretrained_painters())}. [default: {DEFAULT_PAINTER}]",
            show_default=False,
        ),
    ] = None,
    weights: Weights = None,
    speckle: Speckle = False,
    seed: Seed = 0,
    device: Device = "auto",
    save: Save = None,
    video: Video = None,
    video_seconds: VideoSeconds = 10,
    video_size: VideoSize = None,
) -> int:
    """Paint photographs. Ctrl-C stops early and writes the painting as it is then."""
    if bool(photos) == demo:
        raise typer.BadParameter("give either a photograph or --demo", param_hint="PHOTO")
    check_budget(steps, seconds)
    tool = chosen_tool(painter, brush, weights, speckle, device)
    options = PaintOptions(
        strokes=strokes,
        steps=steps,
        seconds=seconds,
        size=size,
        fit=fit,
        brush=tool.brush,
        record=tool.record,
        speckle=speckle,
        seed=seed,
        device=device,
        video=VideoOptions(video_seconds, video_size),
    )
    try:
        jobs = plan_jobs(photos or [demo_photo()], output, save, video, tool.file)
    except ValueError as error:
        return _complain(str(error), 2)
    try:
        return paint_photos(jobs, options)
    except KeyboardInterrupt:
        return _complain("interrupted before the painting was written", 130)


@app.command()
def render(
    strokes: Annotated[Path, typer.Argument(help="A stroke file: .safetensors or .json.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The painting to write: .png, .jpg or .webp.", show_default=False
        ),
    ] = None,
    size: PaintedSize = None,
    device: Device = "auto",
    weights: Weights = None,
    video: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A time-lapse to write, stroke by stroke: .mp4 or .gif.", show_default=False),
    ] = None,
    video_seconds: VideoSeconds = 10,
    video_size: VideoSize = None,
) -> int:
    """Paint the strokes that `paint --save` wrote, at any size. Ctrl-C stops it and leaves no unfinished file."""
    if output is None and video is None:
        raise typer.BadParameter("give --output or --video or both", param_hint="--output")
    options = RenderOptions(
        strokes=strokes,
        picture=output,
        video=video,
        size=size,
        device=device,
        weights=weights,
        video_options=VideoOptions(video_seconds, video_size),
    )
    try:
        return render_file(options)
    except (ValueError, MemoryError) as error:
        return _complain(reason(error), 1)
    except KeyboardInterrupt:
        return _complain("interrupted, nothing unfinished was left", 130)


app.command()(visualize)
app.command()(replay)
app.command()(stylize)
app.command()(sketch)
app.command()(dataset)
app.command()(train_painter)
app.command()(train_agent)


@app.command()
def info() -> None:
    """Print versions, and the backends, threads and devices that can be used here, and where MyPaint is."""
    for name, value in (backends.info() | {"mypaint": library.about()}).items():
        if isinstance(value, dict):
            value = "; ".join(f"{key}: {', '.join(values)}" for key, values in value.items())
        elif isinstance(value, list):
            value = ", ".join(map(str, value)) or "none"
        print(f"{name.replace('_', ' '):<20}{value}")
