"""How well a painter paints strokes that it was not trained on: one measure for all painters."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from neural_paint.painters.base import NeuralPainter


class Strokes(Protocol):
    """What `evaluate` needs of a data set: `StrokeData` has it."""

    def once(self, batch_size: int) -> Iterator[tuple[Tensor, ...]]:
        """Actions float32 (b, 12) and strokes uint8 (b, 3, 64, 64), each once, always in the same order."""


@dataclass(frozen=True)
class Evaluation:
    """Of strokes painted without noise, in float32.

    Attributes:
        strokes: how many.
        mse: mean squared error of a value in [0, 1].
        ssim: structural similarity, by a Gaussian window of 11 pixels and deviation 1.5, mean over all pixels of all
            strokes; None where the package that computes it is missing.
        strokes_per_second: painted, in batches, on the painter's device.
    """

    strokes: int
    mse: float
    ssim: float | None
    strokes_per_second: float


def as_pictures(strokes: Tensor, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """uint8 (M, 3, 64, 64) -> values in [0, 1] on the device, channels last; bytes are what is moved."""
    moved = strokes.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)
    return moved.to(dtype).div_(255)


def ssim_is_available() -> bool:
    try:
        import torchmetrics  # noqa: F401
    except ImportError:
        return False
    return True


@torch.no_grad()
def evaluate(painter: NeuralPainter, data: Strokes, *, batch_size: int = 256, limit: int | None = None) -> Evaluation:
    """Paint the actions of `data`, and compare with its strokes; the painter is left as it was.

    Args:
        painter: on any device.
        data: such as `StrokeData(folder, "validation")`.
        batch_size: strokes painted at a time.
        limit: at most so many strokes, the first.

    Raises:
        ValueError: there are no strokes.
    """
    training = painter.training
    painter.eval()
    try:
        return _evaluate(painter, data, batch_size, limit)
    finally:
        painter.train(training)


def _evaluate(painter: NeuralPainter, data: Strokes, batch_size: int, limit: int | None) -> Evaluation:
    squares, similarities, seconds, count = [], [], 0.0, 0
    for actions, strokes in data.once(batch_size):
        wanted = len(actions) if limit is None else min(limit - count, len(actions))
        if wanted <= 0:
            break
        actions = actions[:wanted].to(painter.device, painter.dtype)
        if count == 0:
            # What is done once: memory, choice of kernels.
            painter(actions)
        begun = _now(painter.device)
        painted = painter(actions).float()
        seconds += _now(painter.device) - begun
        real = as_pictures(strokes[:wanted], painter.device)
        squares.append((painted - real).square().sum(dtype=torch.float64))
        similarities.append(_similarities(painted, real))
        count += wanted
    if count == 0:
        raise ValueError("there must be strokes to evaluate a painter with, got none")
    mse = float(torch.stack(squares).sum()) / (count * real[0].numel())
    known = [similarity for similarity in similarities if similarity is not None]
    ssim = float(torch.cat(known).double().mean()) if known else None
    return Evaluation(count, mse, ssim, count / seconds)


def _similarities(painted: Tensor, real: Tensor) -> Tensor | None:
    if not ssim_is_available():
        return None
    from torchmetrics.functional.image import structural_similarity_index_measure

    similarities = structural_similarity_index_measure(painted, real, data_range=1.0, reduction="none")
    assert isinstance(similarities, Tensor)
    return similarities.reshape(-1)


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
