"""What `--medium` asks for, and what a stroke file records of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer

from neural_paint.chosen_painter import Painters, chosen_tool
from neural_paint.io import load_brush
from neural_paint.media import MEDIA, NEURAL, Medium, named_medium, neural_medium
from neural_paint.painters import NeuralPainter


@dataclass(frozen=True)
class ChosenMedium:
    """The medium, the file that it came from, and what the stroke file says of it."""

    medium: Medium
    file: Path | None
    record: Mapping[str, Any]


def chosen_medium(
    name: str, weights: Path | None, speckle: bool, device: str, overlap: int | None = None
) -> ChosenMedium:
    """The medium of that name, or else the image of that name as a stamp.

    A neural painter's has the weights of a file, or of the painter that comes with the program, noise where speckle is
    asked for, and blocks that overlap by so many pixels, or as they do by default.

    Raises:
        typer.BadParameter: there is neither, or `--weights` or `--speckle` is not for it.
        OSError: a file cannot be read.
    """
    if name == NEURAL:
        tool = chosen_tool(Painters.neural, None, weights, speckle, device)
        assert isinstance(tool.brush, NeuralPainter)
        medium = replace(neural_medium(tool.brush), noise=speckle)
        if overlap is not None:
            medium = replace(medium, overlap=overlap)
        return ChosenMedium(medium, weights, {"medium": name, **tool.record})
    for option, given in (("--weights", weights is not None), ("--speckle", speckle)):
        if given:
            raise typer.BadParameter(f"it is for --medium {NEURAL}", param_hint=f"'{option}'")
    if name in MEDIA:
        return ChosenMedium(named_medium(name), None, {"medium": name})
    if not Path(name).exists():
        what = f"must be one of {', '.join(MEDIA)}, or an image file, and there is no file {name}"
        raise typer.BadParameter(what, param_hint="'--medium'")
    return ChosenMedium(Medium(load_brush(name)), Path(name), {"medium": Path(name).name})
