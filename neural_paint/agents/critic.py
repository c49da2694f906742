"""Tells drawings from pictures, each next to the picture that was to be drawn."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neural_paint.painters.actions import STROKE_SIZE

# Over what a layer's activations are normalised.
Norm = Literal["batch", "layer"]

_LAYERS = 4


class DrawingCritic(nn.Module):
    """Canvases and pictures (M, 3, 64, 64) in [0, 1] -> scores (M,), of any sign and size.

    Of "Neural Painters" (R. Nakano, arXiv:1904.08410), with `width` 64 and `norm` "batch".

    Args:
        width: channels of the first layer; each of the other three has twice as many.
        norm: "batch" statistics, or "layer", those of each drawing alone. A gradient penalty has a hold on the latter:
            the sum of a batch's scores hardly depends on what batch statistics normalise, so these grow without limit.
    """

    def __init__(self, width: int = 64, norm: Norm = "batch") -> None:
        super().__init__()
        widths = [6, *(width << layer for layer in range(_LAYERS))]
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, 4, stride=2, padding=1) for before, after in itertools.pairwise(widths)
        )
        normalise = nn.BatchNorm2d if norm == "batch" else partial(nn.GroupNorm, 1)
        self.norms = nn.ModuleList(normalise(after) for after in widths[2:])
        side = STROKE_SIZE >> _LAYERS
        self.score = nn.Linear(widths[-1] * side * side, 1)

    def forward(self, canvas: Tensor, target: Tensor) -> Tensor:
        x = F.leaky_relu(self.layers[0](torch.cat([canvas, target], 1)), 0.2)
        for layer, norm in zip(self.layers[1:], self.norms, strict=True):
            x = F.leaky_relu(norm(layer(x)), 0.2)
        return self.score(x.flatten(1)).squeeze(1)
