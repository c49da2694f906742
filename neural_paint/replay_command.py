"""`neural-paint replay`: the strokes of a neural painter, executed by the painting program that it learned from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from torch import Tensor

from neural_paint import mypaint
from neural_paint.action_strokes import ActionStrokes
from neural_paint.chosen_painter import Weights, recorded_brush
from neural_paint.cli_options import Device, PaintedSize
from neural_paint.contact_sheet import image_band
from neural_paint.io import load_strokes, save_bands
from neural_paint.io.atomic import check_writable
from neural_paint.io.paintings import check_picture
from neural_paint.io.strokes import KINDS
from neural_paint.mypaint_painting import paint_in_mypaint
from neural_paint.progress import listed, reason, say
from neural_paint.render_command import painting_of, shown
from neural_paint.replay_sheet import Sheet, sheet_size

# Rows of the picture written at once.
_ROWS = 256


@dataclass(frozen=True)
class ReplayOptions:
    """The options of `neural-paint replay`, each within its range; a picture or a sheet or both are asked for."""

    strokes: Path
    picture: Path | None
    sheet: Path | None
    brush: str | None
    size: int | None
    reuse_brush: bool
    device: str
    weights: Path | None


def replay(
    strokes: Annotated[
        Path, typer.Argument(help="A stroke file of actions: .safetensors or .json.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="MyPaint's painting to write: .png, .jpg or .webp.",
            show_default=False,
        ),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A sheet to write: what the neural painter shows, what MyPaint paints, and their difference.",
            show_default=False,
        ),
    ] = None,
    brush: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A brush of MyPaint, or a .myb file. [default: the one that the strokes' painter has learned, or "
            f"{mypaint.DEFAULT_BRUSH} where that is not recorded]",
            show_default=False,
        ),
    ] = None,
    size: PaintedSize = None,
    reuse_brush: Annotated[
        bool,
        typer.Option(
            "--reuse-brush", help="One brush for all strokes: its random numbers go on from each to the next."
        ),
    ] = False,
    weights: Weights = None,
    device: Device = "auto",
) -> int:
    """Execute the strokes that `paint --painter neural --save` wrote in the real MyPaint, at any size."""
    if output is None and compare is None:
        raise typer.BadParameter("give --output or --compare or both", param_hint="--output")
    if compare is None and weights is not None:
        raise typer.BadParameter("it is for --compare, which is not asked for", param_hint="'--weights'")
    if output is not None and compare is not None and output.resolve() == compare.resolve():
        raise typer.BadParameter(f"{compare} is --output already", param_hint="'--compare'")
    try:
        return replay_file(ReplayOptions(strokes, output, compare, brush, size, reuse_brush, device, weights))
    except (ValueError, MemoryError) as error:
        say(reason(error))
        return 1
    except KeyboardInterrupt:
        say("interrupted, nothing unfinished was left")
        return 130


def replay_file(options: ReplayOptions) -> int:
    """Replay a stroke file, and return the exit status.

    Raises:
        ValueError, OSError: with a message of one sentence.
    """
    file = load_strokes(options.strokes)
    if not isinstance(file.strokes, ActionStrokes):
        kind = next(kind for kind, container in KINDS.items() if isinstance(file.strokes, container))
        raise ValueError(f"cannot replay {options.strokes}: it must hold strokes of kind 'actions', got {kind!r}")
    mypaint.require()
    brush = options.brush or recorded_brush(file.metadata) or mypaint.DEFAULT_BRUSH
    painting = painting_of(file, options.strokes, options.size)
    if options.sheet is not None:
        painting = shown(painting, options.strokes, options.device, options.weights)
    for path, size in ((options.picture, painting.size), (options.sheet, sheet_size(painting.size))):
        if path is not None:
            check_picture(path, size)
            check_writable(path)
    image = paint_in_mypaint(painting, brush, fresh=not options.reuse_brush)
    written = []
    if options.picture is not None:
        save_bands(options.picture, _bands(image), painting.size)
        written.append(options.picture)
    height, width = painting.size
    what = f"{width} x {height} pixels, {file.strokes.num_strokes} strokes with MyPaint's {brush}"
    if options.sheet is not None:
        assert painting.painter is not None
        sheet = Sheet(painting.bands(), image, (f"neural painter ({painting.painter.kind})", f"MyPaint ({brush})"))
        save_bands(options.sheet, sheet.bands(), sheet_size(painting.size))
        written.append(options.sheet)
        what += f", {sheet.psnr:.2f} dB from the neural painter's"
    print(f"{listed(written)}: {what}")
    return 0


def _bands(image: np.ndarray) -> Iterator[Tensor]:
    for top in range(0, len(image), _ROWS):
        yield image_band(image[top : top + _ROWS])
