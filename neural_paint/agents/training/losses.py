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
    """(M,) which of the drawings (K, 3, 64, 64) pictures (M, 3, 64, 64) are most like: from afar, wherever their ink is
    and however large."""
    with torch.no_grad(), torch.autocast(target.device.type, enabled=False):
        seen, drawn = (_seen_from_afar(pictures) for pictures in (target, drawings))
        return torch.cdist(seen, drawn).argmin(1)


# Side of the square that is looked at, in deviations of the ink from its middle; and of what is seen as one, in pixels.
_SQUARE, _BLUR = 4.4, 8


def _seen_from_afar(pictures: Tensor) -> Tensor:
    ink = 1 - pictures.float().mean(1)
    weight = ink / ink.sum((1, 2), keepdim=True).clamp(min=1e-6)
    side = ink.shape[-1]
    # Of a pixel from the middle of the picture, which reaches from -1 to 1.
    place = (2 * torch.arange(side, device=ink.device) + 1) / side - 1
    across, down = weight.sum(1), weight.sum(2)
    middle = torch.stack([across @ place, down @ place], 1)
    variance = torch.stack([across @ place.square(), down @ place.square()], 1) - middle.square()
    scale = _SQUARE / 2 * variance.amax(1).clamp(min=1e-4).sqrt()
    transform = torch.cat([scale[:, None, None] * torch.eye(2, device=ink.device), middle[:, :, None]], 2)
    grid = F.affine_grid(transform, [len(ink), 1, side, side], align_corners=False)
    square = F.grid_sample(ink[:, None], grid, align_corners=False)
    return F.normalize(F.avg_pool2d(square, _BLUR, _BLUR // 2).flatten(1), dim=1)
