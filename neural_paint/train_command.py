"""`neural-paint train-painter`: a neural painter from a folder of strokes, in one process or several."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neural_paint.painters.recipe_names import RECIPES
from neural_paint.progress import say
from neural_paint.training_command import (
    ConfigFile,
    Precision,
    Resume,
    Steps,
    TrainDevice,
    TrainOptions,
    TrainSeed,
    batch_size_option,
    output_option,
    settings_option,
    train,
)

if TYPE_CHECKING:
    from neural_paint.painters import StrokeData
    from neural_paint.painters.training import PainterConfig
    from neural_paint.training import World


def _recipe(name: str | None) -> str | None:
    if name is not None and name not in RECIPES:
        raise typer.BadParameter(f"must be one of {', '.join(RECIPES)}, got {name}")
    return name


def train_painter(
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="The strokes, as `dataset` writes them.", show_default=False)
    ],
    output: Annotated[Path, output_option("painter.safetensors")],
    recipe: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"One of {', '.join(RECIPES)}.", callback=_recipe, show_default=False),
    ] = None,
    config: ConfigFile = None,
    steps: Steps = None,
    batch_size: Annotated[int | None, batch_size_option("Strokes")] = None,
    seed: TrainSeed = None,
    precision: Precision = None,
    settings: Annotated[list[str] | None, settings_option("learning_rate=0.001", "painter.dim=32")] = None,
    resume: Resume = False,
    device: TrainDevice = "auto",
) -> int:
    """Train a neural painter. Ctrl-C saves first; the same command, or --resume, goes on.

    With `torchrun --nproc-per-node N -m neural_paint train-painter ...`, N processes train together.
    """
    from neural_paint.painters.training import CONFIGS

    flags = {"recipe": recipe, "steps": steps, "batch_size": batch_size, "seed": seed, "precision": precision}
    return train(TrainOptions(output, config, settings, flags, resume, device), CONFIGS, partial(_open, data))


def _open(folder: Path, config: PainterConfig, world: World) -> tuple[StrokeData, StrokeData]:
    from neural_paint.painters import StrokeData

    train = StrokeData(folder, "train", validation=config.validation)
    validation = StrokeData(folder, "validation", validation=config.validation)
    if not len(validation):
        raise ValueError(f"{folder} has no strokes to validate with: more strokes, or a larger validation, are needed")
    if train.duplicates and world.is_first:
        say(f"{train.duplicates:,} strokes of {folder} have the action of another one")
    return train, validation
