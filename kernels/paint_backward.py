"""The backward pass of `paint` in Triton; `paint.py` says how it works, csrc/README.md derives the gradients."""

import triton
import triton.language as tl

from .bins import next_stroke, segment_length, stroke_at
from .brush import add_texels, alpha_at, brush_position, color_at, edge_position, opacity_at, sample
from .exact_sum import add
from .stroke import EPSILON, KAPPA, RADIUS_FLOOR, acceleration, load_curve, nearest, position, velocity
from .tile import tile_at


@triton.jit
def add_total(sums, number, values, live):
    """Add the sum over the pixels that the stroke covers; elsewhere a huge stroke may have left a NaN."""
    add(sums, number, tl.sum(tl.where(live, values, 0.0)))


@triton.jit
def texture_backward(brush, row, d_texture, frame, t, r, taper, grad, D: tl.constexpr, TEXTURE_GRADIENT: tl.constexpr):
    """`grad` is that of the texture's factor in alpha. The factor; its gradient in t*, q, q' and r at fixed t."""
    _opacity, _feather, texture, texture_id, height, width = brush
    wx, wy, vx, vy, ax, ay = frame
    zero = t * 0.0
    value, d_t, d_qx, d_qy, d_vx, d_vy, d_r = zero + 1.0, zero, zero, zero, zero, zero, zero
    identity = tl.load(texture_id + row)
    if identity >= 0:
        u, v, tangent_x, tangent_y, inverse_speed = brush_position(wx, wy, vx, vy, t, r, D)
        value, slope_u, slope_v, first, right, down, column, line = sample(texture, identity, height, width, u, v)
        d_u, d_v = grad * slope_u, grad * slope_v
        inverse = 1.0 / tl.maximum(r, RADIUS_FLOOR)
        stretched = tl.where(r > RADIUS_FLOOR, inverse, 0.0)
        d_r = -v * stretched * d_v
        if D == 1:
            d_qx, d_qy = -0.5 * inverse * d_u, -inverse * d_v
            d_r += 0.5 * inverse * wx * stretched * d_u
        else:
            d_qx, d_qy = tangent_y * inverse * d_v, -tangent_x * inverse * d_v
            # q' turns the normal by its part along the normal, over |q'|.
            turn = (wx * tangent_x + wy * tangent_y) * inverse_speed
            d_vx, d_vy = -turn * d_qx, -turn * d_qy
            d_t = d_u + d_vx * ax + d_vy * ay + d_r * taper
        if TEXTURE_GRADIENT:
            add_texels(d_texture, first, right, down, column, line, grad)
    return value, d_t, d_qx, d_qy, d_vx, d_vy, d_r


@triton.jit
def parameter_backward(frame, distance, taper, t, d_t):
    """Gradient of t* in q, q' and r', by the implicit function theorem on G = 0; none where t* is an end or q' = 0."""
    wx, wy, vx, vy, ax, ay = frame
    speed2 = vx * vx + vy * vy
    turn = taper / distance
    g_t = speed2 + (wx * ax + wy * ay) - turn * (wx * vx + wy * vy)
    free = (t > 0.0) & (t < 1.0) & (speed2 > 0.0)
    slope = tl.maximum(g_t, KAPPA * speed2)
    scale = tl.where(free, -d_t / tl.where(free, slope, 1.0), 0.0)
    return scale * (vx - turn * wx), scale * (vy - turn * wy), scale * wx, scale * wy, -scale * distance


@triton.jit
def add_points(d_points, row, t, d_qx, d_qy, d_vx, d_vy, live, D: tl.constexpr):
    """Gradients per q and q' at t to control points: through the coefficients c_k of q = sum c_k t^k."""
    at = row * (2 * D)
    for axis in tl.static_range(2):
        power, derivative = (d_qx, d_vx) if axis == 0 else (d_qy, d_vy)
        c0 = tl.sum(tl.where(live, power, 0.0))
        power = power * t
        c1 = tl.sum(tl.where(live, power + derivative, 0.0)) * (D - 1)
        if D == 1:
            add(d_points, at + axis, c0)
        if D == 2:
            add(d_points, at + axis, c0 - c1)
            add(d_points, at + 2 + axis, c1)
        if D >= 3:
            power, derivative = power * t, derivative * t
            c2 = tl.sum(tl.where(live, power + 2.0 * derivative, 0.0)) * (3.0 if D == 4 else 1.0)
        if D == 3:
            add(d_points, at + axis, c0 - c1 + c2)
            add(d_points, at + 2 + axis, c1 - 2.0 * c2)
            add(d_points, at + 4 + axis, c2)
        if D == 4:
            power, derivative = power * t, derivative * t
            c3 = tl.sum(tl.where(live, power + 3.0 * derivative, 0.0))
            add(d_points, at + axis, c0 - c1 + c2 - c3)
            add(d_points, at + 2 + axis, c1 - 2.0 * c2 + 3.0 * c3)
            add(d_points, at + 4 + axis, c2 - 3.0 * c3)
            add(d_points, at + 6 + axis, c3)


@triton.jit
def add_ramp(sums, row, grad, t, live, ENDS: tl.constexpr):
    """Gradient of a ramp at t to its one or two ends."""
    if ENDS == 1:
        add_total(sums, row, grad, live)
    else:
        add_total(sums, 2 * row, (1.0 - t) * grad, live)
        add_total(sums, 2 * row + 1, t * grad, live)


@triton.jit
def color_backward(d_color, row, channels, weighted, t, live, CHANNELS: tl.constexpr, COLOR_ENDS: tl.constexpr):
    """Gradient of colours: `weighted` (CHANNELS, pixels) is the incoming one times how much of the stroke shows."""
    channel = tl.arange(0, CHANNELS)
    at, there = row * (COLOR_ENDS * channels) + channel, channel < channels
    weighted = tl.where(live[None, :], weighted, 0.0)
    if COLOR_ENDS == 1:
        add(d_color, at, tl.where(there, tl.sum(weighted, 1), 0.0))
    else:
        add(d_color, at, tl.where(there, tl.sum((1.0 - t)[None, :] * weighted, 1), 0.0))
        add(d_color, at + channels, tl.where(there, tl.sum(t[None, :] * weighted, 1), 0.0))


@triton.jit
def shape_backward(
    brush, gradients, row, curve, x, y, t, f, d_alpha, d_t, live,
    D: tl.constexpr, OPACITY_ENDS: tl.constexpr, TEXTURED: tl.constexpr, TEXTURE_GRADIENT: tl.constexpr,
    VARIES: tl.constexpr,
):  # fmt: skip
    """From alpha and what hangs on t* down to opacity, feather, texture, radius and control points."""
    opacity, feather, _texture, _texture_id, _height, _width = brush
    d_points, d_radius, d_opacity, d_feather, d_texture = gradients
    x0, y0, _c1x, _c1y, _c2x, _c2y, _c3x, _c3y, r0, taper = curve
    qx, qy = position(curve, t)
    wx, wy = qx - (x - x0), qy - (y - y0)
    vx, vy = velocity(curve, t)
    ax, ay = acceleration(curve, t)
    frame = (wx, wy, vx, vy, ax, ay)
    distance = tl.sqrt(wx * wx + wy * wy + EPSILON * EPSILON)
    inverse_feather = 1.0 / tl.load(feather + row)
    edge = edge_position(f, inverse_feather)
    covered = edge * edge * (3.0 - 2.0 * edge)
    level, increase = opacity_at(opacity, row, t, OPACITY_ENDS)
    texture, d_qx, d_qy, d_vx, d_vy, d_r = t * 0.0 + 1.0, t * 0.0, t * 0.0, t * 0.0, t * 0.0, t * 0.0
    if TEXTURED:
        d_factor = tl.where(live, d_alpha * level * covered, 0.0)
        texture, more, d_qx, d_qy, d_vx, d_vy, d_r = texture_backward(
            brush, row, d_texture, frame, t, r0 + t * taper, taper, d_factor, D, TEXTURE_GRADIENT
        )
        d_t += more
    d_level = d_alpha * covered * texture
    add_ramp(d_opacity, row, d_level, t, live, OPACITY_ENDS)
    d_t += increase * d_level
    d_f = -6.0 * edge * (1.0 - edge) * d_alpha * level * texture * inverse_feather
    add_total(d_feather, row, -inverse_feather * (d_f * f), live)
    scale = d_f / distance
    d_qx, d_qy, d_r, d_taper = d_qx + scale * wx, d_qy + scale * wy, d_r - d_f, t * 0.0
    if VARIES and D > 1:
        more_qx, more_qy, more_vx, more_vy, d_taper = parameter_backward(frame, distance, taper, t, d_t)
        d_qx, d_qy, d_vx, d_vy = d_qx + more_qx, d_qy + more_qy, d_vx + more_vx, d_vy + more_vy
    add_points(d_points, row, t, d_qx, d_qy, d_vx, d_vy, live, D)
    # r = r0 + t (r1 - r0)
    add_total(d_radius, 2 * row, (1.0 - t) * d_r - d_taper, live)
    add_total(d_radius, 2 * row + 1, t * d_r + d_taper, live)


@triton.jit
def sweep_down(
    brush, points, radius, boxes, chords, ring, first, n, above, begin, end, closing, x, y, box,
    D: tl.constexpr, CHORDS: tl.constexpr, STEPS: tl.constexpr, OPACITY_ENDS: tl.constexpr, TEXTURED: tl.constexpr,
    WINDOW: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """Strokes begin .. end - 1 of the tile's list, the first of them stroke n under transmittance `above`. Keeps t*, F
    and the transmittance of the last CHUNK in the ring; which strokes these are is returned, -1 for one not felt."""
    PIXELS: tl.constexpr = x.shape[0]
    _opacity, feather, _texture, _texture_id, _height, _width = brush
    slots, lanes = tl.arange(0, CHUNK), tl.arange(0, PIXELS)
    kept = slots * 0 - 1
    for k in range(begin, end):
        row = first + n
        curve = load_curve(points, radius, row, D)
        limit = 0.5 * tl.load(feather + row)
        t, f = nearest(curve, chords, row, x, y, limit, CHORDS, STEPS)
        slot = (k - begin) % CHUNK
        if tl.min(f) < limit:
            alpha = alpha_at(brush, row, curve, x, y, t, f, D, OPACITY_ENDS, TEXTURED)
            at = ring + slot * (3 * PIXELS) + lanes
            tl.store(at, t)
            tl.store(at + PIXELS, f)
            tl.store(at + 2 * PIXELS, above)
            after = above * (1.0 - alpha)
            above = tl.where(tl.abs(after) <= closing, 0.0, after)
            kept = tl.where(slots == slot, n, kept)
        else:
            kept = tl.where(slots == slot, -1, kept)
        n = next_stroke(boxes, first, n, box, WINDOW)
    return kept


@triton.jit
def stroke_backward(
    brush, fields, gradients, ring, row, k, slot, grad, below, evaluated, channels, x, y,
    D: tl.constexpr, COLOR_ENDS: tl.constexpr, OPACITY_ENDS: tl.constexpr, TEXTURED: tl.constexpr,
    TEXTURE_GRADIENT: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Gradients of one stroke, number k of the tile's list, over the colour `below` it; returns the colour with it."""
    PIXELS: tl.constexpr = x.shape[0]
    points, radius, color = fields
    d_points, d_radius, d_color, d_opacity, d_feather, d_texture = gradients
    _opacity, feather, _texture, _texture_id, _height, _width = brush
    at = ring + slot * (3 * PIXELS) + tl.arange(0, PIXELS)
    t, f, above = tl.load(at), tl.load(at + PIXELS), tl.load(at + 2 * PIXELS)
    curve = load_curve(points, radius, row, D)
    # The forward pass may have been done with a pixel before it came to this stroke.
    live = (f < 0.5 * tl.load(feather + row)) & (k < evaluated)
    # F is infinite where the stroke does not reach.
    f = tl.where(live, f, 0.0)
    alpha = tl.where(live, alpha_at(brush, row, curve, x, y, t, f, D, OPACITY_ENDS, TEXTURED), 0.0)
    paint, increase = color_at(color, row, channels, t, CHANNELS, COLOR_ENDS)
    weighted = grad * (above * alpha)[None, :]
    color_backward(d_color, row, channels, weighted, t, live, CHANNELS, COLOR_ENDS)
    d_alpha = above * tl.sum(grad * (paint - below), 0)
    d_t = tl.sum(increase * weighted, 0)
    shape_gradients = (d_points, d_radius, d_opacity, d_feather, d_texture)
    VARIES: tl.constexpr = COLOR_ENDS == 2 or OPACITY_ENDS == 2 or TEXTURED
    shape_backward(
        brush, shape_gradients, row, curve, x, y, t, f, d_alpha, d_t, live,
        D, OPACITY_ENDS, TEXTURED, TEXTURE_GRADIENT, VARIES,
    )  # fmt: skip
    return (1.0 - alpha)[None, :] * below + alpha[None, :] * paint


@triton.jit
def paint_backward_kernel(
    grad, points, radius, color, opacity, feather, texture, texture_id, background, boxes, chords,
    checkpoints, evaluated, d_points, d_radius, d_color, d_opacity, d_feather, d_texture, ring,
    tiles, closing, strokes, channels, height, width, background_step, texture_height, texture_width, segments,
    D: tl.constexpr, CHORDS: tl.constexpr, STEPS: tl.constexpr, COLOR_ENDS: tl.constexpr, OPACITY_ENDS: tl.constexpr,
    TEXTURED: tl.constexpr, TEXTURE_GRADIENT: tl.constexpr, CHANNELS: tl.constexpr, TILE: tl.constexpr,
    WINDOW: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """Gradients of as many tiles as fall to this program, added to the sums d_<field>, all of floats or all
    of digits."""
    PIXELS: tl.constexpr = TILE * TILE
    brush = (opacity, feather, texture, texture_id, texture_height, texture_width)
    fields = (points, radius, color)
    gradients = (d_points, d_radius, d_color, d_opacity, d_feather, d_texture)
    ring += tl.program_id(0).to(tl.int64) * (CHUNK * 3 * PIXELS)
    slots, channel = tl.arange(0, CHUNK), tl.arange(0, CHANNELS)
    for tile in range(tl.program_id(0), tiles, tl.num_programs(0)):
        canvas, column, line, box = tile_at(tl.cast(tile, tl.int64), height, width, TILE)
        x, y = column.to(tl.float32) + 0.5, line.to(tl.float32) + 0.5
        inside = (column < width) & (line < height)
        pixel, area = line.to(tl.int64) * width + column, tl.cast(height, tl.int64) * width
        there, plane = (channel < channels)[:, None] & inside[None, :], channel[:, None] * area + pixel[None, :]
        below = tl.load(background + canvas * background_step + plane, there, 0.0)
        incoming = tl.load(grad + canvas * channels * area + plane, there, 0.0)
        count = tl.load(evaluated + canvas * area + pixel, inside, 0)
        deepest, first = tl.max(count), canvas * strokes
        segment = segment_length(boxes, first, strokes, segments, box, CHUNK, WINDOW)
        chunks = (deepest + CHUNK - 1) // CHUNK
        for i in range(chunks):
            chunk = chunks - 1 - i
            part = chunk * CHUNK // segment
            begin, end = part * segment, tl.minimum((chunk + 1) * CHUNK, deepest)
            saved = checkpoints + (canvas * (segments - 1) + part - 1) * area + pixel
            resumed = column * 0 + part > 0
            above = tl.where(resumed, tl.load(saved, inside & resumed, 0.0), tl.where(inside, 1.0, 0.0))
            n = stroke_at(boxes, first, strokes, begin, box, WINDOW)
            kept = sweep_down(
                brush, points, radius, boxes, chords, ring, first, n, above, begin, end, closing, x, y, box,
                D, CHORDS, STEPS, OPACITY_ENDS, TEXTURED, WINDOW, CHUNK,
            )  # fmt: skip
            # What one thread put into the ring another one may take out.
            tl.debug_barrier()
            for j in range(end - chunk * CHUNK):
                k = end - 1 - j
                n = tl.sum(tl.where(slots == k % CHUNK, kept, 0))
                if n >= 0:
                    below = stroke_backward(
                        brush, fields, gradients, ring, first + n, k, k % CHUNK, incoming, below, count, channels, x, y,
                        D, COLOR_ENDS, OPACITY_ENDS, TEXTURED, TEXTURE_GRADIENT, CHANNELS,
                    )  # fmt: skip
            tl.debug_barrier()
