"""The painter of Neural Painters X ("The Joy of Neural Painting", arXiv:2111.10283): a large generator without noise.

Its layers, and the names of weights, are those of fastai's basic generator for images of 64 pixels with 4096 inputs
and one extra layer, behind a linear layer from the action. The published weights load.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from neural_paint.painters.actions import ACTION_SIZE
from neural_paint.painters.base import NeuralPainter
from neural_paint.painters.layers import PointDeconvolution, full_precision


def _layer(deconvolution: nn.ConvTranspose2d) -> nn.Sequential:
    """A transposed convolution with fastai's initial weights, ReLU and, after it, normalisation."""
    nn.init.kaiming_normal_(deconvolution.weight)
    return nn.Sequential(deconvolution, nn.ReLU(), nn.BatchNorm2d(deconvolution.out_channels))


class NPXPainter(NeuralPainter):
    """Actions (..., 12) -> strokes (..., 3, 64, 64), with 36.4 million weights.

    The last layer is a tanh, though strokes are in [0, 1]: what falls below 0 is clamped, and has no gradient there.
    """

    kind = "npx"
    noise_size = 0
    ends_in_sigmoid = False

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(ACTION_SIZE, 4096)
        self.generator = nn.Sequential(
            _layer(PointDeconvolution(4096, 512, 4, bias=False)),
            _layer(nn.ConvTranspose2d(512, 256, 4, stride=2, padding=1, bias=False)),
            _layer(nn.ConvTranspose2d(256, 128, 4, stride=2, padding=1, bias=False)),
            _layer(nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1, bias=False)),
            _layer(nn.ConvTranspose2d(64, 64, 3, padding=1, bias=False)),
            nn.ConvTranspose2d(64, 3, 4, stride=2, padding=1, bias=False),
        )
        self.use_channels_last()

    def architecture(self) -> dict[str, Any]:
        return {}

    def signed_strokes(self, actions: Tensor) -> Tensor:
        """What the network was trained to make equal to strokes: (M, 12) -> (M, 3, 64, 64) in [-1, 1], not clamped."""
        return torch.tanh(self._preactivation(actions, None))

    def _preactivation(self, actions: Tensor, noise: Tensor | None) -> Tensor:
        return full_precision(self.generator(self.fc(actions)))

    def activate(self, x: Tensor) -> Tensor:
        return torch.tanh(x).clamp(min=0)
