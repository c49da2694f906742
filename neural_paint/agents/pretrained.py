"""Agents that come with the package; what is told of each is how it was trained, and how well it draws."""

from __future__ import annotations

from typing import Any

from neural_paint.agents.agent import Agent
from neural_paint.agents.files import load_agent
from neural_paint.pretrained_files import DATA, PretrainedFiles

DEFAULT_AGENT = "digits"
FILES = PretrainedFiles(DATA / "agents", DEFAULT_AGENT)


def pretrained_agents() -> list[str]:
    """The names that `load_pretrained_agent` takes, the default first."""
    return FILES.names()


def load_pretrained_agent(name: str = DEFAULT_AGENT) -> Agent:
    """An agent of the package, frozen and on the CPU.

    Raises:
        ValueError: there is no agent of that name.
    """
    return load_agent(FILES.weights(name))


def agent_provenance(name: str = DEFAULT_AGENT) -> dict[str, Any]:
    """How an agent of the package was made: a JSON object.

    Raises:
        ValueError: there is no agent of that name.
    """
    return FILES.provenance(name)
