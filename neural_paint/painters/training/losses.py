"""The losses that neural painters were published with, as functions of tensors.

Sources: VAE and GAN, Nakano's "Neural Painters" (arXiv:1904.08410) with its TensorFlow notebooks and PyTorch port; NPX,
"The Joy of Neural Painting" (arXiv:2111.10283). The energy score is for our own. Strokes are (M, 3, 64, 64) in [0, 1].
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Reduction = Literal["sum", "mean"]


def weighted_error(painted: Tensor, strokes: Tensor, weight: float, reduction: Reduction = "sum") -> Tensor:
    """Squared error, with `weight` on the pixels of `strokes` that are not white, which are few.

    "sum" is over the values of a stroke, and the mean of that over strokes, as in the PyTorch port; "mean" is over
    everything, as in the TensorFlow GAN.
    """
    squares = (painted - strokes).square()
    if weight != 1:
        white = strokes.mean(1, keepdim=True) == 1
        squares = squares * torch.where(white, 1.0, weight)
    return squares.mean() if reduction == "mean" else squares.flatten(1).sum(1).mean()


def divergence(mean: Tensor, log_variance: Tensor, free_bits: float) -> Tensor:
    """Kullback-Leibler divergence of N(mean, exp(log_variance)) from N(0, 1), mean over strokes.

    What is below `free_bits` for each entry of the latent vector costs nothing more: the loss has a floor.
    """
    of_strokes = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1)
    return of_strokes.clamp(min=free_bits * mean.shape[1]).mean()


def energy_score(first: Tensor, second: Tensor, strokes: Tensor) -> Tensor:
    """Of two independent samples for each stroke (Gneiting and Raftery, "Strictly Proper Scoring Rules", 2007).

    The mean distance of samples from strokes, less half of that of two samples: the least where samples are distributed
    as strokes are. Distances are those of windows of 2, 4 and 8 pixels, the root of their mean square.
    """
    of_strokes = (_distance(first, strokes) + _distance(second, strokes)) / 2
    return of_strokes - _distance(first, second) / 2


# Windows of 2, 4 and 8 pixels: no more is to be alike than what they show.
_DOUBLINGS = 3
# Keeps the root differentiable where pictures are equal, as white ones are.
_LEAST_SQUARE = 1e-6


def _distance(a: Tensor, b: Tensor) -> Tensor:
    squares = (a - b).square().mean(1, keepdim=True)
    distances = []
    for _ in range(_DOUBLINGS):
        # Of windows twice as large as before, each half a window from the next.
        squares = F.avg_pool2d(squares, 2, 1)
        distances.append((squares + _LEAST_SQUARE).sqrt().mean())
        squares = squares[..., ::2, ::2]
    return torch.stack(distances).mean()


def critic_cross_entropy(real: Tensor, painted: Tensor) -> Tensor:
    """Of a critic's logits, real strokes being 1 and painted ones 0: the mean of both."""
    of_real = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    return (of_real + F.binary_cross_entropy_with_logits(painted, torch.zeros_like(painted))) / 2


def painter_cross_entropy(painted: Tensor) -> Tensor:
    """Of a critic's logits of painted strokes, which the painter wants to be 1."""
    return F.binary_cross_entropy_with_logits(painted, torch.ones_like(painted))
