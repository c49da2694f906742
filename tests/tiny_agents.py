"""Agents and painters as they are before training, as small as can be."""

from __future__ import annotations

from typing import Any

import torch

from neural_paint.agents import Agent
from neural_paint.painters import DabPainter
from neural_paint.painters.digest import digest

# Before training, all that an agent says is near to one half.
_LOUDER = 20.0


def tiny_painter() -> DabPainter:
    return DabPainter(dabs=16, width=4).freeze()


def tiny_agent(painter: DabPainter | None = None, **options: Any) -> Agent:
    """Draws three strokes, which depend on the picture."""
    small = {"strokes": 3, "mode": "jump", "black": False, "width": 4, "blocks": 0, "hidden": 8}
    agent = Agent(**{**small, "painter": None if painter is None else digest(painter), **options})
    with torch.no_grad():
        agent.head.weight.mul_(_LOUDER)
    return agent.freeze()
