"""Checks and options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from neural_paint import backends
from neural_paint.brushes import BRUSHES, BitmapBrush, Brush
from neural_paint.io import load_brush

_LISTED = "`neural-paint info` lists what can"


def within(low: float, high: float) -> Callable[[Any], Any]:
    """A check of an option's value; an option that is not given passes."""

    def check(value: Any) -> Any:
        if value is not None and not low <= value <= high:
            raise typer.BadParameter(f"must be in {low:,} .. {high:,}, got {value}")
        return value

    return check


def device(name: str) -> str:
    """A device that `paint` has a kernel for; `auto` is the fastest of them."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() and _has_kernel("cuda") else "cpu"
    if not _has_kernel(known_device(name)):
        raise typer.BadParameter(f"{name} cannot be used here, as there is no kernel for it; {_LISTED}")
    return name


def known_device(name: str) -> str:
    """A device that torch finds."""
    try:
        device = torch.device(name)
    except RuntimeError:
        raise typer.BadParameter(f"must be auto, cpu, cuda or cuda:N, got {name}") from None
    if (device.index or 0) >= (torch.cuda.device_count() if device.type == "cuda" else 1):
        raise typer.BadParameter(f"{name} cannot be used here, as torch finds no such device; {_LISTED}")
    return name


def _has_kernel(device: torch.device | str) -> bool:
    return backends.available(device)[0] != "reference"


def named_brush(name: str) -> Brush | BitmapBrush:
    """The brush of that name, or else the one in that file."""
    if name in BRUSHES:
        return BRUSHES[name]
    if not Path(name).exists():
        what = f"must be one of {', '.join(BRUSHES)}, or an image file, and there is no file {name}"
        raise typer.BadParameter(what, param_hint="'--brush'")
    return load_brush(name)


Device = Annotated[
    str, typer.Option(metavar="NAME", help="Where to compute: auto, cpu, cuda or cuda:N.", callback=device)
]
VideoSeconds = Annotated[
    float,
    typer.Option(
        metavar="S",
        help="Length of the video in seconds; the last fifth, two seconds at most, shows the finished painting.",
        callback=within(0.5, 600),
    ),
]
VideoSize = Annotated[
    int | None,
    typer.Option(
        metavar="PX",
        help="Longest side of the video. [default: that of the painting, at most 1920 (.gif: 480)]",
        callback=within(2, 8192),
        show_default=False,
    ),
]
PaintedSize = Annotated[
    int | None,
    typer.Option(
        metavar="PX",
        help="Longest side of the painting in pixels. [default: as it was painted]",
        callback=within(1, 65_500),
        show_default=False,
    ),
]
Seconds = Annotated[
    float | None,
    typer.Option(metavar="S", help="Seconds of optimisation, instead of --steps.", callback=within(0.001, 1_000_000)),
]
Seed = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Of the random numbers: equal seeds and steps give equal paintings on one CPU.",
        callback=within(0, 2**63 - 1),
    ),
]
PhotoSize = Annotated[
    int | None,
    typer.Option(
        metavar="PX",
        help="Longest side of the painting in pixels. [default: that of the photograph]",
        callback=within(1, 65_500),
        show_default=False,
    ),
]
# Files beside a painting's, which may be called as it is.
Save = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Also write the strokes, which `render` paints again: .safetensors or .json. Only the ending, such as "
        "--save .json, calls the file as the painting is.",
        show_default=False,
    ),
]
Video = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Also write a time-lapse, stroke by stroke: .mp4 or .gif. Only the ending, such as --video .mp4, "
        "calls the file as the painting is.",
        show_default=False,
    ),
]


def steps_option(default: int) -> Any:
    """`--steps`, of which there are so many where it is not given."""
    return typer.Option(
        metavar="N",
        help=f"Steps of optimisation. [default: {default}]",
        callback=within(1, 10_000_000),
        show_default=False,
    )


def check_budget(steps: int | None, seconds: float | None) -> None:
    if steps is not None and seconds is not None:
        raise typer.BadParameter("--steps and --seconds exclude each other", param_hint="'--seconds'")
