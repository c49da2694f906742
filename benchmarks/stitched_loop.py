"""The opponent of neural canvases: the stitched canvas of Neural Painters (Nakano, 2019, arXiv:1904.08410) as it was
published. Each stroke is decoded by itself, padded to the whole canvas and blended everywhere, one after the other."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from neural_paint.painters import Grid, NeuralPainter
from neural_paint.painters.actions import COLOR


def paint(painter: NeuralPainter, actions: Tensor, grid: Grid) -> Tensor:
    """Actions (B, N, 12) on white (B, 3, H, W), in the grid's order."""
    blocks = [(a, b) for a in range(grid.rows) for b in range(grid.columns)]
    step = 64 - grid.overlap
    canvas = torch.ones(len(actions), 3, *grid.size)
    for k in range(grid.num_strokes):
        row, column = blocks[k // grid.strokes_per_block if grid.order == "blocks" else k % len(blocks)]
        darkness = 1 - painter(actions[:, k]).mean(1, keepdim=True)
        alpha = darkness / darkness.amax((2, 3), keepdim=True)
        canvas = blend(canvas, alpha, actions[:, k, COLOR.slice], step * column, step * row)
    return canvas


def composite_patches(patches: Tensor, transform: Tensor, background: Tensor, *, color: Tensor) -> Tensor:
    """One canvas of patches that are alpha (1, N, h, w), at whole pixels (1, N, 2, 3), each in one colour (1, N, C)."""
    canvas = background
    for k, (left, top) in enumerate(transform[0, :, :, 2].long().tolist()):
        canvas = blend(canvas, patches[:, k : k + 1], color[:, k], left, top)
    return canvas


def blend(canvas: Tensor, alpha: Tensor, color: Tensor, left: int, top: int) -> Tensor:
    """`alpha` (B, 1, h, w) in `color` (B, C), at a place on the canvas (B, C, H, W)."""
    (height, width), (h, w) = canvas.shape[2:], alpha.shape[2:]
    alpha = F.pad(alpha, (left, width - w - left, top, height - h - top))
    return alpha * color[:, :, None, None] + (1 - alpha) * canvas
