"""What the commands that train share: options, settings, the processes that join, and what is told at the end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

import torch
import typer

from neural_paint.cli_options import known_device, within
from neural_paint.progress import reason, say

# What trains is loaded by the commands that train alone.
if TYPE_CHECKING:
    from neural_paint.training import Outcome, Run, TrainConfig, TrainData, ValidationData, World

    Config = TypeVar("Config", bound=TrainConfig)
    # What trains and what validates, for a config; the first process tells of what it finds.
    OpenData: TypeAlias = Callable[[Config, World], tuple[TrainData, ValidationData]]

_MOST = 10**9


def _device(name: str) -> str:
    if name != "auto":
        return known_device(name)
    return "cuda" if torch.cuda.is_available() else "cpu"


ConfigFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Settings of the recipe: .toml or .json.", show_default=False)
]
Steps = Annotated[
    int | None, typer.Option(metavar="N", help="Steps of all stages.", callback=within(1, _MOST), show_default=False)
]
TrainSeed = Annotated[
    int | None,
    typer.Option(metavar="N", help="Of weights, order and noise.", callback=within(0, 2**63 - 1), show_default=False),
]
Precision = Annotated[str | None, typer.Option(metavar="NAME", help="auto, float32 or bfloat16.", show_default=False)]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the training in RUN, with its settings.")]
TrainDevice = Annotated[
    str, typer.Option(metavar="NAME", help="Where to compute: auto, cpu, cuda or cuda:N.", callback=_device)
]


def output_option(result: str) -> Any:
    """`--output`, a folder that is left with the file `result`."""
    return typer.Option(
        "--output",
        "-o",
        metavar="RUN",
        help=f"The folder of the training: checkpoints, logs and at the end {result}.",
        show_default=False,
    )


def batch_size_option(units: str) -> Any:
    """`--batch-size`, in such units."""
    return typer.Option(
        metavar="N",
        help=f"{units} of a step, of all processes together.",
        callback=within(1, _MOST),
        show_default=False,
    )


def settings_option(one: str, other: str) -> Any:
    """`--set`, with two examples."""
    return typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help=f"Any setting of the recipe, such as --set {one} or --set {other}; several.",
        show_default=False,
    )


@dataclass(frozen=True)
class TrainOptions:
    """What the command line says of a training.

    Attributes:
        folder: of the training.
        config: a file of settings.
        settings: KEY=VALUE, which go before those of the file.
        flags: settings that have an option of their own and go before all others; None where it is not given.
        resume: the folder's settings come first.
        device: where.
    """

    folder: Path
    config: Path | None
    settings: list[str] | None
    flags: Mapping[str, Any]
    resume: bool
    device: str


def train(options: TrainOptions, configs: Mapping[str, type[Config]], open_data: OpenData[Config]) -> int:
    """Train as the command line says, and return the exit status.

    Args:
        options: what it says.
        configs: by names of recipes.
        open_data: what trains and what validates.
    """
    from neural_paint.training import World

    world = World()
    try:
        config = _config(options, configs)
        world = World.join(options.device)
        run = _run(config, open_data, options, world)
        outcome = run.train()
    except (OSError, ValueError, MemoryError, RuntimeError) as error:
        say(reason(error))
        return 1
    finally:
        world.leave()
    return _tell(run, outcome) if world.is_first else 0


def _config(options: TrainOptions, configs: Mapping[str, type[Config]]) -> Config:
    """Settings of the training in the folder or of the file, then those of the command line."""
    from neural_paint.training.config import make_config, parse_setting, read_config
    from neural_paint.training.run import recorded_settings

    values = recorded_settings(options.folder) if options.resume else {}
    if values is None:
        raise ValueError(f"there is no training to go on with in {options.folder}")
    if options.config is not None:
        values.update(read_config(options.config))
    for text in options.settings or []:
        key, value = parse_setting(text)
        table, dot, entry = key.partition(".")
        if dot and isinstance(values.setdefault(table, {}), dict):
            values[table] = {**values[table], entry: value}
        else:
            values[key] = value
    given = {key: value for key, value in options.flags.items() if value is not None}
    return make_config({**values, **given}, configs)


def _run(config: Config, open_data: OpenData[Config], options: TrainOptions, world: World) -> Run:
    from neural_paint.training import Run

    train, validation = open_data(config, world)
    device = options.device
    if device.startswith("cuda") and "LOCAL_RANK" in os.environ:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
    return Run(config, train, validation, options.folder, device=device, world=world)


def _tell(run: Run, outcome: Outcome) -> int:
    steps = f"{run.trainer.step:,} steps"
    if outcome.was_finished:
        print(f"{run.folder}: finished already, {steps}")
        return 0
    if outcome.signal:
        name = signal.Signals(outcome.signal).name
        say(f"stopped by {name} after {steps}, which are saved; the same command goes on")
        return 128 + outcome.signal
    recipe = run.trainer.recipe
    print(f"{run.folder / recipe.result}: {steps}; {recipe.describe(outcome.evaluation)}")
    return 0
