"""`neural-paint train-painter`: a neural painter from a folder of strokes, in one process or several."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
import typer

from neural_paint.cli_options import known_device, within
from neural_paint.painters.recipe_names import RECIPES
from neural_paint.progress import reason, say

if TYPE_CHECKING:
    from neural_paint.painters.training import Outcome, Run, TrainConfig, World

_STEPS = 10**9


def _recipe(name: str | None) -> str | None:
    if name is not None and name not in RECIPES:
        raise typer.BadParameter(f"must be one of {', '.join(RECIPES)}, got {name}")
    return name


def _device(name: str) -> str:
    if name != "auto":
        return known_device(name)
    return "cuda" if torch.cuda.is_available() else "cpu"


@dataclasses.dataclass(frozen=True)
class _Options:
    """What the command line says; None where it says nothing."""

    recipe: str | None
    config: Path | None
    settings: list[str]
    flags: dict[str, Any]
    resume: bool


def train_painter(
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="The strokes, as `dataset` writes them.", show_default=False)
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="RUN",
            help="The folder of the training: checkpoints, logs and at the end painter.safetensors.",
            show_default=False,
        ),
    ],
    recipe: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"One of {', '.join(RECIPES)}.", callback=_recipe, show_default=False),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Settings of the recipe: .toml or .json.", show_default=False),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", help="Steps of all stages.", callback=within(1, _STEPS), show_default=False),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Strokes of a step, of all processes together.",
            callback=within(1, _STEPS),
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Of weights, order and noise.", callback=within(0, 2**63 - 1), show_default=False
        ),
    ] = None,
    precision: Annotated[
        str | None, typer.Option(metavar="NAME", help="auto, float32 or bfloat16.", show_default=False)
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any setting of the recipe, such as --set learning_rate=0.001 or --set painter.dim=32; several.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the training in RUN, with its settings.")
    ] = False,
    device: Annotated[
        str, typer.Option(metavar="NAME", help="Where to compute: auto, cpu, cuda or cuda:N.", callback=_device)
    ] = "auto",
) -> int:
    """Train a neural painter. Ctrl-C saves first; the same command, or --resume, goes on.

    With `torchrun --nproc-per-node N -m neural_paint train-painter ...`, N processes train together.
    """
    from neural_paint.painters.training import World

    flags = {"steps": steps, "batch_size": batch_size, "seed": seed, "precision": precision}
    given = {key: value for key, value in flags.items() if value is not None}
    world = World()
    try:
        chosen = _config(output, _Options(recipe, config, settings or [], given, resume))
        world = World.join(device)
        run = _run(chosen, data, output, device, world)
        outcome = run.train()
    except (OSError, ValueError, MemoryError, RuntimeError) as error:
        say(reason(error))
        return 1
    finally:
        world.leave()
    return _tell(output, run, outcome) if world.is_first else 0


def _config(folder: Path, options: _Options) -> TrainConfig:
    """Settings of the training in the folder or of the file, then those of the command line."""
    from neural_paint.painters.training.config import make_config, parse_setting, read_config
    from neural_paint.painters.training.run import recorded_settings

    values = recorded_settings(folder) if options.resume else {}
    if values is None:
        raise ValueError(f"there is no training to go on with in {folder}")
    if options.config is not None:
        values.update(read_config(options.config))
    for text in options.settings:
        key, value = parse_setting(text)
        table, dot, entry = key.partition(".")
        if dot and isinstance(values.setdefault(table, {}), dict):
            values[table] = {**values[table], entry: value}
        else:
            values[key] = value
    if options.recipe is not None:
        values["recipe"] = options.recipe
    return make_config({**values, **options.flags})


def _run(config: TrainConfig, data: Path, folder: Path, device: str, world: World) -> Run:
    from neural_paint.painters.stroke_data import StrokeData
    from neural_paint.painters.training import Run

    train = StrokeData(data, "train", validation=config.validation)
    validation = StrokeData(data, "validation", validation=config.validation)
    if not len(validation):
        raise ValueError(f"{data} has no strokes to validate with: more strokes, or a larger validation, are needed")
    if train.duplicates and world.is_first:
        say(f"{train.duplicates:,} strokes of {data} have the action of another one")
    if device.startswith("cuda") and "LOCAL_RANK" in os.environ:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
    return Run(config, train, validation, folder, device=device, world=world)


def _tell(folder: Path, run: Run, outcome: Outcome) -> int:
    if outcome.was_finished:
        print(f"{folder}: finished already, {run.trainer.step:,} steps")
        return 0
    if outcome.signal:
        name = signal.Signals(outcome.signal).name
        say(f"stopped by {name} after {run.trainer.step:,} steps, which are saved; the same command goes on")
        return 128 + outcome.signal
    evaluation = outcome.evaluation
    assert evaluation is not None
    ssim = "" if evaluation.ssim is None else f", SSIM {evaluation.ssim:.4f}"
    print(
        f"{folder / 'painter.safetensors'}: {run.trainer.step:,} steps; on {evaluation.strokes:,} validation strokes "
        f"mean squared error {evaluation.mse:.3g}{ssim}, {evaluation.strokes_per_second:,.0f} strokes/s"
    )
    return 0
