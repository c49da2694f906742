"""`paint` in Triton: for GPUs without a compiled kernel, simple rather than fast, float32.

A program paints one tile of 16 x 16 pixels. It walks over the strokes of its canvas from the top down, a window of
boxes at a time, and evaluates those whose box meets the tile at all of its pixels: eight chords, then Newton steps.
There are no lists and no masks, so that nothing is ever read back by the host and shapes are static; `bins.py` has the
walk, `stroke.py` and `brush.py` the math of one stroke, `scene.py` what comes before a launch.

The forward pass saves what the CPU's does (csrc/README.md, "Two sweeps, no division"): the last transmittance, that
above each of at most `segments` parts of the tile's list, and how many strokes of the list a pixel evaluated. Memory
is O(pixels x segments) for any number of strokes.

The backward pass takes chunks of 16 strokes, the lowest first: from the checkpoint above it down to the chunk for t*, F
and the transmittance, which it keeps in a ring in memory, then up again with the colour below. A segment of many chunks
is replayed once for each of them: where more than `segments` x 16 strokes pile up on a tile, that is the price of
bounded memory. As many programs run as there are rings, each with one tile after the other.

A stroke's gradient is a sum over tiles by atomic additions, in whatever order they come: on a GPU its last bits differ
from run to run, unless the operator's last argument, `deterministic`, is true: then the sums are those of
`exact_sum.py`, in any order the same. The image has the same bits every time.

Fused multiply-add is switched off: both passes must find the very same alpha, or they would not agree on which stroke
closed a pixel.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from . import exact_sum
from .bins import WINDOW, next_stroke, segment_length
from .brush import alpha_at, color_at
from .paint_backward import paint_backward_kernel
from .scene import LAUNCH, Scene, check_like, launched_on, make_scene
from .stroke import load_curve, nearest
from .tile import TILE, store_image, tile_at, tile_count

# Strokes that the backward pass keeps evaluated at a time.
CHUNK = 16
# Programs of a backward pass, each with a ring of 48 KB: enough to fill a GPU.
MAX_PROGRAMS = 1024


@triton.jit
def paint_kernel(
    points, radius, color, opacity, feather, texture, texture_id, background, boxes, chords,
    image, transmittance, checkpoints, evaluated, closing, strokes, channels, height, width, background_step,
    texture_height, texture_width, segments,
    D: tl.constexpr, CHORDS: tl.constexpr, STEPS: tl.constexpr, COLOR_ENDS: tl.constexpr, OPACITY_ENDS: tl.constexpr,
    TEXTURED: tl.constexpr, SAVE: tl.constexpr, CHANNELS: tl.constexpr, TILE: tl.constexpr, WINDOW: tl.constexpr,
    CHUNK: tl.constexpr,
):  # fmt: skip
    """Paint one tile; `closing` is the greatest |T| of a closed pixel, `background_step` 0 where all canvases share
    one."""
    canvas, column, line, box = tile_at(tl.program_id(0).to(tl.int64), height, width, TILE)
    x, y = column.to(tl.float32) + 0.5, line.to(tl.float32) + 0.5
    inside = (column < width) & (line < height)
    pixel, area = line.to(tl.int64) * width + column, tl.cast(height, tl.int64) * width
    brush = (opacity, feather, texture, texture_id, texture_height, texture_width)
    first = canvas * strokes
    # `above` stays as it is once the pixel is closed; `below` is the transmittance under the stroke that closed it.
    above = tl.where(inside, 1.0, 0.0)
    below, count = above, column * 0
    painted = tl.zeros((CHANNELS, TILE * TILE), tl.float32)
    segment = 1
    if SAVE:
        segment = segment_length(boxes, first, strokes, segments, box, CHUNK, WINDOW)
    passed, open_pixels = 0, 1
    n = next_stroke(boxes, first, strokes, box, WINDOW)
    while (n >= 0) & (open_pixels > 0):
        if SAVE and passed > 0 and passed % segment == 0:
            to = checkpoints + (canvas * (segments - 1) + passed // segment - 1) * area + pixel
            tl.store(to, tl.where(tl.abs(above) <= closing, 0.0, above), inside)
        row = first + n
        curve = load_curve(points, radius, row, D)
        limit = 0.5 * tl.load(feather + row)
        t, f = nearest(curve, chords, row, x, y, limit, CHORDS, STEPS)
        if tl.min(f) < limit:
            alpha = alpha_at(brush, row, curve, x, y, t, f, D, OPACITY_ENDS, TEXTURED)
            closed = tl.abs(above) <= closing
            weight = tl.where(closed, 0.0, above) * alpha
            paint, _increase = color_at(color, row, channels, t, CHANNELS, COLOR_ENDS)
            painted += weight[None, :] * paint
            if SAVE:
                below = tl.where(closed, below * (1.0 - alpha), below)
                finished = closed & (tl.abs(below) <= closing)
                count = tl.where(finished & (count == 0), passed + 1, count)
            above = tl.where(closed, above, above * (1.0 - alpha))
            if not SAVE:
                finished = tl.abs(above) <= closing
            open_pixels = tl.sum((inside & ~finished).to(tl.int32))
        n = next_stroke(boxes, first, n, box, WINDOW)
        passed += 1
    store_image(image, background, canvas, background_step, channels, pixel, area, inside, painted, above)
    if SAVE:
        tl.store(transmittance + canvas * area + pixel, above, inside)
        tl.store(evaluated + canvas * area + pixel, tl.where(count > 0, count, passed), inside)


def _blocks(scene: Scene) -> dict[str, int]:
    channels = triton.next_power_of_2(scene.image_shape[1])
    return {"CHANNELS": channels, "TILE": TILE, "WINDOW": WINDOW, "CHUNK": CHUNK}


def paint(*inputs: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The operator `paint_triton`, which has the schema and the outputs of `paint`."""
    *tensors, t_min, segments = inputs
    scene = make_scene(tensors, t_min)
    b, c, h, w = scene.image_shape
    new, saved = scene.background.new_empty, b if segments > 0 else 0
    image, transmittance = new(b, c, h, w), new(saved, h, w)
    # A checkpoint under the last stroke of a tile is not written, nor read.
    checkpoints = new(saved, max(segments - 1, 0), h, w).zero_()
    evaluated = new(saved, h, w, dtype=torch.int32)
    if tile_count(scene.image_shape):
        with launched_on(scene.background):
            paint_kernel[(tile_count(scene.image_shape),)](
                *scene.tensors, image, transmittance, checkpoints, evaluated, *scene.numbers, segments,
                **scene.options, SAVE=segments > 0, **_blocks(scene), **LAUNCH,
            )  # fmt: skip
    return image, transmittance, checkpoints, evaluated


def paint_backward(*inputs: Any) -> tuple[Tensor, ...]:
    """The operator `paint_triton_backward`, which has the schema and the outputs of `paint_backward`."""
    grad, *tensors, transmittance, checkpoints, evaluated, t_min = inputs[:-3]
    texture_gradient, background_gradient, deterministic = inputs[-3:]
    scene = make_scene(tensors, t_min)
    b, c, h, w = scene.image_shape
    check_like(scene.background, "grad", grad, (b, c, h, w))
    check_like(scene.background, "transmittance", transmittance, (b, h, w))
    check_like(scene.background, "checkpoints", checkpoints, (b, checkpoints.shape[1], h, w))
    check_like(scene.background, "evaluated", evaluated, (b, h, w), dtype=torch.int32)
    *fields, _texture_id, _background = tensors
    points, texture = fields[0], fields[5]
    textured = texture is not None and texture_gradient
    shapes = [*(x.shape for x in fields[:5]), texture.shape if textured else (0,)]
    sums = [exact_sum.zeros(points, shape, deterministic) for shape in shapes]
    d_background = grad * transmittance[:, None] if background_gradient else grad.new_empty(0)
    programs = min(tile_count(scene.image_shape), MAX_PROGRAMS)
    with launched_on(scene.background):
        if programs and scene.strokes:
            ring = points.new_empty(programs, CHUNK, 3, TILE * TILE)
            saved = (checkpoints.contiguous(), evaluated.contiguous())
            paint_backward_kernel[(programs,)](
                grad.contiguous(), *scene.tensors, *saved, *sums, ring, tile_count(scene.image_shape), *scene.numbers,
                checkpoints.shape[1] + 1, **scene.options, TEXTURE_GRADIENT=textured, **_blocks(scene), **LAUNCH,
            )  # fmt: skip
        return (*(exact_sum.totals(x) for x in sums), d_background)
