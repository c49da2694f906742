"""The opponent of `composite_patches`: the stitched canvas of Neural Painters (Nakano, 2019, arXiv:1904.08410) as it
was published. Each stroke's picture is padded to the whole canvas and blended everywhere, one after the other."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def composite_patches(patches: Tensor, transform: Tensor, background: Tensor, *, color: Tensor) -> Tensor:
    """One canvas of patches that are alpha (1, N, h, w), at whole pixels (1, N, 2, 3), each in one colour (1, N, C)."""
    height, width = background.shape[2:]
    h, w = patches.shape[2:]
    canvas = background
    for k, (left, top) in enumerate(transform[0, :, :, 2].long().tolist()):
        alpha = F.pad(patches[:, k : k + 1], (left, width - w - left, top, height - h - top))
        canvas = alpha * color[:, k, :, None, None] + (1 - alpha) * canvas
    return canvas
