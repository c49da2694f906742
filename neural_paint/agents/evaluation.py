"""How well an agent draws pictures that it has not seen: in its own medium, and in the real MyPaint."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from neural_paint import mypaint
from neural_paint.agents.agent import Mode
from neural_paint.agents.drawing import Drawing
from neural_paint.agents.renderers import draw_in_mypaint
from neural_paint.painters.evaluation import as_pictures
from neural_paint.training.data import ValidationData

_BATCH = 128


@dataclass(frozen=True)
class DrawingEvaluation:
    """Of finished drawings.

    Attributes:
        pictures: how many were drawn.
        mse: mean squared error of a value in [0, 1].
        mypaint_mse: the same of what MyPaint's "classic/dry_brush" makes of the first drawings' actions; None where
            MyPaint is not installed.
        drawings_per_second: in batches, on the agent's device.
    """

    pictures: int
    mse: float
    mypaint_mse: float | None
    drawings_per_second: float


@torch.no_grad()
def evaluate_drawings(
    draw: Callable[[Tensor], Drawing],
    mode: Mode,
    validation: ValidationData,
    like: Tensor,
    limit: int | None = None,
    in_mypaint: int = 500,
) -> DrawingEvaluation:
    """Draw pictures, and compare.

    Args:
        draw: pictures (B, 3, 64, 64) in [0, 1] -> their drawings.
        mode: whether strokes are connected.
        validation: gives pictures (b, 3, 64, 64) uint8, and whatever else.
        like: gives the dtype and the device that `draw` takes them in.
        limit: at most so many, the first.
        in_mypaint: at most so many of these in MyPaint, too.

    Raises:
        ValueError: there are no pictures.
    """
    count, seconds = 0, 0.0
    in_mypaint = in_mypaint if mypaint.available() else 0
    squares, mypaint_squares = [], []
    for pictures, *_ in validation.once(_BATCH):
        wanted = len(pictures) if limit is None else min(limit - count, len(pictures))
        if wanted <= 0:
            break
        target = as_pictures(pictures[:wanted], like.device, like.dtype)
        begun = time.perf_counter()
        drawing = draw(target)
        squares.append(_error(drawing.canvas, target))
        seconds += time.perf_counter() - begun
        if count < in_mypaint:
            few = slice(in_mypaint - count)
            mypaint_squares.append(_error(draw_in_mypaint(drawing.actions[few], mode), target[few].cpu()))
        count += wanted
    if not count:
        raise ValueError("there must be pictures to evaluate an agent with, got none")
    mypaint_mse = float(torch.cat(mypaint_squares).mean()) if mypaint_squares else None
    return DrawingEvaluation(count, float(torch.cat(squares).mean()), mypaint_mse, count / seconds)


def _error(canvas: Tensor, target: Tensor) -> Tensor:
    """Of each canvas, on the CPU, in double precision."""
    return (canvas.double() - target).square().mean((1, 2, 3)).cpu()
