"""`stroke_mask` in Triton: a program makes the mask of one stroke, or its gradient, a block of pixels after the other.

The forward pass leaves the darkness of every pixel where alpha is to be, and divides it by the greatest in a second
round. The backward pass needs one round: all but the darkest pixel have a gradient of their own, and the sum that the
darkest has on top of it is put there at the end.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from neural_paint.reference.patches import DARKNESS_FLOOR

from .scene import LAUNCH

# Pixels of a stroke that are in hand at a time.
BLOCK = 1024
# They are counted in 32 bits, those beyond the last one too.
MAX_PIXELS = 2**31 - BLOCK
_FLOOR = tl.constexpr(DARKNESS_FLOOR)


@triton.jit
def channel_darkness(x, LOGITS: tl.constexpr):
    """1 - x, or 1 - sigmoid(x) without a difference of numbers near 1; and by how much it falls as x rises."""
    if LOGITS:
        small = tl.exp(-tl.abs(x))
        upper = 1.0 / (1.0 + small)
        lower = small * upper
        return tl.where(x > 0.0, lower, upper), upper * lower
    else:
        return 1.0 - x, x * 0.0 + 1.0


@triton.jit
def place_of(pixel, width, row_step, column_step):
    return (pixel // width).to(tl.int64) * row_step + (pixel % width).to(tl.int64) * column_step


@triton.jit
def stroke_mask_kernel(
    values, alpha, darkest, place, channels, pixels, width, stroke_step, channel_step, row_step, column_step,
    LOGITS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    n = tl.program_id(0).to(tl.int64)
    alpha += n * pixels
    most, first, bad = float("-inf"), 0, 0
    for begin in range(0, pixels, BLOCK):
        pixel = begin + tl.arange(0, BLOCK)
        inside = pixel < pixels
        total = tl.zeros((BLOCK,), tl.float32)
        at = values + n * stroke_step + place_of(pixel, width, row_step, column_step)
        for _ in range(channels):
            value, _fall = channel_darkness(tl.load(at, inside, 0.0), LOGITS)
            total += value
            at += channel_step
        tl.store(alpha + pixel, total, inside)
        bad += tl.sum((inside & (total != total)).to(tl.int32))
        total = tl.where(inside & (total == total), total, float("-inf"))
        best = tl.max(total)
        if best > most:
            first = tl.min(tl.where(total == best, pixel, pixels))
            most = best
    least = _FLOOR * channels
    divisor = tl.where(bad > 0, float("nan"), tl.maximum(most, least))
    tl.store(darkest + n, divisor)
    tl.store(place + n, tl.where((bad == 0) & (most >= least), first, -1).to(tl.int64))
    # What one thread wrote another one may read.
    tl.debug_barrier()
    for begin in range(0, pixels, BLOCK):
        pixel = begin + tl.arange(0, BLOCK)
        inside = pixel < pixels
        total = tl.load(alpha + pixel, inside, 0.0)
        # Rounded as IEEE asks, so that the darkest pixel gets 1.
        tl.store(alpha + pixel, tl.div_rn(total, divisor), inside)


@triton.jit
def stroke_mask_backward_kernel(
    grad, values, darkest, place, d_values, channels, pixels, width, stroke_step, channel_step, row_step, column_step,
    d_channel_step, d_column_step, LOGITS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """`grad` and `d_values` lie densely, `d_values` contiguous or channels last."""
    n = tl.program_id(0).to(tl.int64)
    grad += n * pixels
    values += n * stroke_step
    d_values += n * pixels * channels
    divisor = tl.load(darkest + n)
    sums = tl.zeros((BLOCK,), tl.float32)
    for begin in range(0, pixels, BLOCK):
        pixel = begin + tl.arange(0, BLOCK)
        inside = pixel < pixels
        incoming = tl.load(grad + pixel, inside, 0.0)
        at = values + place_of(pixel, width, row_step, column_step)
        d_at = d_values + pixel.to(tl.int64) * d_column_step
        for _ in range(channels):
            value, fall = channel_darkness(tl.load(at, inside, 0.0), LOGITS)
            tl.store(d_at, -incoming / divisor * fall, inside)
            sums += incoming * value
            at += channel_step
            d_at += d_channel_step
    # The gradient of what all pixels are divided by.
    d_darkest = -tl.sum(sums) / (divisor * divisor)
    # What other threads stored there is to be replaced.
    tl.debug_barrier()
    first = tl.load(place + n)
    if (first >= 0) & (first < pixels):
        d_total = tl.load(grad + first) / divisor + d_darkest
        at = values + place_of(first, width, row_step, column_step)
        d_at = d_values + first * d_column_step
        for _ in range(channels):
            _value, fall = channel_darkness(tl.load(at), LOGITS)
            tl.store(d_at, -d_total * fall)
            at += channel_step
            d_at += d_channel_step


def stroke_mask(strokes: Tensor, logits: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The operator `stroke_mask_triton`, which has the schema and the outputs of `stroke_mask`."""
    _check_strokes(strokes)
    n, c, h, w = strokes.shape
    alpha, darkest = strokes.new_empty(n, h, w), strokes.new_empty(n)
    place = strokes.new_empty(n, dtype=torch.int64)
    if n:
        with _device(strokes):
            stroke_mask_kernel[(n,)](
                strokes, alpha, darkest, place, c, h * w, w, *strokes.stride(), LOGITS=logits, BLOCK=BLOCK, **LAUNCH
            )  # fmt: skip
    return alpha, darkest, place


def stroke_mask_backward(
    grad: Tensor, strokes: Tensor, darkest: Tensor, place: Tensor, logits: bool, channels_last: bool
) -> Tensor:
    """The operator `stroke_mask_triton_backward`, which has the schema and the outputs of `stroke_mask_backward`."""
    _check_strokes(strokes)
    n, c, h, w = strokes.shape
    _check_like_strokes("grad", grad, strokes, (n, h, w))
    _check_like_strokes("darkest", darkest, strokes, (n,))
    _check_like_strokes("place", place, strokes, (n,), torch.int64)
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    d_strokes = torch.empty_like(strokes, memory_format=memory_format)
    if n:
        with _device(strokes):
            stroke_mask_backward_kernel[(n,)](
                grad.contiguous(), strokes, darkest.contiguous(), place.contiguous(), d_strokes, c, h * w, w,
                *strokes.stride(), d_strokes.stride(1), d_strokes.stride(3), LOGITS=logits, BLOCK=BLOCK, **LAUNCH,
            )  # fmt: skip
    return d_strokes


def _check_strokes(strokes: Tensor) -> None:
    if strokes.ndim != 4 or 0 in strokes.shape[1:]:
        raise ValueError(f"strokes must have shape (N, C, h, w) without an empty side, got {tuple(strokes.shape)}")
    if strokes.dtype != torch.float32:
        raise TypeError(f"strokes must be float32 for backend 'triton', got {strokes.dtype}")
    if strokes.shape[2:].numel() > MAX_PIXELS:
        raise ValueError(f"strokes must have at most {MAX_PIXELS} pixels, got {strokes.shape[2:].numel()}")


def _check_like_strokes(
    name: str, tensor: Tensor, strokes: Tensor, shape: tuple[int, ...], dtype: torch.dtype = torch.float32
) -> None:
    if tensor.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {tuple(tensor.shape)}")
    if tensor.dtype != dtype:
        raise TypeError(f"{name} must be {dtype}, got {tensor.dtype}")
    if tensor.device != strokes.device:
        raise ValueError(f"{name} must be on the device of strokes, {strokes.device}, got {tensor.device}")


def _device(strokes: Tensor) -> AbstractContextManager[Any]:
    """Kernels are launched on the current device."""
    return torch.cuda.device(strokes.device) if strokes.is_cuda else nullcontext()
