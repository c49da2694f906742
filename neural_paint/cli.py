"""The command line: `neural-paint paint PHOTO -o painting.png`, `neural-paint info`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from neural_paint import __version__, backends
from neural_paint.io import ImageError, demo_photo
from neural_paint.paint_command import PaintOptions, paint_photo
from neural_paint.tasks.reconstruct import DEFAULT_STEPS

_HELP = """Paint photographs with brush strokes.

\b
Examples:
  neural-paint paint cat.jpg -o painting.png
  neural-paint paint cat.jpg -o poster.png --strokes 2000 --seconds 60 --size 4096
  neural-paint paint cat.jpg -o painting.png --save strokes.json
  neural-paint paint --demo -o painting.png        (the photograph that comes with the program)
  neural-paint info
"""

app = typer.Typer(
    name="neural-paint", help=_HELP, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 1 failed, 2 wrong usage, 130 or 143 interrupted."""
    try:
        return app(arguments, standalone_mode=False) or 0
    except (ImageError, OSError) as error:
        return _complain(getattr(error, "strerror", None) or str(error), 1)
    except Exception as error:
        # The parser's errors, whose common base class is not public.
        if not hasattr(error, "format_message"):
            raise
        return _complain(error.format_message(), 2)


def _complain(message: str, status: int) -> int:
    print(f"neural-paint: {' '.join(message.split())}", file=sys.stderr)
    return status


def _within(low: float, high: float) -> Callable[[Any], Any]:
    """A check of an option's value; an option that is not given passes."""

    def check(value: Any) -> Any:
        if value is not None and not low <= value <= high:
            raise typer.BadParameter(f"must be in {low:,} .. {high:,}, got {value}")
        return value

    return check


def _device(name: str) -> str:
    """A device that `paint` has a kernel for; `auto` is the fastest of them."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() and "cpp" in backends.available("cuda") else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise typer.BadParameter(f"must be auto, cpu, cuda or cuda:N, got {name}") from None
    count = torch.cuda.device_count() if device.type == "cuda" else 1
    if (device.index or 0) >= count or "cpp" not in backends.available(device):
        raise typer.BadParameter(f"{name} cannot be used here; `neural-paint info` lists what can")
    return name


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
        Path, typer.Option("--output", "-o", help="The painting to write: .png, .jpg or .webp.", show_default=False)
    ],
    photo: Annotated[Path | None, typer.Argument(help="The photograph.", show_default=False)] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Paint the photograph that comes with the program.")] = False,
    strokes: Annotated[int, typer.Option(help="Number of strokes.", callback=_within(1, 1_000_000))] = 500,
    steps: Annotated[
        int | None,
        typer.Option(
            help=f"Steps of optimisation. [default: {DEFAULT_STEPS}]",
            callback=_within(1, 10_000_000),
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(help="Time for the optimisation instead of steps.", callback=_within(0.001, 1_000_000)),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            help="Longest side of the painting in pixels. [default: that of the photograph]",
            callback=_within(1, 65_500),
            show_default=False,
        ),
    ] = None,
    fit: Annotated[
        int, typer.Option(help="Longest side of the canvas that is optimised on.", callback=_within(16, 16_384))
    ] = 320,
    seed: Annotated[int, typer.Option(help="Of the random numbers.", callback=_within(0, 2**63 - 1))] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.", callback=_device)] = "auto",
    save: Annotated[
        Path | None,
        typer.Option(help="A stroke file to write as well: .safetensors or .json.", show_default=False),
    ] = None,
) -> int:
    """Paint a photograph. Ctrl-C stops early and writes the painting as it is then."""
    if (photo is None) != demo:
        raise typer.BadParameter("give either a photograph or --demo", param_hint="PHOTO")
    if steps is not None and seconds is not None:
        raise typer.BadParameter("--steps and --seconds exclude each other", param_hint="--seconds")
    options = PaintOptions(
        photo=demo_photo() if photo is None else photo,
        output=output,
        save=save,
        strokes=strokes,
        steps=steps,
        seconds=seconds,
        size=size,
        fit=fit,
        seed=seed,
        device=device,
    )
    try:
        return paint_photo(options)
    except KeyboardInterrupt:
        return _complain("interrupted before the painting was written", 130)


@app.command()
def info() -> None:
    """Print versions, and the backends, threads and devices that can be used here."""
    for name, value in backends.info().items():
        if isinstance(value, dict):
            value = "; ".join(f"{key}: {', '.join(values)}" for key, values in value.items())
        elif isinstance(value, list):
            value = ", ".join(map(str, value)) or "none"
        print(f"{name.replace('_', ' '):<20}{value}")
