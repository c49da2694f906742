"""What the brush makes of t* and F at the pixels of a tile, in Triton: soft edge, ramps, texture (csrc/brush.h)."""

import triton
import triton.language as tl

from .exact_sum import add
from .stroke import RADIUS_FLOOR, position, velocity


@triton.jit
def edge_position(f, inverse_feather):
    """1/2 - F / feather, clamped: 1 inside, 0 outside; 0 for NaN."""
    x = 0.5 - f * inverse_feather
    return tl.minimum(tl.where(x > 0.0, x, 0.0), 1.0)


@triton.jit
def ramp(a, b, t):
    """a at t = 0, b at t = 1; exactly a where a = b."""
    return tl.where(t < 0.5, a + t * (b - a), b - (1.0 - t) * (b - a))


@triton.jit
def opacity_at(opacity, row, t, OPACITY_ENDS: tl.constexpr):
    """Opacity at t, and how it increases from end to end."""
    first = tl.load(opacity + row * OPACITY_ENDS)
    if OPACITY_ENDS == 2:
        last = tl.load(opacity + row * OPACITY_ENDS + 1)
        return ramp(first, last, t), last - first
    return first + t * 0.0, first * 0.0


@triton.jit
def color_at(color, row, channels, t, CHANNELS: tl.constexpr, COLOR_ENDS: tl.constexpr):
    """Colour (CHANNELS, pixels) at t, and how it increases from end to end (CHANNELS, 1); 0 beyond `channels`."""
    channel = tl.arange(0, CHANNELS)
    at = color + row * (COLOR_ENDS * channels) + channel
    first = tl.load(at, channel < channels, 0.0)[:, None]
    if COLOR_ENDS == 2:
        last = tl.load(at + channels, channel < channels, 0.0)[:, None]
        return ramp(first, last, t[None, :]), last - first
    return first + t[None, :] * 0.0, first * 0.0


@triton.jit
def brush_position(wx, wy, vx, vy, t, r, D: tl.constexpr):
    """u along and v across the stroke, by w = q - p and q' at t; the unit tangent; 1 / |q'|, or 0 where q' = 0."""
    rho = tl.maximum(r, RADIUS_FLOOR)
    if D == 1:
        # A dab has no direction and takes the axes.
        return 0.5 - wx / (2.0 * rho), -wy / rho, t * 0.0 + 1.0, t * 0.0, t * 0.0
    speed = tl.sqrt(vx * vx + vy * vy)
    moving = speed > 0.0
    inverse_speed = tl.where(moving, 1.0 / tl.where(moving, speed, 1.0), 0.0)
    tangent_x, tangent_y = tl.where(moving, vx * inverse_speed, 1.0), vy * inverse_speed
    return t, (wx * tangent_y - wy * tangent_x) / rho, tangent_x, tangent_y, inverse_speed


@triton.jit
def texel(place, size):
    """Of a place in texels: the lower neighbour, 1 or at the border 0 to the next, what lies between; whether the
    place is free to move. Clamped before it becomes an index: a NaN reads texel 0."""
    inner = tl.minimum(tl.where(place > 0.0, place, 0.0), size - 1.0)
    lower = inner.to(tl.int32)
    free = (place > 0.0) & (place < size - 1.0)
    return lower, tl.where(lower + 1 < size, 1, 0), inner - lower.to(tl.float32), free


@triton.jit
def sample(texture, identity, height, width, u, v):
    """Bilinear value at (u, v) and its slopes in u and v; then where the four texels begin, the steps to the right
    and down, and the fractions, for `add_texels`."""
    column, right, x, free_x = texel(u * width - 0.5, width)
    line, down, y, free_y = texel((v + 1.0) * 0.5 * height - 0.5, height)
    first = (identity * height + line) * width + column
    down = down * width
    t00, t01 = tl.load(texture + first), tl.load(texture + first + right)
    t10, t11 = tl.load(texture + first + down), tl.load(texture + first + right + down)
    value = (1.0 - y) * ((1.0 - x) * t00 + x * t01) + y * ((1.0 - x) * t10 + x * t11)
    slope_u = tl.where(free_x, (1.0 - y) * (t01 - t00) + y * (t11 - t10), 0.0) * width
    slope_v = tl.where(free_y, (1.0 - x) * (t10 - t00) + x * (t11 - t01), 0.0) * (0.5 * height)
    return value, slope_u, slope_v, first, right, down, x, y


@triton.jit
def add_texels(d_texture, first, right, down, x, y, grad):
    """The gradient of `sample`'s value in its four texels; pixels may share one."""
    add(d_texture, first, (1.0 - y) * (1.0 - x) * grad)
    add(d_texture, first + right, (1.0 - y) * x * grad)
    add(d_texture, first + down, y * (1.0 - x) * grad)
    add(d_texture, first + right + down, y * x * grad)


@triton.jit
def texture_at(brush, identity, curve, x, y, t, D: tl.constexpr):
    """Value of texture `identity` under pixel centres (x, y)."""
    _opacity, _feather, texture, _texture_id, height, width = brush
    x0, y0, _c1x, _c1y, _c2x, _c2y, _c3x, _c3y, r0, taper = curve
    qx, qy = position(curve, t)
    vx, vy = velocity(curve, t)
    wx, wy = qx - (x - x0), qy - (y - y0)
    u, v, _tangent_x, _tangent_y, _inverse_speed = brush_position(wx, wy, vx, vy, t, r0 + t * taper, D)
    value, _slope_u, _slope_v, _first, _right, _down, _column, _line = sample(texture, identity, height, width, u, v)
    return value


@triton.jit
def alpha_at(brush, row, curve, x, y, t, f, D: tl.constexpr, OPACITY_ENDS: tl.constexpr, TEXTURED: tl.constexpr):
    """Opacity times coverage times texture at pixel centres (x, y); `brush` is the tuple of what this takes."""
    opacity, feather, _texture, texture_id, _height, _width = brush
    level, _increase = opacity_at(opacity, row, t, OPACITY_ENDS)
    edge = edge_position(f, 1.0 / tl.load(feather + row))
    alpha = level * (edge * edge * (3.0 - 2.0 * edge))
    if TEXTURED:
        identity = tl.load(texture_id + row)
        if identity >= 0:
            alpha = alpha * texture_at(brush, identity, curve, x, y, t, D)
    return alpha
