"""`composite_patches`: N small pictures per canvas, laid on it by affine maps: one fused, differentiable operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from neural_paint import backends, reference
from neural_paint.ops import operators
from neural_paint.ops.operators import Formulas, as_dtype
from neural_paint.stamp_rules import check_layout

_OPERATORS = {
    "cpp": operators.compiled("composite_patches"),
    "triton": operators.triton("composite_patches"),
}


def composite_patches(
    patches: Tensor,
    transform: Tensor,
    background: Tensor,
    *,
    color: Tensor | None = None,
    opacity: Tensor | None = None,
    patch_id: Tensor | None = None,
    backend: str | None = None,
) -> Tensor:
    """Lay patches over a background, patch 0 first; differentiable in all but `patch_id`.

    A patch is the picture of one stroke: its alpha, painted in one colour, or colour and alpha. Its map takes places in
    the patch to places on the canvas, both in pixels, x to the right and y down, pixel centres at halves; between
    texels it is interpolated bilinearly, colour times alpha, and beyond the patch there is nothing. Where more than two
    texels fall on a pixel's side, so many samples of the pixel are averaged as make it two. docs/patches.md has the
    formulas; `neural_paint.reference.composite_patches` is the same in plain PyTorch.

    Alpha 0 leaves a pixel's bits alone, alpha 1 replaces them. Results have the same bits for any number of threads,
    and on a GPU every run; gradients there, only under `torch.use_deterministic_algorithms(True)`.

    Args:
        patches: with `color` (B, N, h, w), else (B, N, C + 1, h, w), colour and then alpha. With `patch_id`
            (K, h, w) or (K, C + 1, h, w), shared by all canvases. Alpha is in [0, 1].
        transform: (B, N, 2, 3), float32 or float64, which is what is computed in. A map that is not finite, has no
            inverse, or shrinks more than 128 texels to a pixel, lays no paint.
        background: (B, C, H, W), or (1, C, H, W) for all canvases, C up to 16; any floating-point dtype.
        color: (B, N, C) of patches that are alpha alone. A patch with a colour or an opacity that is not finite lays no
            paint.
        opacity: (B, N), multiplies alpha; 1 by default.
        patch_id: (B, N) int64, which of the shared patches; one outside [0, K) is left out.
        backend: "cpp", "triton" (a float32 `transform` on CUDA), or "reference" for plain PyTorch; the fastest that can
            run by default.

    Returns:
        (B, C, H, W) image in the dtype of `background`.

    Raises:
        TypeError: a tensor is not of a dtype named above.
        ValueError: shapes or devices do not fit, or the backend cannot run here.
    """
    check_layout(patches, transform, color, opacity, patch_id, background)
    dtype = transform.dtype
    backend = backends.pick(backend, background.device, "composite_patches", dtype)
    if backend == "reference":
        return reference.composite_patches(
            patches, transform, background, color=color, opacity=opacity, patch_id=patch_id
        )
    ops = _OPERATORS[backend]
    if color is not None:
        patches = patches.unsqueeze(-3)
    tensors = (
        as_dtype(patches, dtype),
        patch_id,
        transform,
        None if color is None else as_dtype(color, dtype),
        None if opacity is None else as_dtype(opacity, dtype),
        as_dtype(background, dtype),
    )
    recorded = operators.is_recorded(tensors)
    if recorded and not torch.compiler.is_compiling():
        image = _differentiable(ops, *tensors)
    else:
        image = operators.call(ops.forward, *tensors, recorded=recorded)
    return as_dtype(image, background.dtype)


def _fake(
    patches: Tensor,
    patch_id: Tensor | None,
    transform: Tensor,
    color: Tensor | None,
    opacity: Tensor | None,
    background: Tensor,
) -> Tensor:
    return background.new_empty(transform.shape[0], *background.shape[1:])


def _fake_backward(
    grad: Tensor,
    patches: Tensor,
    patch_id: Tensor | None,
    transform: Tensor,
    color: Tensor | None,
    opacity: Tensor | None,
    background: Tensor,
    patches_gradient: bool,
    background_gradient: bool,
    deterministic: bool,
) -> tuple[Tensor, ...]:
    def like(tensor: Tensor | None, wanted: bool = True) -> Tensor:
        return transform.new_empty(0 if tensor is None or not wanted else tensor.shape)

    return (
        like(patches, patches_gradient),
        like(transform),
        like(color),
        like(opacity),
        like(grad, background_gradient),
    )


def _save(ctx: Any, inputs: Sequence[Any], saved: Sequence[Tensor]) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    patches_gradient, *_, background_gradient = ctx.needs_input_grad[-6:]
    _patches, _patch_id, _transform, color, opacity, background = saved = ctx.saved_tensors
    options = (patches_gradient, background_gradient, torch.are_deterministic_algorithms_enabled())
    # Gradients that are to be differentiated again need the operator's own autograd, which refuses.
    gradients = operators.call(ctx.ops.backward, grad, *saved, *options, recorded=torch.is_grad_enabled())
    d_patches, d_transform, d_color, d_opacity, d_background = gradients
    return (
        d_patches if patches_gradient else None,
        None,
        d_transform,
        None if color is None else d_color,
        None if opacity is None else d_opacity,
        d_background.sum_to_size(background.shape) if background_gradient else None,
    )


_differentiable = operators.register(
    "composite_patches", _OPERATORS.values(), Formulas(_fake, _fake_backward, _save, _backward)
)
