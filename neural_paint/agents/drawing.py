"""A drawing: what an agent does from the white paper to the last stroke."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from neural_paint.agents.agent import Mode
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


@dataclass(frozen=True)
class DrawnStroke:
    """One stroke on each of B canvases.

    Attributes:
        output: (B, 12) what the agent said.
        action: (B, 12) what was drawn.
        canvas: (B, 3, 64, 64) after it.
    """

    output: Tensor
    action: Tensor
    canvas: Tensor


class Draughtsman(Protocol):
    """What `draw` asks of an agent: `Agent` says more of each."""

    strokes: int
    mode: Mode

    def begin(self, target: Tensor) -> Any: ...

    def __call__(self, canvas: Tensor, memory: Any) -> tuple[Tensor, Any]: ...


def draw(agent: Draughtsman, renderer: Renderer, target: Tensor, *, see_gradients: bool = False) -> Drawing:
    """Let an agent draw pictures (B, 3, 64, 64) in [0, 1] on white paper; differentiable where the renderer is.

    Args:
        agent: says what to draw.
        renderer: draws it.
        target: the pictures.
        see_gradients: gradients also go through what the agent sees of its canvas, as published; they grow from stroke
            to stroke, and without them an agent learns several times as fast.
    """
    drawn = list(draw_strokes(agent, renderer, target, agent.strokes, see_gradients=see_gradients))
    return Drawing(
        torch.stack([stroke.output for stroke in drawn], 1),
        torch.stack([stroke.action for stroke in drawn], 1),
        [stroke.canvas for stroke in drawn],
    )


def draw_strokes(
    agent: Draughtsman, renderer: Renderer, target: Tensor, count: int, *, see_gradients: bool = False
) -> Iterator[DrawnStroke]:
    """What `draw` does, one stroke after the other, and as many of them as asked for."""
    canvas, memory = torch.ones_like(target), agent.begin(target)
    for index in range(count):
        output, after = agent(canvas if see_gradients else canvas.detach(), memory)
        action = stroke_after(memory.action if index else None, output, agent.mode)
        canvas = renderer.draw(action, canvas)
        memory = after._replace(action=action)
        yield DrawnStroke(output, action, canvas)


def stroke_after(before: Tensor | None, output: Tensor, mode: Mode) -> Tensor:
    """The action (B, 12) that is drawn where an agent says `output`, after that of `before`, None at first."""
    if mode == "jump" or before is None:
        return output
    return connect(torch.stack([before, output], 1))[:, 1]
