"""Differentiable painting: brush strokes composited by fused kernels, and what can be painted with them."""

import torch  # noqa: F401  (the operators' library links against torch, which must be loaded first)

from neural_paint import _C  # noqa: F401  (registers the operators)
from neural_paint import reference
from neural_paint.ops.paint import paint
from neural_paint.strokes import Strokes

__version__ = "0.1.0"
__all__ = ["Strokes", "__version__", "paint", "reference"]
