"""`neural-paint train-agent`: an agent that draws, in one process or several."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neural_paint.cli_options import within
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
    from neural_paint.agents.targets import Targets
    from neural_paint.agents.training import AgentConfig
    from neural_paint.training import World


def train_agent(
    output: Annotated[Path, output_option("agent.safetensors")],
    data: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="What it draws: mnist, fashion-mnist or digits, a folder of IDX files or of pictures, or a font. "
            "[default: digits]",
            show_default=False,
        ),
    ] = None,
    strokes: Annotated[
        int | None,
        typer.Option(metavar="N", help="Of a drawing. [default: 8]", callback=within(1, 1_000), show_default=False),
    ] = None,
    medium: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What it learns to draw with: neural, a painter, or fused, curves. [default: neural]",
            show_default=False,
        ),
    ] = None,
    config: ConfigFile = None,
    steps: Steps = None,
    batch_size: Annotated[int | None, batch_size_option("Pictures")] = None,
    seed: TrainSeed = None,
    precision: Precision = None,
    settings: Annotated[list[str] | None, settings_option("learning_rate=0.001", "agent.width=64")] = None,
    resume: Resume = False,
    device: TrainDevice = "auto",
) -> int:
    """Train an agent that draws pictures stroke by stroke. Ctrl-C saves first; the same command, or --resume, goes on.

    With `torchrun --nproc-per-node N -m neural_paint train-agent ...`, N processes train together.
    """
    from neural_paint.agents.training import CONFIGS

    flags = {
        "data": data,
        "strokes": strokes,
        "medium": medium,
        "steps": steps,
        "batch_size": batch_size,
        "seed": seed,
        "precision": precision,
    }
    return train(TrainOptions(output, config, settings, flags, resume, device), CONFIGS, _open)


def _open(config: AgentConfig, world: World) -> tuple[Targets, Targets]:
    from neural_paint.agents.targets import open_targets

    train, validation = open_targets(
        config.data,
        validation=config.validation,
        invert=config.invert,
        characters=config.characters,
        glyphs=config.glyphs,
        seed=config.seed,
    )
    config.check_labels(train.labels)
    return train, validation
