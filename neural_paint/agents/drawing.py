"""A drawing: what an agent does from the white paper to the last stroke."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from neural_paint.agents.agent import Agent
from neural_paint.agents.renderers import Renderer
from neural_paint.painters.canvas import connect


@dataclass(frozen=True)
class Drawing:
    """B drawings of T strokes.

    Attributes:
        outputs: (B, T, 12) what the agent said.
        actions: (B, T, 12) what was drawn: connected strokes begin where others ended.
        canvases: T of (B, 3, 64, 64), after each stroke.
    """

    outputs: Tensor
    actions: Tensor
    canvases: list[Tensor]

    @property
    def canvas(self) -> Tensor:
        """(B, 3, 64, 64), finished."""
        return self.canvases[-1]


def draw(agent: Agent, renderer: Renderer, target: Tensor, *, see_gradients: bool = False) -> Drawing:
    """Let an agent draw pictures (B, 3, 64, 64) in [0, 1] on white paper; differentiable where the renderer is.

    Args:
        agent: says what to draw.
        renderer: draws it.
        target: the pictures.
        see_gradients: gradients also go through what the agent sees of its canvas, as published; they grow from stroke
            to stroke, and without them an agent learns several times as fast.
    """
    canvas, memory = torch.ones_like(target), agent.begin(target)
    outputs: list[Tensor] = []
    actions: list[Tensor] = []
    canvases: list[Tensor] = []
    for _ in range(agent.strokes):
        output, memory = agent(canvas if see_gradients else canvas.detach(), memory)
        action = output
        if agent.mode == "connected" and actions:
            action = connect(torch.stack([actions[-1], output], 1))[:, 1]
        canvas = renderer.draw(action, canvas)
        memory = memory._replace(action=action)
        outputs.append(output)
        actions.append(action)
        canvases.append(canvas)
    return Drawing(torch.stack(outputs, 1), torch.stack(actions, 1), canvases)
