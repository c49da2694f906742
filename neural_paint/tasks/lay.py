"""How strokes of either kind come on a canvas."""

from __future__ import annotations

from torch import Tensor

from neural_paint.ops.composite_patches import composite_patches
from neural_paint.ops.paint import paint
from neural_paint.stamps import Stamps
from neural_paint.strokes import Strokes


def lay(strokes: Strokes | Stamps, background: Tensor) -> Tensor:
    """(B, C, H, W) painting of B canvases over the (B or 1, C, H, W) background, differentiable in both."""
    if isinstance(strokes, Stamps):
        return composite_patches(
            strokes.patches,
            strokes.transform,
            background,
            color=strokes.color,
            opacity=strokes.opacity,
            patch_id=strokes.patch_id,
        )
    return paint(strokes, background)
