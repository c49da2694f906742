"""`neural-paint visualize`: what a classifier takes for a label, painted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, get_args

import typer

from neural_paint.chosen_medium import chosen_medium
from neural_paint.chosen_painter import Speckle, Weights
from neural_paint.cli_options import (
    Device,
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
from neural_paint.finished_work import FAILURES, Files
from neural_paint.media import MEDIA, NEURAL
from neural_paint.paint_jobs import beside
from neural_paint.painters.actions import STROKE_SIZE
from neural_paint.painting_files import VideoOptions
from neural_paint.perception import (
    DEFAULT_NETWORK,
    FeatureNetwork,
    find_label,
    load_network,
    network_names,
    search_labels,
)
from neural_paint.progress import reason, say
from neural_paint.tasks.class_objective import ClassObjective, Score
from neural_paint.tasks.visualize import DEFAULT_SIZE, DEFAULT_STEPS, DEFAULT_STROKES
from neural_paint.visualize_work import VisualizeOptions, paint_label

_DEFAULT_MEDIUM = "round"
# Pixels that neighbouring blocks of the published grid have in common, of 64.
_OVERLAP = 48


def visualize(
    label: Annotated[
        str | None,
        typer.Argument(
            metavar="LABEL", help="One of ImageNet's 1,000 labels, a name or an index: --search.", show_default=False
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The painting to write: .png, .jpg or .webp. More of a --batch are called FILE-2, FILE-3 ...",
            show_default=False,
        ),
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="List the labels that contain the text, and stop.", show_default=False),
    ] = None,
    network: Annotated[
        list[str],
        typer.Option(
            metavar="NAME",
            help=f"Classifier that is to see the label; several times for several. One of "
            f"{', '.join(network_names())}, or timm/NAME.",
        ),
    ] = [DEFAULT_NETWORK],  # noqa: B006 (typer copies it)
    judge: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Classifier that is only asked in the end what it sees; several times for several.",
            show_default=False,
        ),
    ] = None,
    medium: Annotated[
        str, typer.Option(metavar="NAME", help=f"One of {', '.join(MEDIA)}, or an image file to stamp.")
    ] = _DEFAULT_MEDIUM,
    weights: Weights = None,
    speckle: Speckle = False,
    strokes: Annotated[
        int, typer.Option(metavar="N", help="Strokes on each canvas.", callback=within(1, 100_000))
    ] = DEFAULT_STROKES,
    canvas: Annotated[
        int | None,
        typer.Option(
            metavar="PX",
            help="Side of the canvas that the strokes are optimised on: more takes longer. The painting's own size is "
            f"--size. [default: {DEFAULT_SIZE}]",
            callback=within(16, 4096),
            show_default=False,
        ),
    ] = None,
    grid: Annotated[
        str | None,
        typer.Option(
            metavar="RxC",
            help="For --medium neural: rows and columns of blocks of 64 pixels, overlapping by 48, that make up the "
            "canvas and that strokes are bound to. 1x1 and 4x4 are published.",
            show_default=False,
        ),
    ] = None,
    size: Annotated[
        int, typer.Option(metavar="PX", help="Longest side of the painting in pixels.", callback=within(1, 65_500))
    ] = 640,
    batch: Annotated[int, typer.Option(metavar="N", help="Paintings of the label.", callback=within(1, 256))] = 1,
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write all of a --batch side by side.", show_default=False),
    ] = None,
    score: Annotated[
        str, typer.Option(metavar="NAME", help="What of the label is to rise: logit or probability.")
    ] = "logit",
    views: Annotated[
        int, typer.Option(metavar="N", help="Random views of each canvas in a step.", callback=within(1, 256))
    ] = ClassObjective.views,
    steps: Annotated[int | None, steps_option(DEFAULT_STEPS)] = None,
    seconds: Seconds = None,
    seed: Seed = 0,
    device: Device = "auto",
    save: Save = None,
    video: Video = None,
    bloom: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Also write how the painting came about, step by step, all strokes at once: .mp4 or .gif, or only the "
            "ending.",
            show_default=False,
        ),
    ] = None,
    video_seconds: VideoSeconds = 10,
    video_size: VideoSize = None,
) -> int:
    """Paint what a classifier takes for a label. Ctrl-C stops early and writes the painting as it is then."""
    if search is not None:
        return _list_labels(search)
    if label is None or output is None:
        raise typer.BadParameter("give a label and --output, or --search", param_hint="'LABEL'")
    check_budget(steps, seconds)
    side = canvas or DEFAULT_SIZE
    used = chosen_medium(medium, weights, speckle, device, None if grid is None else _OVERLAP)
    options = VisualizeOptions(
        label=_label(label),
        networks=_networks(network, "--network", device),
        judges=_networks(judge or [], "--judge", device),
        medium=used.medium,
        record=used.record,
        strokes=strokes,
        canvas=(side, side) if grid is None else _grid_size(grid, medium, canvas),
        size=size,
        batch=batch,
        objective=ClassObjective(score=_score(score), views=views),
        steps=steps,
        seconds=seconds,
        seed=seed,
        device=device,
        video=VideoOptions(video_seconds, video_size),
    )
    try:
        files = _files(batch, output, save, video, bloom)
        _check_names(files, sheet, used.file)
    except ValueError as error:
        raise typer.BadParameter(reason(error), param_hint="'--output'") from None
    try:
        return paint_label(files, sheet, options)
    except FAILURES as error:
        say(reason(error))
        return 1
    except KeyboardInterrupt:
        say("interrupted before the painting was written")
        return 130


def _list_labels(text: str) -> int:
    found = search_labels(text)
    for index, name in found:
        print(f"{index:>4}  {name}")
    if not found:
        say(f'no label contains "{text}"')
    return 0 if found else 1


def _label(text: str) -> int:
    try:
        return find_label(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'LABEL'") from None


def _networks(names: list[str], option: str, device: str) -> tuple[FeatureNetwork, ...]:
    networks = []
    for name in dict.fromkeys(names):
        try:
            network = load_network(name)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint=f"'{option}'") from None
        if not network.is_classifier:
            raise typer.BadParameter(f"{name} is no classifier of ImageNet's labels", param_hint=f"'{option}'")
        networks.append(network.to(device))
    return tuple(networks)


def _score(name: str) -> Score:
    for score in get_args(Score):
        if name == score:
            return score
    raise typer.BadParameter(f"must be one of {', '.join(get_args(Score))}, got {name}", param_hint="'--score'")


def _grid_size(grid: str, medium: str, canvas: int | None) -> tuple[int, int]:
    """(H, W) of the canvas that the blocks make up."""
    if medium != NEURAL:
        raise typer.BadParameter(f"it is for --medium {NEURAL}", param_hint="'--grid'")
    if canvas is not None:
        raise typer.BadParameter("--grid and --canvas exclude each other", param_hint="'--grid'")
    match = re.fullmatch(r"([1-9]\d?)x([1-9]\d?)", grid)
    if match is None:
        raise typer.BadParameter(f"must be rows x columns, such as 4x4, up to 99, got {grid}", param_hint="'--grid'")
    rows, columns = (STROKE_SIZE + (int(blocks) - 1) * (STROKE_SIZE - _OVERLAP) for blocks in match.groups())
    return rows, columns


def _files(count: int, picture: Path, *others: str | None) -> list[Files]:
    """Those of each painting, the others being strokes, video and bloom; the first has the names as they are."""
    named, paths = [], (picture, *(beside(picture, text) for text in others))
    for number in range(1, count + 1):
        first, *beside_it = (
            path and (path if number == 1 else path.with_stem(f"{path.stem}-{number}")) for path in paths
        )
        assert first is not None
        named.append(Files(first, *beside_it))
    named[0].check_endings()
    return named


def _check_names(files: list[Files], sheet: Path | None, medium: Path | None) -> None:
    """ValueError where two outputs are one file, or one of them is what is painted with."""
    taken = set() if medium is None else {medium.resolve()}
    for path in [*(path for each in files for path in each.outputs), *([] if sheet is None else [sheet])]:
        if path.resolve() in taken:
            raise ValueError(f"cannot write {path}: it is written to or read from already")
        taken.add(path.resolve())
