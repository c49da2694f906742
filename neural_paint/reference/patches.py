"""`composite_patches` and `stroke_mask` in plain PyTorch: bitmaps laid on a canvas by affine maps, one over the other,
and made of what a neural painter paints.

Every formula of docs/patches.md stands here once, written to be read.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from neural_paint.reference.strokes import over

# A pixel of the canvas takes one sample of the patch for every so many pixels of the patch along either of its sides.
TAP_SPACING = 2.0
# What a side may be longer than a whole number of spacings, in spacings, without one sample more: rounding must not
# decide where a scale is a round number.
TAP_SLACK = 0.01
# Most samples along a side; a map that asks for more lays no paint.
MAX_TAPS = 64
# Least darkness that is stretched to a whole mask.
DARKNESS_FLOOR = 1e-4


def composite_patches(
    patches: Tensor,
    transform: Tensor,
    background: Tensor,
    *,
    color: Tensor | None = None,
    opacity: Tensor | None = None,
    patch_id: Tensor | None = None,
) -> Tensor:
    """Lay N patches in order on B canvases: (B, C, H, W) in the dtype of `background`, which is (B or 1, C, H, W).

    The arguments are those of `neural_paint.composite_patches`; the dtype of `transform` computes.
    """
    (b, n), dtype = transform.shape[:2], transform.dtype
    patches, canvas = patches.to(dtype), background.to(dtype).expand(b, -1, -1, -1)
    if patches.ndim == (4 if patch_id is None else 3):
        patches = patches.unsqueeze(-3)
    canvases = list(canvas)
    for i in range(b):
        for k in range(n):
            patch = patches[i, k] if patch_id is None else _shared(patches, int(patch_id[i, k]))
            factors = [x[i, k].to(dtype) for x in (color, opacity) if x is not None]
            if patch is None or not all(x.isfinite().all() for x in factors) or not is_shown(transform[i, k]):
                continue
            paint, alpha = patch_layer(
                patch, transform[i, k], canvas.shape[2:], None if color is None else color[i, k].to(dtype)
            )
            level = 1 if opacity is None else opacity[i, k].to(dtype)
            canvases[i] = (1 - level * alpha) * canvases[i] + level * paint
    return (torch.stack(canvases) if canvases else canvas).to(background.dtype)


def _shared(patches: Tensor, index: int) -> Tensor | None:
    return patches[index] if 0 <= index < len(patches) else None


def is_shown(transform: Tensor) -> bool:
    """Whether a map (2, 3) lays paint at all: it is finite, has an inverse, and does not shrink beyond measure."""
    if not transform.isfinite().all():
        return False
    step = inverse(transform)
    return bool(step.isfinite().all()) and max(taps(step)) <= MAX_TAPS


def inverse(transform: Tensor) -> Tensor:
    """(2, 2) of a map's (2, 3): from steps on the canvas to steps in the patch."""
    (a, b, _), (c, d, _) = transform
    return torch.stack([d, -b, -c, a]).view(2, 2) / (a * d - b * c)


def taps(step: Tensor) -> tuple[int, int]:
    """Samples that a pixel takes along its x and its y; the columns of `step` are the sides of a pixel in the patch."""
    sides = step.detach().norm(dim=0).tolist()
    across, down = (max(1, math.ceil(side / TAP_SPACING - TAP_SLACK)) for side in sides)
    return across, down


def patch_layer(patch: Tensor, transform: Tensor, size: torch.Size, color: Tensor | None) -> tuple[Tensor, Tensor]:
    """Paint (C, H, W), colour times alpha, and alpha (1, H, W) of one patch at each pixel of the canvas.

    `patch` is alpha (1, h, w), all of it in `color` (C,), or colour and alpha (C + 1, h, w).
    """
    alpha = patch[-1:]
    # What is sampled is colour times alpha: the colour of a texel without alpha does not matter.
    texels = alpha if color is not None else torch.cat([patch[:-1] * alpha, alpha])
    height, width = size
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixel = torch.stack([column, row]).to(transform) + 0.5
    step = inverse(transform)
    across, down = taps(step)
    total = texels.new_zeros(len(texels), height, width)
    for j in range(down):
        for i in range(across):
            offset = transform.new_tensor([(i + 0.5) / across - 0.5, (j + 0.5) / down - 0.5]) - transform[:, 2]
            total = total + bilinear(texels, torch.einsum("ij,jhw->ihw", step, pixel + offset[:, None, None]))
    total = total / (across * down)
    if color is None:
        return total[:-1], total[-1:]
    return color[:, None, None] * total, total


def bilinear(texels: Tensor, place: Tensor) -> Tensor:
    """Values (P, H, W) of texels (P, h, w) at x and y (2, H, W); texel centres are at halves, and beyond is 0."""
    x, y = place - 0.5
    column, row = x.detach().floor(), y.detach().floor()
    height, width = texels.shape[1:]

    def texel(down: int, right: int) -> Tensor:
        i, j = row + down, column + right
        inside = (i >= 0) & (i < height) & (j >= 0) & (j < width)
        return torch.where(inside, texels[:, i.clamp(0, height - 1).long(), j.clamp(0, width - 1).long()], 0)

    upper, lower = (over(texel(down, 0), texel(down, 1), x - column) for down in (0, 1))
    return over(upper, lower, y - row)


def stroke_mask(strokes: Tensor, *, logits: bool = False) -> Tensor:
    """Alpha (..., h, w) of strokes (..., C, h, w) on white: their darkness over that of the darkest pixel.

    `logits` are what sigmoid makes strokes of. Of several darkest pixels `max` takes the first, and so do gradients.
    """
    # sigmoid(-x) is 1 - sigmoid(x), with all of its digits where that is nearly 0.
    darkness = ((-strokes).sigmoid() if logits else 1 - strokes).mean(-3)
    darkest = darkness.flatten(-2).max(-1).values[..., None, None]
    return darkness / darkest.clamp(min=DARKNESS_FLOOR)
