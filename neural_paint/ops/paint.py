"""`paint`: N curved brush strokes per canvas, decoded and composited in one fused, differentiable operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from neural_paint import backends, reference
from neural_paint.ops import operators
from neural_paint.ops.operators import Formulas, as_dtype

if TYPE_CHECKING:
    from neural_paint.strokes import Strokes

_OPERATORS = {"cpp": operators.compiled("paint"), "triton": operators.triton("paint")}


def paint(
    strokes: Strokes,
    background: Tensor,
    *,
    t_min: float = 0.0,
    check: bool = False,
    backend: str | None = None,
) -> Tensor:
    """Paint strokes over a background, stroke 0 first; differentiable in every field and in the background.

    The stroke model is that of docs/stroke_model.md; `neural_paint.reference.paint` is the same in plain PyTorch.
    Alpha 0 leaves a pixel's bits alone, alpha 1 replaces them. Results have the same bits for any number of threads,
    and on a GPU every run; gradients there, only under `torch.use_deterministic_algorithms(True)`.

    Args:
        strokes: N strokes for each of B canvases, in pixels of the background.
        background: (B, C, H, W), or (1, C, H, W) for all canvases; float32, float64, float16 or bfloat16. Gradients and
            colours are computed in the dtype of `strokes.points`.
        t_min: in [0, 1). A pixel takes no more strokes once the transmittance of those above is below `t_min`: an
            approximation, off by at most `t_min` times the range of the colours. 0 is exact.
        check: check the values of `strokes` (one synchronisation) instead of leaving out strokes that have a non-finite
            field, feather <= 0 or a texture that does not exist.
        backend: "cpp", "triton" (float32 strokes on CUDA), or "reference" for plain PyTorch; the fastest that can run
            by default.

    Returns:
        (B, C, H, W) image in the dtype of `background`.

    Raises:
        TypeError: `background` is not a floating-point tensor.
        ValueError: shapes or devices do not fit, `t_min` is out of range, the backend cannot run here, or, with
            `check`, a value breaks its field's rule.
    """
    _check(strokes, background, t_min)
    if check:
        strokes.validate()
    backend = backends.pick(backend, background.device, dtype=strokes.dtype)
    if backend == "reference":
        return reference.paint(strokes, background, t_min=t_min)
    ops = _OPERATORS[backend]
    tensors = _canonical(strokes, background)
    recorded = operators.is_recorded(tensors)
    segments = _segments(tensors, _STROKES_PER_SEGMENT[backend]) if recorded else 0
    if recorded and not torch.compiler.is_compiling():
        image = _differentiable(ops, *tensors, t_min, segments)
    else:
        image = operators.call(ops.forward, *tensors, t_min, segments, recorded=recorded)[0]
    return as_dtype(image, background.dtype)


def _check(strokes: Strokes, background: Tensor, t_min: float) -> None:
    if not isinstance(background, Tensor) or not background.is_floating_point():
        kind = background.dtype if isinstance(background, Tensor) else type(background).__name__
        raise TypeError(f"background must be a floating-point tensor, got {kind}")
    points, channels, shape = strokes.points, strokes.channels, background.shape
    batch = points.shape[0]
    if len(shape) != 4 or (shape[0] != batch and shape[0] != 1) or shape[1] != channels:
        rule = f"({batch} or 1, {channels}, H, W), as the strokes have B = {batch} and C = {channels}"
        raise ValueError(f"background must have shape {rule}, got {tuple(shape)}")
    if background.device != points.device:
        raise ValueError(f"background must be on the device of the strokes, {points.device}, got {background.device}")
    if not 0 <= t_min < 1:
        raise ValueError(f"t_min must be in [0, 1), got {t_min}")


def _canonical(strokes: Strokes, background: Tensor) -> tuple[Tensor | None, ...]:
    """The operator's tensors: the fields in one dtype, and the background."""
    dtype, texture, texture_id = strokes.dtype, strokes.texture, strokes.texture_id
    return (
        strokes.points,
        strokes.radius,
        as_dtype(strokes.color, dtype),
        as_dtype(strokes.opacity, dtype),
        strokes.feather,
        None if texture is None else as_dtype(texture, dtype),
        None if texture_id is None else as_dtype(texture_id, torch.int64),
        as_dtype(background, dtype),
    )


# The forward pass saves the transmittance above every segment of a pixel's strokes but the first, so that the backward
# pass can start there: a segment for about as many strokes as the backend keeps evaluated at a time, and never more
# than so many segments. A stroke is taken to reach so many tiles of 32 x 32 pixels; where more pile up, segments are
# longer and partly replayed.
_STROKES_PER_SEGMENT = {"cpp": 64, "triton": 16}
_MAX_SEGMENTS = 16
_TILES_PER_STROKE = 16


def _segments(tensors: Sequence[Any], length: int) -> int:
    strokes = tensors[0].shape[1]
    _, _, height, width = tensors[-1].shape
    tiles = max(((height + 31) // 32) * ((width + 31) // 32), 1)
    listed = min(strokes, (strokes * _TILES_PER_STROKE + tiles - 1) // tiles)
    return min(max((listed + length - 1) // length, 1), _MAX_SEGMENTS)


def _fake(
    points: Tensor,
    radius: Tensor,
    color: Tensor,
    opacity: Tensor,
    feather: Tensor,
    texture: Tensor | None,
    texture_id: Tensor | None,
    background: Tensor,
    t_min: float,
    segments: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    batch, (_, channels, height, width) = points.shape[0], background.shape
    saved = batch if segments > 0 else 0
    return (
        background.new_empty(batch, channels, height, width),
        background.new_empty(saved, height, width),
        background.new_empty(saved, max(segments - 1, 0), height, width),
        background.new_empty(saved, height, width, dtype=torch.int32),
    )


def _fake_backward(
    grad: Tensor,
    points: Tensor,
    radius: Tensor,
    color: Tensor,
    opacity: Tensor,
    feather: Tensor,
    texture: Tensor | None,
    texture_id: Tensor | None,
    background: Tensor,
    transmittance: Tensor,
    checkpoints: Tensor,
    evaluated: Tensor,
    t_min: float,
    texture_gradient: bool,
    background_gradient: bool,
    deterministic: bool,
) -> tuple[Tensor, ...]:
    d_texture = points.new_empty(texture.shape if texture is not None and texture_gradient else 0)
    fields = (points, radius, color, opacity, feather)
    d_background = grad.new_empty(grad.shape if background_gradient else 0)
    return (*(x.new_empty(x.shape) for x in fields), d_texture, d_background)


def _save(ctx: Any, inputs: Sequence[Any], saved: Sequence[Tensor]) -> None:
    *tensors, ctx.t_min, _segments = inputs
    ctx.save_for_backward(*tensors, *saved)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    *_, texture_gradient, _id, background_gradient, _t_min, _segments = ctx.needs_input_grad
    saved = ctx.saved_tensors
    # Gradients that are to be differentiated again need the operator's own autograd, which refuses.
    recorded = torch.is_grad_enabled()
    deterministic = torch.are_deterministic_algorithms_enabled()
    options = (ctx.t_min, texture_gradient, background_gradient, deterministic)
    gradients = operators.call(ctx.ops.backward, grad, *saved, *options, recorded=recorded)
    *fields, d_texture, d_background = gradients
    return (
        *fields,
        d_texture if texture_gradient else None,
        None,
        d_background.sum_to_size(saved[7].shape) if background_gradient else None,
        None,
        None,
    )


_differentiable = operators.register("paint", _OPERATORS.values(), Formulas(_fake, _fake_backward, _save, _backward))
