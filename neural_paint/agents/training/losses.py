"""How far drawings are from what they are to be like."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def picture_error(canvas: Tensor, target: Tensor, doublings: int) -> Tensor:
    """Mean squared error of canvases (M, 3, 64, 64), and so many times again, each time with twice the weight, of their
    averages over squares of twice the side."""
    difference = canvas - target
    error = difference.square().mean()
    for doubling in range(1, doublings + 1):
        difference = F.avg_pool2d(difference, 2)
        error = error + 2**doubling * difference.square().mean()
    return error


def nearest_template(target: Tensor, drawings: Tensor) -> Tensor:
    """(M,) the numbers of the drawings (K, 3, 64, 64) that pictures (M, 3, 64, 64) are most like, seen from afar."""
    seen, drawn = (F.avg_pool2d(1 - pictures.mean(1, keepdim=True), 8, 4).flatten(1) for pictures in (target, drawings))
    return torch.cdist(F.normalize(seen, dim=1), F.normalize(drawn, dim=1)).argmin(1)
