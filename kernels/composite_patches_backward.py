"""The backward pass of `composite_patches` in Triton; `composite_patches.py` says how it works, csrc/README.md derives
the gradients."""

import triton
import triton.language as tl

from .bins import next_stroke, segment_length, stroke_at
from .exact_sum import add
from .patch import (
    color_mask,
    color_number,
    corner,
    load_alpha,
    load_color,
    load_own_color,
    open_patch,
    place,
    plane_step,
    sample_alpha,
    sample_at,
    touches,
)
from .tile import tile_at


@triton.jit
def add_texel(
    texels, d_patches, index, there, alpha, weight, d_alpha, d_paint, channels,
    CHANNELS: tl.constexpr, COLORED: tl.constexpr,
):  # fmt: skip
    """The gradient of one texel of each pixel, of which `weight` is in the sample; pixels may share one. Beyond the
    patch there must be no term, not even a NaN."""
    _patches, at, _height, _width = texels
    if COLORED:
        to, mask = color_number(texels, index, CHANNELS), color_mask(there, channels, CHANNELS)
        add(d_patches, to, tl.where(mask, (weight * alpha)[None, :] * d_paint, 0.0))
        at += channels * plane_step(texels)
    add(d_patches, at + index, tl.where(there, weight * d_alpha, 0.0))


@triton.jit
def sample_backward(
    texels, placed, d_patches, column, line, d_alpha, d_paint, channels,
    CHANNELS: tl.constexpr, COLORED: tl.constexpr, PATCHES_GRADIENT: tl.constexpr,
):  # fmt: skip
    """Samples again, and takes the gradients of alpha (pixels) and of colour times alpha (CHANNELS, pixels) to the
    texels and to places. Alpha; colour times alpha, or 0 without colours; six sums over each pixel's samples: of the
    gradient g of the place in x and y, of g times the place's x, and of g times its y."""
    _patches, _at, height, width = texels
    _x, _y, _ux, _uy, _vx, _vy, across, down = placed
    share = tl.div_rn(1.0, across * down)
    d_alpha, d_paint = share * d_alpha, share * d_paint
    zero = column * 0.0
    alpha, paint = zero, d_paint * 0.0
    g_x, g_y, gx_x, gy_x, gx_y, gy_y = zero, zero, zero, zero, zero, zero
    for j in range(down.to(tl.int32)):
        for i in range(across.to(tl.int32)):
            found = sample_at(placed, column, line, i, j, height, width)
            d_x, d_y = zero, zero
            for k in range(4):
                index, there, weight, slope_x, slope_y = corner(found, k, width)
                texel = load_alpha(texels, index, there, channels, COLORED)
                alpha += weight * texel
                d_texel = d_alpha
                if COLORED:
                    color = load_color(texels, index, there, channels, CHANNELS)
                    paint += (weight * texel)[None, :] * color
                    d_texel += tl.sum(d_paint * color, 0)
                if PATCHES_GRADIENT:
                    add_texel(
                        texels, d_patches, index, there, texel, weight, d_texel, d_paint, channels, CHANNELS, COLORED
                    )
                d_x += slope_x * (texel * d_texel)
                d_y += slope_y * (texel * d_texel)
            # The place by its neighbours, which are near the patch where it may be far away.
            along_x, along_y = found
            texel_x, x, _this_there, _next_there = along_x
            texel_y, y, _this_there, _next_there = along_y
            x, y = texel_x + x + 0.5, texel_y + y + 0.5
            g_x, g_y = g_x + d_x, g_y + d_y
            gx_x, gy_x = gx_x + d_x * x, gy_x + d_y * x
            gx_y, gy_y = gx_y + d_x * y, gy_y + d_y * y
    samples = across * down
    return tl.div_rn(alpha, samples), tl.div_rn(paint, samples), (g_x, g_y, gx_x, gy_x, gx_y, gy_y)


@triton.jit
def add_map(d_transform, row, placed, sums):
    """The gradient of a map from that of places in the patch."""
    _x, _y, ux, uy, vx, vy, _across, _down = placed
    g_x, g_y, gx_x, gy_x, gx_y, gy_y = sums
    for k in tl.static_range(3):
        if k == 0:
            x, y = tl.sum(gx_x), tl.sum(gy_x)
        if k == 1:
            x, y = tl.sum(gx_y), tl.sum(gy_y)
        if k == 2:
            x, y = tl.sum(g_x), tl.sum(g_y)
        add(d_transform, 6 * row + k, -(ux * x + uy * y))
        add(d_transform, 6 * row + 3 + k, -(vx * x + vy * y))


@triton.jit
def patch_backward(
    fields, gradients, row, left, top, column, line, grad, above, below, channels,
    SHARED: tl.constexpr, COLORED: tl.constexpr, HAS_OPACITY: tl.constexpr, PATCHES_GRADIENT: tl.constexpr,
    CHANNELS: tl.constexpr,
):  # fmt: skip
    """Gradients of one patch under transmittance `above` and over the colour `below`; returns the colour with it."""
    d_patches, d_transform, d_color, d_opacity = gradients
    _patches, _patch_id, transform, _color, _opacity, _height, _width = fields
    placed = place(transform, row, left, top)
    texels, level = open_patch(fields, row, channels, SHARED, COLORED, HAS_OPACITY)
    weighted = grad * (above * level)[None, :]
    seen = below
    if not COLORED:
        own = load_own_color(fields, row, channels, CHANNELS)
        seen = below - own
    alpha, paint, sums = sample_backward(
        texels, placed, d_patches, column, line, -tl.sum(weighted * seen, 0), weighted, channels,
        CHANNELS, COLORED, PATCHES_GRADIENT,
    )  # fmt: skip
    add_map(d_transform, row, placed, sums)
    if not COLORED:
        paint = own * alpha[None, :]
        channel = tl.arange(0, CHANNELS)
        felt = tl.sum(weighted * alpha[None, :], 1)
        add(d_color, row * channels + channel, tl.where(channel < channels, felt, 0.0))
    if HAS_OPACITY:
        add(d_opacity, row, tl.sum(above * tl.sum(grad * (paint - alpha[None, :] * below), 0)))
    return (1.0 - level * alpha)[None, :] * below + level * paint


@triton.jit
def alpha_on_tile(
    fields, row, left, top, column, line, channels,
    SHARED: tl.constexpr, COLORED: tl.constexpr, HAS_OPACITY: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """Whether a patch may touch the tile, and its alpha, opacity included."""
    _patches, _patch_id, transform, _color, _opacity, height, width = fields
    placed = place(transform, row, left, top)
    touched = touches(placed, height, width, TILE)
    alpha = column * 0.0
    if touched:
        texels, level = open_patch(fields, row, channels, SHARED, COLORED, HAS_OPACITY)
        alpha = level * sample_alpha(texels, placed, column, line, channels, COLORED)
    return touched, alpha


@triton.jit
def sweep_to_the_bottom(
    fields, boxes, kept, first, strokes, segment, left, top, column, line, inside, channels, box,
    SHARED: tl.constexpr, COLORED: tl.constexpr, HAS_OPACITY: tl.constexpr, TILE: tl.constexpr, WINDOW: tl.constexpr,
):  # fmt: skip
    """The transmittance of all patches, and how many of the tile's list there are until every pixel was closed twice:
    nothing deeper has a gradient, nor a part in one. Keeps the transmittance above every segment but the first."""
    PIXELS: tl.constexpr = TILE * TILE
    above = tl.where(inside, 1.0, 0.0)
    # The transmittance under the patch that closed the pixel.
    below, open_pixels, passed = above, 1, 0
    n = next_stroke(boxes, first, strokes, box, WINDOW)
    while (n >= 0) & (open_pixels > 0):
        if passed > 0 and passed % segment == 0:
            tl.store(kept + (passed // segment - 1) * PIXELS + tl.arange(0, PIXELS), above)
        touched, alpha = alpha_on_tile(
            fields, first + n, left, top, column, line, channels, SHARED, COLORED, HAS_OPACITY, TILE
        )
        if touched:
            below = tl.where(above == 0.0, below * (1.0 - alpha), below)
            above = above * (1.0 - alpha)
            open_pixels = tl.sum((below != 0.0).to(tl.int32))
        n = next_stroke(boxes, first, n, box, WINDOW)
        passed += 1
    return above, passed


@triton.jit
def sweep_down(
    fields, boxes, ring, first, n, above, begin, end, left, top, column, line, channels, box,
    SHARED: tl.constexpr, COLORED: tl.constexpr, HAS_OPACITY: tl.constexpr, TILE: tl.constexpr, WINDOW: tl.constexpr,
    CHUNK: tl.constexpr,
):  # fmt: skip
    """Patches begin .. end - 1 of the tile's list, the first of them patch n under transmittance `above`. Keeps the
    transmittance above each of the last CHUNK in the ring; which patches these are is returned, -1 for one not felt."""
    PIXELS: tl.constexpr = TILE * TILE
    slots = tl.arange(0, CHUNK)
    listed = slots * 0 - 1
    for k in range(begin, end):
        touched, alpha = alpha_on_tile(
            fields, first + n, left, top, column, line, channels, SHARED, COLORED, HAS_OPACITY, TILE
        )
        slot = (k - begin) % CHUNK
        listed = tl.where(slots == slot, tl.where(touched, n, -1), listed)
        if touched:
            tl.store(ring + slot * PIXELS + tl.arange(0, PIXELS), above)
            above = above * (1.0 - alpha)
        n = next_stroke(boxes, first, n, box, WINDOW)
    return listed


@triton.jit
def sweep_up(
    fields, gradients, ring, listed, first, begin, end, left, top, column, line, grad, below, channels,
    SHARED: tl.constexpr, COLORED: tl.constexpr, HAS_OPACITY: tl.constexpr, PATCHES_GRADIENT: tl.constexpr,
    CHANNELS: tl.constexpr, TILE: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """Gradients of patches begin .. end - 1 of the tile's list, which `sweep_down` kept, over the colour `below`;
    returns the colour with them."""
    PIXELS: tl.constexpr = TILE * TILE
    slots = tl.arange(0, CHUNK)
    for j in range(end - begin):
        slot = (end - 1 - j) % CHUNK
        n = tl.sum(tl.where(slots == slot, listed, 0))
        if n >= 0:
            above = tl.load(ring + slot * PIXELS + tl.arange(0, PIXELS))
            below = patch_backward(
                fields, gradients, first + n, left, top, column, line, grad, above, below, channels,
                SHARED, COLORED, HAS_OPACITY, PATCHES_GRADIENT, CHANNELS,
            )  # fmt: skip
    return below


@triton.jit
def composite_patches_backward_kernel(
    grad, patches, patch_id, transform, color, opacity, background, boxes,
    d_patches, d_transform, d_color, d_opacity, d_background, scratch,
    tiles, strokes, channels, height, width, background_step, patch_height, patch_width,
    SHARED: tl.constexpr, COLORED: tl.constexpr, HAS_OPACITY: tl.constexpr, PATCHES_GRADIENT: tl.constexpr,
    BACKGROUND_GRADIENT: tl.constexpr, CHANNELS: tl.constexpr, TILE: tl.constexpr, WINDOW: tl.constexpr,
    CHUNK: tl.constexpr, SEGMENTS: tl.constexpr,
):  # fmt: skip
    """Gradients of as many tiles as fall to this program, added to the sums d_<field>, all of floats or all of digits;
    but `d_background` is written."""
    PIXELS: tl.constexpr = TILE * TILE
    fields = (patches, patch_id, transform, color, opacity, patch_height, patch_width)
    gradients = (d_patches, d_transform, d_color, d_opacity)
    ring = scratch + tl.program_id(0).to(tl.int64) * ((CHUNK + SEGMENTS) * PIXELS)
    kept = ring + CHUNK * PIXELS
    channel, lanes = tl.arange(0, CHANNELS), tl.arange(0, PIXELS)
    column, line = (lanes % TILE).to(tl.float32), (lanes // TILE).to(tl.float32)
    for tile in range(tl.program_id(0), tiles, tl.num_programs(0)):
        canvas, x, y, box = tile_at(tl.cast(tile, tl.int64), height, width, TILE)
        left, top = box[0] - 0.5, box[1] - 0.5
        inside, area = (x < width) & (y < height), tl.cast(height, tl.int64) * width
        there = (channel < channels)[:, None] & inside[None, :]
        plane = channel[:, None] * area + (y.to(tl.int64) * width + x)[None, :]
        below = tl.load(background + canvas * background_step + plane, there, 0.0)
        incoming = tl.load(grad + canvas * channels * area + plane, there, 0.0)
        first = canvas * strokes
        segment = segment_length(boxes, first, strokes, SEGMENTS, box, CHUNK, WINDOW)
        last, deepest = sweep_to_the_bottom(
            fields, boxes, kept, first, strokes, segment, left, top, column, line, inside, channels, box,
            SHARED, COLORED, HAS_OPACITY, TILE, WINDOW,
        )  # fmt: skip
        if BACKGROUND_GRADIENT:
            tl.store(d_background + canvas * channels * area + plane, last[None, :] * incoming, there)
        # What one thread kept another one may take.
        tl.debug_barrier()
        chunks = (deepest + CHUNK - 1) // CHUNK
        for i in range(chunks):
            chunk = chunks - 1 - i
            part = chunk * CHUNK // segment
            begin, end = part * segment, tl.minimum((chunk + 1) * CHUNK, deepest)
            resumed = lanes * 0 + part > 0
            above = tl.load(kept + (part - 1) * PIXELS + lanes, resumed, 0.0)
            above = tl.where(resumed, above, tl.where(inside, 1.0, 0.0))
            n = stroke_at(boxes, first, strokes, begin, box, WINDOW)
            listed = sweep_down(
                fields, boxes, ring, first, n, above, begin, end, left, top, column, line, channels, box,
                SHARED, COLORED, HAS_OPACITY, TILE, WINDOW, CHUNK,
            )  # fmt: skip
            tl.debug_barrier()
            below = sweep_up(
                fields, gradients, ring, listed, first, chunk * CHUNK, end, left, top, column, line, incoming, below,
                channels, SHARED, COLORED, HAS_OPACITY, PATCHES_GRADIENT, CHANNELS, TILE, CHUNK,
            )  # fmt: skip
            tl.debug_barrier()
