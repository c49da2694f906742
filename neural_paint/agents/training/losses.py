"""How far drawings are from what they are to be like."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def picture_error(canvas: Tensor, target: Tensor, doublings: int) -> Tensor:
    """(M,) mean squared errors of canvases (M, 3, 64, 64), and so many times again, each time with twice the weight, of
    their averages over squares of twice the side: strokes feel ink from afar."""
    difference = canvas - target
    error = difference.square().mean((1, 2, 3))
    for doubling in range(1, doublings + 1):
        difference = F.avg_pool2d(difference, 2)
        error = error + 2**doubling * difference.square().mean((1, 2, 3))
    return error


def nearest_template(target: Tensor, drawings: Tensor) -> Tensor:
    """(M,) which of the drawings (K, 3, 64, 64) pictures (M, 3, 64, 64) are most like: from afar, wherever their ink
    is, however large and narrow, and whichever way it slants."""
    with torch.no_grad(), torch.autocast(target.device.type, enabled=False):
        seen, drawn = (_seen_from_afar(pictures) for pictures in (target, drawings))
        return torch.cdist(seen, drawn).argmin(1)


# Side of what is looked at, in deviations of the ink from its middle; and of what is seen as one, in pixels.
_SIDE, _BLUR = 4.4, 8
# A 1 stays narrow.
_NARROWEST = 0.5


def _seen_from_afar(pictures: Tensor) -> Tensor:
    """(M, d): the ink upright, in the middle and of one size."""
    ink = 1 - pictures.float().mean(1)
    weight = ink / ink.sum((1, 2), keepdim=True).clamp(min=1e-6)
    side = ink.shape[-1]
    # Of a pixel from the middle of the picture, which reaches from -1 to 1.
    place = (2 * torch.arange(side, device=ink.device) + 1) / side - 1
    x, y = weight.sum(1) @ place, weight.sum(2) @ place
    xx, yy = weight.sum(1) @ place.square() - x * x, weight.sum(2) @ place.square() - y * y
    xy = torch.einsum("myx,y,x->m", weight, place, place) - x * y
    # How far it goes to the side on its way down.
    slant = (xy / yy.clamp(min=1e-6)).clamp(-1, 1)
    height = yy.clamp(min=1e-4).sqrt()
    width = (xx - slant * xy).clamp(min=0).sqrt().maximum(_NARROWEST * height)
    right = torch.stack([width, slant * height, 2 / _SIDE * x], 1)
    below = torch.stack([torch.zeros_like(height), height, 2 / _SIDE * y], 1)
    transform = _SIDE / 2 * torch.stack([right, below], 1)
    grid = F.affine_grid(transform, [len(ink), 1, side, side], align_corners=False)
    upright = F.grid_sample(ink[:, None], grid, align_corners=False)
    return F.normalize(F.avg_pool2d(upright, _BLUR, _BLUR // 2).flatten(1), dim=1)
