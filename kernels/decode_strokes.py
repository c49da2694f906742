"""`decode_strokes` in Triton: a lane takes one vector, float32. The formulas are those of csrc/decode.h and
csrc/decode_mypaint.h, in the same order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from neural_paint.stroke_vectors import KINDS, MyPaintBrush

from .mypaint_strokes import mypaint, mypaint_backward
from .scene import LAUNCH, check_like

# Vectors of one program.
BLOCK = 128

MYPAINT = tl.constexpr(KINDS["mypaint"].code)
LEARNING_TO_PAINT = tl.constexpr(KINDS["learning_to_paint"].code)
SNP_MARKER = tl.constexpr(KINDS["snp_marker"].code)
SNP_OIL = tl.constexpr(KINDS["snp_oil"].code)

# Largest radius of Learning to Paint's discs and of the marker, as a share of the canvas's side.
MAX_RADIUS = tl.constexpr(0.25)
# A pixel of Learning to Paint's own canvas.
DISC_PIXEL = tl.constexpr(1 / 256)
PIXEL_EDGE = tl.constexpr(math.sqrt(5 / 3))
PI = tl.constexpr(math.pi)


@triton.jit
def copy(source, to, there, COUNT: tl.constexpr):
    for i in tl.static_range(COUNT):
        tl.store(to + i, tl.load(source + i, there, 0.0), there)


@triton.jit
def relative_curve(entry, gain, offset, point, there):
    """One axis of a curve whose middle control point is given from its start to its end: entries and numbers two
    apart."""
    start, end = tl.load(entry, there, 0.0), tl.load(entry + 4, there, 0.0)
    middle = start + (end - start) * tl.load(entry + 2, there, 0.0)
    tl.store(point, start * gain + offset, there)
    tl.store(point + 2, middle * gain + offset, there)
    tl.store(point + 4, end * gain + offset, there)


@triton.jit
def relative_curve_backward(entry, gain, grad, d_entry, there):
    start, middle, end = tl.load(entry, there, 0.0), tl.load(entry + 2, there, 0.0), tl.load(entry + 4, there, 0.0)
    d_middle = tl.load(grad + 2, there, 0.0)
    tl.store(d_entry, (tl.load(grad, there, 0.0) + d_middle * (1.0 - middle)) * gain, there)
    tl.store(d_entry + 2, d_middle * (end - start) * gain, there)
    tl.store(d_entry + 4, (tl.load(grad + 4, there, 0.0) + d_middle * middle) * gain, there)


@triton.jit
def rectangle(vector, across_gain, across_offset, down_gain, down_offset, there):
    """Sides in pixels, cosine and sine of the turn."""
    across = across_gain * tl.load(vector + 2, there, 0.0) + across_offset
    down = down_gain * tl.load(vector + 3, there, 0.0) + down_offset
    turn = tl.load(vector + 4, there, 0.0) * PI
    return across, down, tl.cos(turn), tl.sin(turn)


@triton.jit
def rectangle_map(vector, x_gain, y_gain, center_offset, x_side, y_side, side_offset, stroke, there):
    across, down, cos, sin = rectangle(vector, x_side, side_offset, y_side, side_offset, there)
    xx, xy, yx, yy = cos * across, -sin * down, sin * across, cos * down
    x = x_gain * tl.load(vector, there, 0.0) + center_offset
    y = y_gain * tl.load(vector + 1, there, 0.0) + center_offset
    tl.store(stroke, xx, there)
    tl.store(stroke + 1, xy, there)
    tl.store(stroke + 2, x - 0.5 * (xx + xy), there)
    tl.store(stroke + 3, yx, there)
    tl.store(stroke + 4, yy, there)
    tl.store(stroke + 5, y - 0.5 * (yx + yy), there)


@triton.jit
def rectangle_map_backward(vector, x_gain, y_gain, x_side, y_side, side_offset, grad, d_vector, there):
    across, down, cos, sin = rectangle(vector, x_side, side_offset, y_side, side_offset, there)
    d_x, d_y = tl.load(grad + 2, there, 0.0), tl.load(grad + 5, there, 0.0)
    # A moves t too, so that the centre stays.
    xx, xy = tl.load(grad, there, 0.0) - 0.5 * d_x, tl.load(grad + 1, there, 0.0) - 0.5 * d_x
    yx, yy = tl.load(grad + 3, there, 0.0) - 0.5 * d_y, tl.load(grad + 4, there, 0.0) - 0.5 * d_y
    tl.store(d_vector, x_gain * d_x, there)
    tl.store(d_vector + 1, y_gain * d_y, there)
    tl.store(d_vector + 2, x_side * (cos * xx + sin * yx), there)
    tl.store(d_vector + 3, y_side * (cos * yy - sin * xy), there)
    turn = across * (cos * yx - sin * xx) - down * (cos * xy + sin * yy)
    tl.store(d_vector + 4, turn * PI, there)


@triton.jit
def decode_strokes_kernel(
    vectors, decoded, count, height, width, side, spread, ink, density, radius, feather, pull, dot,
    KIND: tl.constexpr, ENTRIES: tl.constexpr, NUMBERS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """`side` is the square root of the canvas's area; `spread` to `dot` are the constants of MyPaint's brush."""
    row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    there = row < count
    vector, stroke = vectors + row * ENTRIES, decoded + row * NUMBERS
    if KIND == MYPAINT:
        mypaint(vector, stroke, height, width, side, spread, ink, density, radius, feather, pull, dot, there)
    elif KIND == LEARNING_TO_PAINT:
        # Its x is the row.
        gain, offset = 1.0 - DISC_PIXEL, 0.5 * DISC_PIXEL
        relative_curve(vector, height * gain, height * offset, stroke + 1, there)
        relative_curve(vector + 1, width * gain, width * offset, stroke, there)
        for end in tl.static_range(2):
            thickness = tl.load(vector + 6 + end, there, 0.0)
            tl.store(stroke + 6 + end, (thickness * MAX_RADIUS + DISC_PIXEL) * side, there)
        copy(vector + 10, stroke + 8, there, 3)
        copy(vector + 8, stroke + 11, there, 2)
        tl.store(stroke + 13, tl.full((BLOCK,), PIXEL_EDGE, tl.float32), there)
    elif KIND == SNP_MARKER:
        relative_curve(vector, width - 1.0, 0.5, stroke, there)
        relative_curve(vector + 1, height - 1.0, 0.5, stroke + 1, there)
        thickness = tl.load(vector + 6, there, 0.0) * MAX_RADIUS * side + 1.0
        opacity = tl.load(vector + 11, there, 0.0)
        for end in tl.static_range(2):
            tl.store(stroke + 6 + end, thickness, there)
            tl.store(stroke + 11 + end, opacity, there)
        copy(vector + 8, stroke + 8, there, 3)
        tl.store(stroke + 13, tl.full((BLOCK,), PIXEL_EDGE, tl.float32), there)
    elif KIND == SNP_OIL:
        rectangle_map(vector, width - 1.0, height - 1.0, 0.5, width, height, 1.0, stroke, there)
        copy(vector + 5, stroke + 6, there, 6)
    else:
        rectangle_map(vector, width, height, 0.0, width, height, 0.0, stroke, there)
        copy(vector + 5, stroke + 6, there, 3)


@triton.jit
def decode_strokes_backward_kernel(
    grads, vectors, d_vectors, count, height, width, side, spread, ink, density, radius, feather, pull, dot,
    KIND: tl.constexpr, ENTRIES: tl.constexpr, NUMBERS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    there = row < count
    grad, vector, d_vector = grads + row * NUMBERS, vectors + row * ENTRIES, d_vectors + row * ENTRIES
    none = tl.zeros((BLOCK,), tl.float32)
    if KIND == MYPAINT:
        mypaint_backward(
            grad, vector, d_vector, height, width, side, spread, ink, density, radius, feather, pull, dot, there
        )
    elif KIND == LEARNING_TO_PAINT:
        gain = 1.0 - DISC_PIXEL
        relative_curve_backward(vector, height * gain, grad + 1, d_vector, there)
        relative_curve_backward(vector + 1, width * gain, grad, d_vector + 1, there)
        for end in tl.static_range(2):
            tl.store(d_vector + 6 + end, tl.load(grad + 6 + end, there, 0.0) * MAX_RADIUS * side, there)
        copy(grad + 11, d_vector + 8, there, 2)
        copy(grad + 8, d_vector + 10, there, 3)
    elif KIND == SNP_MARKER:
        relative_curve_backward(vector, width - 1.0, grad, d_vector, there)
        relative_curve_backward(vector + 1, height - 1.0, grad + 1, d_vector + 1, there)
        thickness = tl.load(grad + 6, there, 0.0) + tl.load(grad + 7, there, 0.0)
        tl.store(d_vector + 6, thickness * MAX_RADIUS * side, there)
        tl.store(d_vector + 7, none, there)
        copy(grad + 8, d_vector + 8, there, 3)
        tl.store(d_vector + 11, tl.load(grad + 11, there, 0.0) + tl.load(grad + 12, there, 0.0), there)
    elif KIND == SNP_OIL:
        rectangle_map_backward(vector, width - 1.0, height - 1.0, width, height, 1.0, grad, d_vector, there)
        copy(grad + 6, d_vector + 5, there, 6)
        tl.store(d_vector + 11, none, there)
    else:
        rectangle_map_backward(vector, width, height, width, height, 0.0, grad, d_vector, there)
        copy(grad + 6, d_vector + 5, there, 3)


def _launch(kernel: Any, vectors: Tensor, tensors: Sequence[Tensor], options: Sequence[Any]) -> None:
    """Run a kernel for every vector; `options` are the schema's: kind, height, width, brush."""
    code, height, width, brush = options
    (of,) = (kind for kind in KINDS.values() if kind.code == code)
    count = vectors.shape[0] * vectors.shape[1]
    if not count:
        return
    with torch.cuda.device(vectors.device) if vectors.is_cuda else nullcontext():
        kernel[(-(-count // BLOCK),)](
            *tensors, count, float(height), float(width), math.sqrt(height * width), *brush,
            KIND=code, ENTRIES=of.entries, NUMBERS=of.numbers, BLOCK=BLOCK, **LAUNCH,
        )  # fmt: skip


def _check(vectors: Tensor, options: Sequence[Any]) -> tuple[int, ...]:
    """Guard memory, whoever calls; the shape of the strokes."""
    code, _height, _width, brush = options
    kinds = {kind.code: kind for kind in KINDS.values()}
    if code not in kinds:
        raise ValueError(f"kind must be in 0 .. {len(kinds) - 1}, got {code}")
    of = kinds[code]
    if vectors.dtype != torch.float32:
        raise TypeError(f"vectors must be float32 for backend 'triton', got {vectors.dtype}")
    if vectors.ndim != 3 or vectors.shape[2] != of.entries:
        raise ValueError(f"vectors must have shape (B, N, {of.entries}), got {tuple(vectors.shape)}")
    if len(brush) != len(MyPaintBrush._fields):
        raise ValueError(f"brush must have {len(MyPaintBrush._fields)} numbers, got {len(brush)}")
    return (*vectors.shape[:2], of.numbers)


def decode_strokes(vectors: Tensor, *options: Any) -> Tensor:
    """The operator `decode_strokes_triton`, which has the schema of `decode_strokes`."""
    strokes = vectors.new_empty(_check(vectors, options))
    _launch(decode_strokes_kernel, vectors, (vectors.detach().contiguous(), strokes), options)
    return strokes


def decode_strokes_backward(grad: Tensor, vectors: Tensor, *options: Any) -> Tensor:
    """The operator `decode_strokes_triton_backward`, which has the schema of `decode_strokes_backward`."""
    check_like(vectors, "grad", grad, _check(vectors, options))
    d_vectors = vectors.new_empty(vectors.shape)
    tensors = (grad.contiguous(), vectors.detach().contiguous(), d_vectors)
    _launch(decode_strokes_backward_kernel, vectors, tensors, options)
    return d_vectors
