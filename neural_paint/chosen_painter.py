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
from neural_paint.painters import NeuralPainter, load_painter, pretrained_painters, provenance
from neural_paint.painters.base import DEFAULT_PAINTER
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
        help="A neural painter's weights, in place of a painter that comes with the program.",
        show_default=False,
    ),
]
Speckle = Annotated[
    bool,
    typer.Option(
        "--speckle",
        help="Strokes of a neural painter with a random speckle each, as MyPaint's have, not their smooth mean.",
    ),
]


def chosen_tool(painter: Painters, brush: str | None, weights: Path | None, speckle: bool, device: str) -> Tool:
    """What `--painter`, `--brush`, `--weights` and `--speckle` ask for.

    Raises:
        typer.BadParameter: they exclude each other, or name what is not there.
    """
    if painter is Painters.neural:
        return _neural_tool(brush, weights, speckle, device)
    for option, given in (("--weights", weights is not None), ("--speckle", speckle)):
        if given:
            raise typer.BadParameter("it is for --painter neural", param_hint=f"'{option}'")
    brush = brush or DEFAULT_BRUSH
    file = None if brush in BRUSHES else Path(brush)
    return Tool(named_brush(brush), file, {"brush": file.name if file else brush})


def _neural_tool(brush: str | None, weights: Path | None, speckle: bool, device: str) -> Tool:
    if brush is not None and weights is not None:
        raise typer.BadParameter("--brush and --weights exclude each other", param_hint="'--brush'")
    if brush is not None and brush not in pretrained_painters():
        what = f"must be one of {', '.join(pretrained_painters())} with --painter neural, got {brush}"
        raise typer.BadParameter(what, param_hint="'--brush'")
    name = brush or DEFAULT_PAINTER
    painter = chosen_painter(weights, device, name)
    if speckle and not painter.noise_size:
        raise typer.BadParameter("the painter has no noise to make it of", param_hint="'--speckle'")
    return Tool(painter, weights, painter_record(painter, weights, name))


def painter_record(painter: NeuralPainter, weights: Path | None, name: str = DEFAULT_PAINTER) -> dict[str, Any]:
    """What a stroke file says of the painter of that file, or else of the one of that name, for `painter_of`."""
    whose = {"name": name, "brush": provenance(name)["brush"]} if weights is None else {"name": weights.name}
    return {"painter": {"kind": painter.kind, **whose, "sha256": digest(painter)}}


def chosen_painter(weights: Path | None, device: str, name: str = DEFAULT_PAINTER) -> NeuralPainter:
    """The painter in that file, or else the one of that name, which comes with the program.

    Raises:
        typer.BadParameter: it is no painter's file, or there is no painter of that name.
        OSError: it cannot be read.
    """
    try:
        painter = NeuralPainter.pretrained(name) if weights is None else load_painter(weights)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'--weights'") from None
    return painter.to(device)


def painter_of(metadata: Mapping[str, Any], path: Path, weights: Path | None, device: str) -> NeuralPainter:
    """The painter in the file `weights`, or else the one with which the strokes of a file were painted, where it comes
    with the program; says so where it is another one. Errors are those of `chosen_painter`."""
    record = _record(metadata)
    known = record.get("name") in pretrained_painters()
    painter = chosen_painter(weights, device, record["name"] if known else DEFAULT_PAINTER)
    if record.get("sha256") not in (None, digest(painter)):
        say(f"{path} was painted by another painter, {record.get('name')}: its strokes look different with this one")
    return painter


def recorded_brush(metadata: Mapping[str, Any]) -> str | None:
    """The brush of MyPaint that the painter of a stroke file has learned, where that is recorded."""
    brush = _record(metadata).get("brush")
    return brush if isinstance(brush, str) else None


def _record(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a stroke file's metadata say of the painter."""
    record = metadata.get("painter")
    return record if isinstance(record, dict) else {}
