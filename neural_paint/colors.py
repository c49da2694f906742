"""Colours held to a few, with gradients that still lead somewhere."""

from __future__ import annotations

from torch import Tensor

# Squared distance of colours at which one counts by a factor of e less.
_PALETTE_WIDTH = 0.05


def mean_color(color: Tensor) -> Tensor:
    """(..., C) colours as greys: the mean of their channels."""
    return color.mean(-1, keepdim=True).expand_as(color)


def nearest_color(color: Tensor, palette: Tensor) -> Tensor:
    """(..., C) colours, each replaced by the nearest one of the palette (K, C).

    Gradients are those of a mixture of the palette, weighted by nearness, so that a colour can become another one.
    """
    known = palette.to(color)
    distance = (color.unsqueeze(-2) - known).square().sum(-1)
    mixed = (-distance / _PALETTE_WIDTH).softmax(-1) @ known
    return known[distance.argmin(-1)] + (mixed - mixed.detach())
