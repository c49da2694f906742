"""A neural painter without a network: `decode_strokes` says what an action's stroke looks like."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from neural_paint import decode_strokes, paint
from neural_paint.painters import NeuralPainter
from neural_paint.painters.actions import STROKE_SIZE


class BezierPainter(NeuralPainter):
    """Paints MyPaint's actions as quadratic curves, in masks of any size.

    Args:
        any_size: as that of a painter; without, masks are of 64 pixels alone.
    """

    kind = "bezier"

    def __init__(self, any_size: bool = True) -> None:
        super().__init__()
        self.any_size = any_size  # type: ignore[misc]
        self.dense = torch.nn.Parameter(torch.ones(()))
        self.freeze()

    def architecture(self) -> dict[str, Any]:
        return {}

    def coverage(
        self,
        actions: Tensor,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
        *,
        size: int = STROKE_SIZE,
        chunk: int | None = None,
    ) -> Tensor:
        if size != STROKE_SIZE and not self.any_size:
            raise ValueError(f"size must be {STROKE_SIZE}, got {size}")
        strokes = decode_strokes(actions.reshape(-1, 1, self.action_size), "mypaint", (size, size))
        strokes = strokes.replace(color=self.dense.expand(*strokes.shape, 1))
        masks = paint(strokes, actions.new_zeros(1, 1, size, size).expand(len(strokes.points), -1, -1, -1))
        return masks.reshape(*actions.shape[:-1], size, size)
