"""`neural-paint stylize`: a photograph painted in a medium, as a classifier sees it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, cast

import typer

from neural_paint.chosen_medium import chosen_medium
from neural_paint.chosen_painter import Speckle, Weights
from neural_paint.cli_options import (
    Device,
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
from neural_paint.finished_work import FAILURES
from neural_paint.io import ImageError, demo_photo
from neural_paint.media import MEDIA
from neural_paint.paint_jobs import Job, check_unlike, plan_jobs
from neural_paint.painting_files import VideoOptions
from neural_paint.perception import DEFAULT_NETWORK, network_names
from neural_paint.progress import reason, say
from neural_paint.stylizing import StylizeOptions, stylize_photo
from neural_paint.tasks.presets import PRESETS, Preset
from neural_paint.tasks.stylize import DEFAULT_STEPS, DEFAULT_STROKES, Objective, Start, StyleLoss

_DEFAULT_MEDIUM, _DEFAULT_FIT = "oil", 288


def stylize(
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The painting to write: .png, .jpg or .webp.", show_default=False
        ),
    ],
    photo: Annotated[Path | None, typer.Argument(help="The photograph.", metavar="PHOTO", show_default=False)] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Paint the photograph that comes with the program.")] = False,
    medium: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"One of {', '.join(MEDIA)}, or an image file to stamp. [default: {_DEFAULT_MEDIUM}]",
            show_default=False,
        ),
    ] = None,
    strokes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help=f"Number of strokes. [default: {DEFAULT_STROKES}]",
            callback=within(1, 1_000_000),
            show_default=False,
        ),
    ] = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A layer of the network in which painting and photograph are to be alike; may be given several times. "
            "Early ones keep to the photograph, late ones are free. One of another network is vgg19:relu3_1. "
            "[default: expand5]",
            show_default=False,
        ),
    ] = None,
    network: Annotated[
        str,
        typer.Option(metavar="NAME", help=f"What looks: {', '.join(network_names())}, or timm/<a model of timm>."),
    ] = DEFAULT_NETWORK,
    style: Annotated[
        Path | None,
        typer.Option(
            metavar="IMAGE", help="A picture in whose style to paint; else the medium makes it.", show_default=False
        ),
    ] = None,
    style_loss: Annotated[
        str,
        typer.Option(metavar="NAME", help="How styles are compared: gram, or transport (which takes pip install POT)."),
    ] = "gram",
    style_weight: Annotated[
        float,
        typer.Option(metavar="X", help="What the style counts for next to the content.", callback=within(0, 1e9)),
    ] = 1.0,
    grey: Annotated[bool, typer.Option("--grey", help="Greys alone.")] = False,
    palette: Annotated[
        str | None,
        typer.Option(
            metavar="COLORS",
            help='These colours alone, such as "#1b1b1b,white,tomato"; or so many of the photograph, such as 6.',
            show_default=False,
        ),
    ] = None,
    thin: Annotated[
        float | None,
        typer.Option(
            metavar="PERCENT",
            help="Strokes no wider than this, in hundredths of the painting's longer side.",
            callback=within(0.05, 100),
            show_default=False,
        ),
    ] = None,
    opaque: Annotated[bool, typer.Option("--opaque", help="Strokes that cover what is below.")] = False,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Where strokes begin: photo (placed on it, in its colours) or random. [default: photo]",
            show_default=False,
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"Settings that were published, where others are not given: {', '.join(PRESETS)}.",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[int | None, steps_option(DEFAULT_STEPS)] = None,
    seconds: Seconds = None,
    size: PhotoSize = None,
    fit: Annotated[
        int | None,
        typer.Option(
            metavar="PX",
            help="Longest side of the reduced photograph that is looked at: more shows finer detail and takes longer. "
            f"[default: {_DEFAULT_FIT}]",
            callback=within(32, 4_096),
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
    sheet: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also paint with layer after layer of the network, and write a contact sheet of that.",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Paint what a classifier sees in a photograph: the medium makes the style. Ctrl-C stops early and writes it as it
    is then."""
    if (photo is not None) == demo:
        raise typer.BadParameter("give either a photograph or --demo", param_hint="PHOTO")
    check_budget(steps, seconds)
    published = _preset(preset)
    name = medium or (published.medium if published else _DEFAULT_MEDIUM)
    chosen = chosen_medium(name, weights, speckle, device)
    try:
        objective = published.objective(network) if published else Objective(network=network)
        if layer:
            objective = objective.with_layers(layer)
        (job,) = plan_jobs([photo or demo_photo()], output, save, video, chosen.file)
        _check_files(job, sheet, style, chosen.file)
        options = StylizeOptions(
            medium=chosen.medium,
            objective=replace(objective, style_loss=cast(StyleLoss, style_loss), style_weight=style_weight),
            style=style,
            strokes=strokes or (published.strokes if published else DEFAULT_STROKES),
            steps=steps or (published.steps if published and seconds is None else None),
            seconds=seconds,
            start=cast(Start, start) or (published.start if published else "photo"),
            canvas=published.canvas if published and fit is None else None,
            fit=fit or _DEFAULT_FIT,
            size=size,
            grey=grey,
            palette=palette,
            thin=thin,
            opaque=opaque,
            seed=seed,
            device=device,
            record={**chosen.record, **({"preset": preset} if preset else {})},
            video=VideoOptions(video_seconds, video_size),
            sheet=sheet,
        )
        return stylize_photo(job, options)
    except KeyboardInterrupt:
        say("interrupted before the painting was written")
        return 130
    # ImportError: of a package that not everyone needs.
    except (*FAILURES, ImportError) as error:
        text = reason(error)
        say(text if isinstance(error, (ImageError, OSError, ValueError, ImportError)) else f"cannot paint: {text}")
        return 1


def _preset(name: str | None) -> Preset | None:
    if name is not None and name not in PRESETS:
        raise typer.BadParameter(f"must be one of {', '.join(PRESETS)}, got {name}", param_hint="'--preset'")
    return None if name is None else PRESETS[name]


def _check_files(job: Job, sheet: Path | None, style: Path | None, tool: Path | None) -> None:
    """ValueError where a file would be written over another one of this run."""
    read = {} if style is None else {style: "the picture of the style"}
    for path in job.files.outputs:
        check_unlike(path, read)
    if sheet is None:
        return
    read |= {job.photo: "the photograph"} | ({} if tool is None else {tool: "the brush or the painter"})
    check_unlike(sheet, read | dict.fromkeys(job.files.outputs, "a file of the painting"))
