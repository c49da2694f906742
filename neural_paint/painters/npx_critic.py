"""The critic that Neural Painters X ("The Joy of Neural Painting", arXiv:2111.10283) was trained with.

It sees strokes alone, not actions. Its layers are those of fastai's critic: convolutions of spectral norm 1 and leaky
ReLUs, one densely connected block, self-attention (Zhang et al., arXiv:1805.08318) at 16 x 16 pixels, and dropout of
whole channels. It has 11.19 million weights at width 64.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

WIDTH = 64
DROPOUT = 0.15
_SLOPE = 0.2


def _conv(inputs: int, outputs: int, size: int, stride: int = 1, padding: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, size, stride, padding)
    nn.init.kaiming_normal_(conv.weight)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return nn.Sequential(spectral_norm(conv), nn.LeakyReLU(_SLOPE))


class DenseBlock(nn.Module):
    """Features and, next to them, what two convolutions make of them: twice as many channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(_conv(width, width, 3), _conv(width, width, 3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.convs(x)], 1)


class SelfAttention(nn.Module):
    """To every pixel, a mean of all pixels' values, by how well their keys fit its query; nothing at first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (
            spectral_norm(nn.Conv2d(width, outputs, 1, bias=False)) for outputs in (width // 8, width // 8, width)
        )
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (layer(x).flatten(2).transpose(1, 2) for layer in (self.query, self.key, self.value))
        mean = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        return x + self.gamma * mean.transpose(1, 2).view_as(x)


class ChannelDropout(nn.Module):
    """Leaves out channels in training: those that `keep`, (M, 1, 1) of numbers in [0, 1), has below `share`."""

    def __init__(self, share: float, width: int) -> None:
        super().__init__()
        self.share = share
        self.width = width

    def forward(self, x: Tensor, keep: Tensor | None) -> Tensor:
        return x if keep is None else x * ((keep >= self.share) / (1 - self.share)).to(x.dtype)


class NPXCritic(nn.Module):
    """Strokes (M, 3, 64, 64) -> logits (M,), above 0 for what it takes for real.

    Args:
        width: channels of the first layer.
        dropout: share of the channels that training leaves out before the later convolutions, and half of it before
            the dense block.
    """

    def __init__(self, width: int = WIDTH, dropout: float = DROPOUT) -> None:
        super().__init__()
        # Pictures of 32, 16, 8 and 4 pixels.
        self.conv1 = _conv(3, width, 4, stride=2)
        self.dense = DenseBlock(width)
        self.conv2 = nn.Sequential(_conv(2 * width, 4 * width, 4, stride=2), SelfAttention(4 * width))
        self.conv3 = _conv(4 * width, 8 * width, 4, stride=2)
        self.conv4 = _conv(8 * width, 16 * width, 4, stride=2)
        self.last = spectral_norm(nn.Conv2d(16 * width, 1, 4, bias=False))
        shares = (dropout / 2, dropout, dropout, dropout)
        widths = (width, 2 * width, 4 * width, 8 * width)
        self.dropouts = nn.ModuleList(map(ChannelDropout, shares, widths))

    @property
    def dropout_size(self) -> int:
        """Random numbers for each stroke."""
        return sum(dropout.width for dropout in self.dropouts)  # type: ignore[misc]

    def forward(self, strokes: Tensor, drawn: Tensor | None = None) -> Tensor:
        """Scores; with `drawn`, numbers (M, dropout_size) in [0, 1), channels are left out."""
        widths = [dropout.width for dropout in self.dropouts]
        parts = [None] * len(widths) if drawn is None else drawn[:, :, None, None].split(widths, 1)
        x = self.conv1(strokes)
        for dropout, layer, part in zip(
            self.dropouts, (self.dense, self.conv2, self.conv3, self.conv4), parts, strict=True
        ):
            x = layer(dropout(x, part))
        return self.last(x).flatten()
