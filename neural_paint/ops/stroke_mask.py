"""`stroke_mask`: where a neural painter's picture of a stroke has paint."""

from __future__ import annotations

from torch import Tensor

from neural_paint import backends, reference


def stroke_mask(strokes: Tensor, *, backend: str | None = None) -> Tensor:
    """Alpha of strokes that were painted on white: their darkness, with the darkest pixel opaque; differentiable.

    alpha = (1 - mean over the channels) / (its maximum over the stroke), as in Nakano's "Neural Painters"
    (arXiv:1904.08410). A stroke that is white all over, to within 1e-4, fades to nothing instead of to noise.

    Args:
        strokes: (..., C, h, w) floating, in [0, 1], white where there is no paint.
        backend: "reference", plain PyTorch, which is what runs by default.

    Returns:
        (..., h, w) alpha in [0, 1].

    Raises:
        TypeError: `strokes` is not a floating-point tensor.
        ValueError: `strokes` has fewer than three dimensions or an empty side, or the backend cannot run here.
    """
    if not isinstance(strokes, Tensor) or not strokes.is_floating_point():
        kind = strokes.dtype if isinstance(strokes, Tensor) else type(strokes).__name__
        raise TypeError(f"strokes must be a floating-point tensor, got {kind}")
    if strokes.ndim < 3 or 0 in strokes.shape[-3:]:
        raise ValueError(f"strokes must have shape (..., C, h, w) without an empty side, got {tuple(strokes.shape)}")
    backends.pick(backend, strokes.device, "stroke_mask", strokes.dtype)
    return reference.stroke_mask(strokes)
