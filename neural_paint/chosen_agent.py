"""The agent that a command draws with, and what a stroke file records of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from neural_paint.agents import Agent, load_agent, load_pretrained_agent, pretrained_agents, renderer_of
from neural_paint.chosen_painter import chosen_painter, painter_record
from neural_paint.painters import NeuralPainter
from neural_paint.painters.base import DEFAULT_PAINTER
from neural_paint.painters.pretrained import pretrained_like


@dataclass(frozen=True)
class ChosenAgent:
    """The agent, the neural painter that it draws with or None, the files that they came from, each with what it is,
    and what the stroke file says of both."""

    agent: Agent
    painter: NeuralPainter | None
    files: Mapping[Path, str]
    record: Mapping[str, Any]


def chosen_agent(name: str, weights: Path | None, device: str) -> ChosenAgent:
    """The package's agent of that name, or else the one in that file, with the painter that it learned with: that of
    the file `weights`, or of the package.

    Raises:
        typer.BadParameter: there is no such agent, or `weights` is not for it, or is missing.
        OSError: a file cannot be read.
    """
    agent = _agent(name).float().to(device)
    painter, record = None, {"agent": Path(name).name}
    known = None if agent.painter is None else pretrained_like(agent.painter)
    if weights is not None or known is not None:
        painter = chosen_painter(weights, device, known or DEFAULT_PAINTER)
        record |= painter_record(painter, weights, known or DEFAULT_PAINTER)
    try:
        renderer_of(agent, painter)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'--weights'") from None
    files = {} if name in pretrained_agents() else {Path(name): "the agent"}
    return ChosenAgent(agent, painter, files | ({} if weights is None else {weights: "the painter"}), record)


def _agent(name: str) -> Agent:
    names = pretrained_agents()
    if name in names:
        return load_pretrained_agent(name)
    if not Path(name).exists():
        what = f"must be one of {', '.join(names)}, or an agent's file, and there is no file {name}"
        raise typer.BadParameter(what, param_hint="'--agent'")
    try:
        return load_agent(name)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'--agent'") from None
