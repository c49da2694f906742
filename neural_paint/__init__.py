"""Differentiable painting: brush strokes composited by fused kernels, and what can be painted with them."""

# The library of operators links against torch, which must be loaded first; importing it registers them.
import torch  # noqa: F401

from neural_paint import _C, reference  # noqa: F401
from neural_paint.action_strokes import ActionStrokes
from neural_paint.ops.composite_patches import composite_patches
from neural_paint.ops.decode_strokes import decode_strokes
from neural_paint.ops.paint import paint
from neural_paint.ops.stroke_bounds import stroke_bounds
from neural_paint.ops.stroke_mask import stroke_mask
from neural_paint.stamps import Stamps
from neural_paint.strokes import Strokes

__version__ = "0.1.0"
__all__ = [
    "ActionStrokes",
    "Stamps",
    "Strokes",
    "__version__",
    "composite_patches",
    "decode_strokes",
    "paint",
    "reference",
    "stroke_bounds",
    "stroke_mask",
]
