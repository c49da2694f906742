"""What recipes for painters have in common: strokes, and a painter that comes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from neural_paint.painters.base import NeuralPainter
from neural_paint.painters.checkpoints import save_painter
from neural_paint.painters.evaluation import Evaluation, as_pictures, evaluate, ssim_is_available
from neural_paint.training.data import ValidationData
from neural_paint.training.recipe import Recipe

# Strokes on a sheet, and side by side.
_SHOWN = 16
_COLUMNS = 8


@dataclass(frozen=True)
class Batch:
    """This process's strokes of a step: actions (M, 12), strokes (M, 3, 64, 64) in [0, 1]."""

    actions: Tensor
    strokes: Tensor

    def __len__(self) -> int:
        return len(self.actions)


class PainterRecipe(Recipe[Batch, Evaluation]):
    """One way to train a painter, which is among the networks.

    Attributes:
        painter: what it is about.
    """

    result = "painter.safetensors"
    painter: NeuralPainter

    def batch(self, tensors: tuple[Tensor, ...]) -> Batch:
        actions, strokes = tensors
        device, dtype = self.setting.device, self.painter.dtype
        return Batch(actions.to(device, dtype, non_blocking=True), as_pictures(strokes, device, dtype))

    def evaluate(self, validation: ValidationData, limit: int | None = None) -> Evaluation:
        return evaluate(self.painter, validation, limit=limit)

    def scores(self, evaluation: Evaluation) -> Mapping[str, float | None]:
        return {"mse": evaluation.mse, "ssim": evaluation.ssim}

    def speeds(self, evaluation: Evaluation) -> Mapping[str, float]:
        return {"strokes per second": evaluation.strokes_per_second}

    def pictures(self, validation: ValidationData) -> tuple[str, Tensor]:
        actions, strokes = next(iter(validation.once(_SHOWN)))
        painter, training = self.painter, self.painter.training
        painter.eval()
        with torch.no_grad():
            painted = painter(actions.to(painter.device))
        painter.train(training)
        real = as_pictures(strokes, painter.device)
        rows = [row for pair in zip(real.split(_COLUMNS), painted.split(_COLUMNS), strict=True) for row in pair]
        sheet = torch.cat([torch.cat(list(row), 2) for row in rows if len(row) == len(rows[0])], 1)
        return "real above painted", sheet

    def save(self, path: Path) -> None:
        save_painter(self.painter, path)

    def describe(self, evaluation: Evaluation) -> str:
        ssim = "" if evaluation.ssim is None else f", SSIM {evaluation.ssim:.4f}"
        return (
            f"on {evaluation.strokes:,} validation strokes mean squared error {evaluation.mse:.3g}{ssim}, "
            f"{evaluation.strokes_per_second:,.0f} strokes/s"
        )

    def left_out(self) -> Sequence[str]:
        if ssim_is_available():
            return ()
        return ("SSIM is left out, as torchmetrics is not installed: pip install 'neural-paint[train]'",)
