"""`stroke_mask`: where a neural painter's picture of a stroke has paint: one fused, differentiable operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from neural_paint import backends, reference
from neural_paint.ops import operators
from neural_paint.ops.operators import Formulas, as_dtype

_OPERATORS = {"cpp": operators.compiled("stroke_mask"), "triton": operators.triton("stroke_mask")}


def stroke_mask(strokes: Tensor, *, logits: bool = False, backend: str | None = None) -> Tensor:
    """Alpha of strokes that were painted on white: their darkness, with the darkest pixel opaque; differentiable.

    alpha = (1 - mean over the channels) / (its maximum over the stroke), as in Nakano's "Neural Painters"
    (arXiv:1904.08410). A stroke that is white all over, to within 1e-4, fades to nothing instead of to noise. Where
    several pixels are as dark as any, the first one in the order of rows is the maximum, and has its gradient.

    With `logits` the last layer of a painter is taken along: the picture is never made, and the darkness of what is
    nearly white keeps all of its digits, in which float32 pictures have few. Results have the same bits for any number
    of threads.

    Args:
        strokes: (..., C, h, w) floating, in [0, 1], white where there is no paint; of any strides. Float64 is computed
            in float64, other types in float32.
        logits: `strokes` are of any size, and sigmoid makes them pictures.
        backend: "cpp", "triton", or "reference" for plain PyTorch; the fastest that can run by default.

    Returns:
        (..., h, w) alpha in [0, 1], in the dtype of `strokes`.

    Raises:
        TypeError: `strokes` is not a floating-point tensor.
        ValueError: `strokes` has fewer than three dimensions or an empty side, or the backend cannot run here.
    """
    if not isinstance(strokes, Tensor) or not strokes.is_floating_point():
        kind = strokes.dtype if isinstance(strokes, Tensor) else type(strokes).__name__
        raise TypeError(f"strokes must be a floating-point tensor, got {kind}")
    if strokes.ndim < 3 or 0 in strokes.shape[-3:]:
        raise ValueError(f"strokes must have shape (..., C, h, w) without an empty side, got {tuple(strokes.shape)}")
    dtype = torch.float64 if strokes.dtype == torch.float64 else torch.float32
    backend = backends.pick(backend, strokes.device, "stroke_mask", dtype)
    precise = as_dtype(strokes, dtype)
    if backend == "reference":
        return as_dtype(reference.stroke_mask(precise, logits=logits), strokes.dtype)
    alpha = _fused(_OPERATORS[backend], precise if strokes.ndim == 4 else _as_batch(precise), logits)
    if strokes.ndim != 4:
        alpha = alpha.reshape(*strokes.shape[:-3], *strokes.shape[-2:])
    return as_dtype(alpha, strokes.dtype)


def _as_batch(strokes: Tensor) -> Tensor:
    """(N, C, h, w) of (..., C, h, w)."""
    return strokes.reshape(strokes.shape[:-3].numel(), *strokes.shape[-3:])


def _fused(ops: operators.Operators, strokes: Tensor, logits: bool) -> Tensor:
    recorded = operators.is_recorded([strokes])
    if recorded and not torch.compiler.is_compiling():
        return _differentiable(ops, strokes, logits)
    alpha, *_saved = operators.call(ops.forward, strokes, logits, recorded=recorded)
    return alpha


def _fake(strokes: Tensor, logits: bool) -> tuple[Tensor, Tensor, Tensor]:
    n, _c, h, w = strokes.shape
    return strokes.new_empty(n, h, w), strokes.new_empty(n), strokes.new_empty(n, dtype=torch.int64)


def _fake_backward(
    grad: Tensor, strokes: Tensor, darkest: Tensor, place: Tensor, logits: bool, channels_last: bool
) -> Tensor:
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    return torch.empty_like(strokes, memory_format=memory_format)


def _save(ctx: Any, inputs: Sequence[Any], saved: Sequence[Tensor]) -> None:
    strokes, ctx.logits = inputs
    ctx.save_for_backward(strokes, *saved)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    strokes, *saved = ctx.saved_tensors
    # The network before it goes on in its own memory format.
    channels = strokes.shape[1]
    channels_last = channels > 1 and strokes.stride(1) == 1 and strokes.stride(3) == channels
    # Gradients that are to be differentiated again need the operator's own autograd, which refuses.
    recorded = torch.is_grad_enabled()
    inputs = (grad, strokes, *saved, ctx.logits, channels_last)
    return operators.call(ctx.ops.backward, *inputs, recorded=recorded), None


_differentiable = operators.register(
    "stroke_mask", _OPERATORS.values(), Formulas(_fake, _fake_backward, _save, _backward)
)
