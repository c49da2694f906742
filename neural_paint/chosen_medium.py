"""What `--medium` asks for, and what a stroke file records of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer

from neural_paint.chosen_painter import Painters, chosen_tool
from neural_paint.media import MEDIA, NEURAL, Medium, named_medium, neural_medium
from neural_paint.painters import NeuralPainter


@dataclass(frozen=True)
class ChosenMedium:
    """The medium, and what the stroke file says of it."""

    medium: Medium
    record: Mapping[str, Any]


def chosen_medium(name: str, weights: Path | None, device: str, overlap: int | None = None) -> ChosenMedium:
    """The medium of that name, a neural painter's with the weights of a file or of the painter that comes with the
    program, and blocks that overlap by so many pixels, or as they do by default.

    Raises:
        typer.BadParameter: there is no such medium, or `--weights` is not for it.
    """
    if name not in MEDIA:
        raise typer.BadParameter(f"must be one of {', '.join(MEDIA)}, got {name}", param_hint="'--medium'")
    if name != NEURAL:
        if weights is not None:
            raise typer.BadParameter(f"it is for --medium {NEURAL}", param_hint="'--weights'")
        return ChosenMedium(named_medium(name), {"medium": name})
    tool = chosen_tool(Painters.neural, None, weights, False, device)
    assert isinstance(tool.brush, NeuralPainter)
    medium = neural_medium(tool.brush)
    if overlap is not None:
        medium = replace(medium, overlap=overlap)
    return ChosenMedium(medium, {"medium": name, **tool.record})
