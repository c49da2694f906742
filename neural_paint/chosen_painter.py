"""What a command paints with, a brush or a neural painter, and what a stroke file records of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from neural_paint.brushes import BRUSHES, BitmapBrush, Brush
from neural_paint.cli_options import named_brush
from neural_paint.painters import NeuralPainter, load_painter
from neural_paint.painters.digest import digest
from neural_paint.progress import say

DEFAULT_BRUSH = "round"


class Painters(str, Enum):
    """Who paints."""

    optimise = "optimise"
    neural = "neural"


@dataclass(frozen=True)
class Tool:
    """What is painted with, the file that it came from, and what the stroke file says of it."""

    brush: Brush | BitmapBrush | NeuralPainter
    file: Path | None
    record: Mapping[str, Any]


Weights = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="A neural painter's weights, for the painter that comes with the program.",
        show_default=False,
    ),
]


def chosen_tool(painter: Painters, brush: str | None, weights: Path | None, device: str) -> Tool:
    """What `--painter`, `--brush` and `--weights` ask for.

    Raises:
        typer.BadParameter: they exclude each other, or name what is not there.
    """
    if painter is Painters.neural:
        if brush is not None:
            raise typer.BadParameter(
                "it is for --painter optimise: a neural painter has its own", param_hint="'--brush'"
            )
        network = chosen_painter(weights, device)
        return Tool(network, weights, {"painter": _record(network, weights)})
    if weights is not None:
        raise typer.BadParameter("it is for --painter neural", param_hint="'--weights'")
    brush = brush or DEFAULT_BRUSH
    file = None if brush in BRUSHES else Path(brush)
    return Tool(named_brush(brush), file, {"brush": file.name if file else brush})


def chosen_painter(weights: Path | None, device: str) -> NeuralPainter:
    """The painter in that file, or else the one that comes with the program.

    Raises:
        typer.BadParameter: it is no painter's file.
        OSError: it cannot be read.
    """
    try:
        painter = NeuralPainter.pretrained() if weights is None else load_painter(weights)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'--weights'") from None
    return painter.to(device)


def _record(painter: NeuralPainter, weights: Path | None) -> dict[str, Any]:
    """What a stroke file's metadata say, as `painter`, of who painted it."""
    name = "pretrained" if weights is None else weights.name
    return {"kind": painter.kind, "name": name, "sha256": digest(painter)}


def tell_of_another(painter: NeuralPainter, metadata: Mapping[str, Any], path: Path) -> None:
    """Say so where the strokes of a file were painted by another painter than this."""
    record = metadata.get("painter")
    if isinstance(record, dict) and record.get("sha256") not in (None, digest(painter)):
        say(f"{path} was painted by another painter, {record.get('name')}: its strokes look different with this one")
