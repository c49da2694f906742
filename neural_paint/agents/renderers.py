"""What puts an agent's strokes on the canvas. Gradients go through a neural painter and through `paint`."""

from __future__ import annotations

import copy
import os
from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor

from neural_paint import mypaint
from neural_paint.agents.agent import Agent, Mode, blackened
from neural_paint.ops.decode_strokes import decode_strokes
from neural_paint.ops.paint import paint
from neural_paint.painters.actions import COLOR, STROKE_SIZE
from neural_paint.painters.base import NeuralPainter
from neural_paint.painters.canvas import NeuralCanvas
from neural_paint.painters.digest import digest
from neural_paint.painters.pretrained import load_pretrained, pretrained_like
from neural_paint.strokes import Strokes


class Renderer(ABC):
    """Draws one stroke on each of B canvases of 64 x 64."""

    @abstractmethod
    def draw(self, actions: Tensor, canvas: Tensor) -> Tensor:
        """Canvases (B, 3, 64, 64) in [0, 1] with the strokes of actions (B, 12) over them."""


class FusedRenderer(Renderer):
    """Strokes as `paint` draws them, with the widths and opacities that were fitted to MyPaint's."""

    def draw(self, actions: Tensor, canvas: Tensor) -> Tensor:
        strokes = decode_strokes(actions.unsqueeze(1), "mypaint", (STROKE_SIZE, STROKE_SIZE))
        assert isinstance(strokes, Strokes)
        return paint(strokes, canvas)


class NeuralRenderer(Renderer):
    """Strokes as a neural painter paints them.

    Args:
        painter: frozen, in the dtype and on the device of the agent.
    """

    def __init__(self, painter: NeuralPainter) -> None:
        self.painter = painter
        self._canvas = NeuralCanvas(painter)

    def draw(self, actions: Tensor, canvas: Tensor) -> Tensor:
        return self._canvas(actions.unsqueeze(1), canvas)


class MyPaintRenderer(Renderer):
    """Strokes of the real MyPaint, each with a new brush and within two levels of 255 of what it paints itself.

    There are no gradients. What a brush covers does not depend on its colour: it is seen from the stroke in black.

    Args:
        brush: as of `mypaint.Canvas`; one that paints in its colour alone, and does not smudge.

    Raises:
        MyPaintMissing: it is not installed.
    """

    def __init__(self, brush: str | os.PathLike[str] = mypaint.DEFAULT_BRUSH, threads: int | None = None) -> None:
        self.brush, self.threads = brush, threads
        mypaint.Canvas(brush=brush)

    def draw(self, actions: Tensor, canvas: Tensor) -> Tensor:
        black = blackened(actions).detach().cpu().double().clamp(0, 1)
        images = mypaint.paint_actions(black.numpy(), self.brush, threads=self.threads)
        left = torch.from_numpy(images).permute(0, 3, 1, 2).to(canvas) / 255
        color = actions[:, COLOR.slice, None, None].detach()
        return left * canvas.detach() + (1 - left) * color


def renderer_of(agent: Agent, painter: NeuralPainter | None = None) -> Renderer:
    """What an agent learned to draw with, on its device.

    Args:
        agent: that draws.
        painter: the neural painter that it learned with, where it is none of those that come with the package.

    Raises:
        ValueError: `painter` is another one, or is missing.
    """
    if agent.painter is None:
        if painter is not None:
            raise ValueError("painter is for agents that learned with one, and this one learned with curves")
        return FusedRenderer()
    if painter is None:
        name = pretrained_like(agent.painter)
        if name is None:
            raise ValueError("painter must be given, as the one that this agent learned with is not in the package")
        painter = load_pretrained(name)
    elif digest(painter) != agent.painter:
        raise ValueError(f"painter must be the one that this agent learned with, {agent.painter[:12]}..., got another")
    # The caller's own stays as it is.
    return NeuralRenderer(copy.deepcopy(painter).to(next(agent.parameters())).freeze())


def draw_in_mypaint(actions: Tensor, mode: Mode, brush: str | os.PathLike[str] = mypaint.DEFAULT_BRUSH) -> Tensor:
    """Drawings (B, 3, 64, 64) in [0, 1], on the CPU, of actions (B, T, 12) by the real MyPaint.

    Raises:
        MyPaintMissing: it is not installed.
    """
    canvas = mypaint.Canvas(brush=brush, mode=mode)
    images = []
    for strokes in actions.detach().cpu().double().numpy():
        canvas.reset()
        canvas.draw(strokes.clip(0, 1))
        images.append(canvas.image())
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
