"""MyPaint's twelve actions made into strokes, in Triton: value and gradient; csrc/decode_mypaint.h."""

from __future__ import annotations

import triton
import triton.language as tl

# Side of MyPaint's canvas, in pixels, and what an entry of 1 is: pen pressure, logarithm of the radius.
CANVAS = tl.constexpr(64)
MAX_PRESSURE = tl.constexpr(0.8)
MAX_LOG_RADIUS = tl.constexpr(2.0)
# Scatter of its dabs, in radii at pressure 1.
SCATTER = tl.constexpr(1.4)


@triton.jit
def load_pen(vector, height, width, side, spread, there):
    """Radius in pixels; pressures at both ends of the ramp, and their mean; places of start, control point, end, and
    middle control point; squared length."""
    last, entry = tl.load(vector, there, 0.0), tl.load(vector + 11, there, 0.0)
    radius = tl.exp(tl.load(vector + 1, there, 0.0) * MAX_LOG_RADIUS) * (side / CANVAS)
    mean, change = (entry + last) * (MAX_PRESSURE / 2), (last - entry) * (MAX_PRESSURE / 2) * spread
    cx, cy = width * tl.load(vector + 2, there, 0.0), height * tl.load(vector + 3, there, 0.0)
    ex, ey = width * tl.load(vector + 4, there, 0.0), height * tl.load(vector + 5, there, 0.0)
    sx, sy = width * tl.load(vector + 9, there, 0.0), height * tl.load(vector + 10, there, 0.0)
    mx, my = 2.0 * cx - 0.5 * (sx + ex), 2.0 * cy - 0.5 * (sy + ey)
    squared = 2.0 * ((sx - cx) * (sx - cx) + (sy - cy) * (sy - cy))
    squared += 2.0 * ((ex - cx) * (ex - cx) + (ey - cy) * (ey - cy))
    return radius, mean - change, mean + change, mean, sx, sy, cx, cy, ex, ey, mx, my, squared


@triton.jit
def ink_width(pressure, ink):
    """Standard deviation of the ink across a stroke, in the brush's radii."""
    scatter = pressure * SCATTER
    return tl.sqrt(ink * ink + scatter * scatter)


@triton.jit
def densities(pressure, wide, pixels, squared, density, dot):
    """Optical density of a long line, and the share of it that a short one reaches."""
    line = density * (0.8 + 0.2 * pressure) * pressure / wide
    return line, squared / (squared + dot * pixels * pixels)


@triton.jit
def store_end(stroke, END: tl.constexpr, pen_radius, pressure, x, y, mx, my, squared, ink, density, radius, pull, dot,
              there):  # fmt: skip
    wide = ink_width(pressure, ink)
    pixels = pen_radius * wide
    line, share = densities(pressure, wide, pixels, squared, density, dot)
    way_x, way_y = mx - x, my - y
    distance = pull * pixels
    moved = distance / tl.sqrt(way_x * way_x + way_y * way_y + 4.0 * distance * distance)
    tl.store(stroke + 4 * END, x + moved * way_x, there)
    tl.store(stroke + 4 * END + 1, y + moved * way_y, there)
    tl.store(stroke + 6 + END, radius * pixels, there)
    tl.store(stroke + 11 + END, 1.0 - tl.exp(-line * share), there)


@triton.jit
def mypaint(vector, stroke, height, width, side, spread, ink, density, radius, feather, pull, dot, there):
    pen_radius, p0, p1, mean, sx, sy, _cx, _cy, ex, ey, mx, my, squared = load_pen(
        vector, height, width, side, spread, there
    )
    store_end(stroke, 0, pen_radius, p0, sx, sy, mx, my, squared, ink, density, radius, pull, dot, there)
    store_end(stroke, 1, pen_radius, p1, ex, ey, mx, my, squared, ink, density, radius, pull, dot, there)
    tl.store(stroke + 2, mx, there)
    tl.store(stroke + 3, my, there)
    for i in tl.static_range(3):
        tl.store(stroke + 8 + i, tl.load(vector + 6 + i, there, 0.0), there)
    tl.store(stroke + 13, feather * pen_radius * ink_width(mean, ink), there)


@triton.jit
def end_backward(grad, END: tl.constexpr, pen_radius, pressure, x, y, mx, my, squared, ink, density, radius, pull, dot,
                 there):  # fmt: skip
    """Gradients of the brush's radius, of the pressure, of the squared length, of the end and of the middle control
    point."""
    wide = ink_width(pressure, ink)
    pixels = pen_radius * wide
    line, share = densities(pressure, wide, pixels, squared, density, dot)
    d_density = tl.load(grad + 11 + END, there, 0.0) * tl.exp(-line * share)
    # The pull.
    gx, gy = tl.load(grad + 4 * END, there, 0.0), tl.load(grad + 4 * END + 1, there, 0.0)
    way_x, way_y, distance = mx - x, my - y, pull * pixels
    squared_way = way_x * way_x + way_y * way_y
    inverse = 1.0 / tl.sqrt(squared_way + 4.0 * distance * distance)
    slope = (gx * way_x + gy * way_y) * inverse * inverse * inverse
    d_way_x, d_way_y = distance * (inverse * gx - slope * way_x), distance * (inverse * gy - slope * way_y)
    # share = L / (L + dot * pixels^2), whose parts add up to 1.
    whole = squared + dot * pixels * pixels
    d_squared = d_density * line * (1.0 - share) / whole
    d_pixels = radius * tl.load(grad + 6 + END, there, 0.0) + pull * slope * squared_way
    d_pixels -= 2.0 * dot * pixels * share * d_density * line / whole
    d_pressure = d_density * share * density * (0.8 + 0.4 * pressure) / wide
    d_wide = pen_radius * d_pixels - d_density * line * share / wide
    d_pressure += d_wide * (SCATTER * SCATTER) * pressure / wide
    return wide * d_pixels, d_pressure, d_squared, gx - d_way_x, gy - d_way_y, d_way_x, d_way_y


@triton.jit
def mypaint_backward(grad, vector, d_vector, height, width, side, spread, ink, density, radius, feather, pull, dot,
                     there):  # fmt: skip
    pen_radius, p0, p1, mean, sx, sy, cx, cy, ex, ey, mx, my, squared = load_pen(
        vector, height, width, side, spread, there
    )
    d_radius, d_p0, d_squared, d_sx, d_sy, d_mx, d_my = end_backward(
        grad, 0, pen_radius, p0, sx, sy, mx, my, squared, ink, density, radius, pull, dot, there
    )
    e_radius, d_p1, e_squared, d_ex, d_ey, e_mx, e_my = end_backward(
        grad, 1, pen_radius, p1, ex, ey, mx, my, squared, ink, density, radius, pull, dot, there
    )
    wide, d_feather = ink_width(mean, ink), feather * tl.load(grad + 13, there, 0.0)
    d_radius += e_radius + d_feather * wide
    d_mean = d_feather * pen_radius * (SCATTER * SCATTER) * mean / wide
    d_mx, d_my = d_mx + e_mx + tl.load(grad + 2, there, 0.0), d_my + e_my + tl.load(grad + 3, there, 0.0)
    weight = 4.0 * (d_squared + e_squared)
    d_sx += weight * (sx - cx) - 0.5 * d_mx
    d_sy += weight * (sy - cy) - 0.5 * d_my
    d_ex += weight * (ex - cx) - 0.5 * d_mx
    d_ey += weight * (ey - cy) - 0.5 * d_my
    d_cx = 2.0 * d_mx - weight * (sx + ex - 2.0 * cx)
    d_cy = 2.0 * d_my - weight * (sy + ey - 2.0 * cy)
    d_mean = (d_mean + d_p0 + d_p1) * (MAX_PRESSURE / 2)
    d_change = (d_p1 - d_p0) * (MAX_PRESSURE / 2) * spread
    tl.store(d_vector, d_mean + d_change, there)
    tl.store(d_vector + 1, pen_radius * d_radius * MAX_LOG_RADIUS, there)
    tl.store(d_vector + 2, width * d_cx, there)
    tl.store(d_vector + 3, height * d_cy, there)
    tl.store(d_vector + 4, width * d_ex, there)
    tl.store(d_vector + 5, height * d_ey, there)
    for i in tl.static_range(3):
        tl.store(d_vector + 6 + i, tl.load(grad + 8 + i, there, 0.0), there)
    tl.store(d_vector + 9, width * d_sx, there)
    tl.store(d_vector + 10, height * d_sy, there)
    tl.store(d_vector + 11, d_mean - d_change, there)
