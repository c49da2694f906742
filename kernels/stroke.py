"""One stroke at the pixels of a tile, in Triton: where it is nearest and what its brush makes of that.

The formulas are those of csrc/nearest.h, csrc/bezier.h and csrc/brush.h, which csrc/README.md derives, in float32.
Pixels are lanes of 1-D tensors, everything that belongs to the stroke is a scalar. A `curve` is the tuple

    (x0, y0, c1x, c1y, c2x, c2y, c3x, c3y, r0, taper):    q(t) = P0 + c1 t + c2 t^2 + c3 t^3,   r(t) = r0 + taper t

and positions are taken relative to P0, so that a stroke far from the origin is as accurate as its coordinates.
"""

import triton
import triton.language as tl

# Rounds off the distance's kink on the spine, in pixels; the reference's.
EPSILON = tl.constexpr(1e-6)
# Floor of G_t in units of |q'|^2: bounds dt*/dtheta near a centre of curvature; the reference's.
KAPPA = tl.constexpr(1e-3)
# Least radius that a texture is stretched over, in pixels; the reference's.
RADIUS_FLOOR = tl.constexpr(1e-6)
# Least squared length of a chord, in square pixels: lets a degenerate stroke divide.
MIN_SQUARED_LENGTH = tl.constexpr(1e-12)
# Minima of F closer than this, in pixels, are equal: rounding at 64 px.
TIE = tl.constexpr(1e-5)
# Values that describe one chord: start, along, 1 / |along|^2, shift, bias, radius.
CHORD_VALUES = tl.constexpr(8)


@triton.jit
def load_curve(points, radius, row, D: tl.constexpr):
    """The curve of stroke `row`, an index into (B N); scalars, or lanes where `row` has lanes."""
    at = points + row * (2 * D)
    x0, y0 = tl.load(at), tl.load(at + 1)
    zero = x0 * 0.0
    c1x, c1y, c2x, c2y, c3x, c3y = zero, zero, zero, zero, zero, zero
    # From differences, so that equal control points give exactly q' = 0.
    if D >= 2:
        ax, ay = tl.load(at + 2) - x0, tl.load(at + 3) - y0
        c1x, c1y = (D - 1) * ax, (D - 1) * ay
    if D >= 3:
        bx, by = tl.load(at + 4) - tl.load(at + 2), tl.load(at + 5) - tl.load(at + 3)
        c2x, c2y = bx - ax, by - ay
    if D == 4:
        c2x, c2y = 3.0 * c2x, 3.0 * c2y
        c3x, c3y = (tl.load(at + 6) - x0) - 3.0 * bx, (tl.load(at + 7) - y0) - 3.0 * by
    r0 = tl.load(radius + 2 * row)
    taper = tl.load(radius + 2 * row + 1) - r0
    return x0, y0, c1x, c1y, c2x, c2y, c3x, c3y, r0, taper


@triton.jit
def position(curve, t):
    """q(t) - P0."""
    _x0, _y0, c1x, c1y, c2x, c2y, c3x, c3y, _r0, _taper = curve
    return ((c3x * t + c2x) * t + c1x) * t, ((c3y * t + c2y) * t + c1y) * t


@triton.jit
def velocity(curve, t):
    """q'(t)."""
    _x0, _y0, c1x, c1y, c2x, c2y, c3x, c3y, _r0, _taper = curve
    return (3.0 * c3x * t + 2.0 * c2x) * t + c1x, (3.0 * c3y * t + 2.0 * c2y) * t + c1y


@triton.jit
def acceleration(curve, t):
    """q''(t)."""
    _x0, _y0, _c1x, _c1y, c2x, c2y, c3x, c3y, _r0, _taper = curve
    return 6.0 * c3x * t + 2.0 * c2x, 6.0 * c3y * t + 2.0 * c2y


@triton.jit
def chord_error(curve, CHORDS: tl.constexpr):
    """No point of the curve is farther than this from its chord, in pixels: |q''| is greatest at an end."""
    start_x, start_y = acceleration(curve, 0.0)
    end_x, end_y = acceleration(curve, 1.0)
    bend = tl.maximum(start_x * start_x + start_y * start_y, end_x * end_x + end_y * end_y)
    return tl.sqrt(bend) / (8 * CHORDS * CHORDS)


@triton.jit
def make_chord(curve, i, CHORDS: tl.constexpr):
    """Chord i: its CHORD_VALUES, see csrc/nearest.h."""
    _x0, _y0, _c1x, _c1y, _c2x, _c2y, _c3x, _c3y, r0, taper = curve
    start_x, start_y = position(curve, i * (1.0 / CHORDS))
    end_x, end_y = position(curve, (i + 1) * (1.0 / CHORDS))
    along_x, along_y = end_x - start_x, end_y - start_y
    squared = along_x * along_x + along_y * along_y
    inverse = 1.0 / tl.maximum(squared, MIN_SQUARED_LENGTH)
    rise = taper * (1.0 / CHORDS)
    # A cone has a side only where one end's disc does not hold the other's.
    room = squared - rise * rise
    has_side = room > 0.0
    shift = tl.where(has_side, rise * inverse / tl.sqrt(tl.where(has_side, room, 1.0)), 0.0)
    bias = tl.where(has_side | (rise == 0.0), 0.0, tl.where(rise > 0.0, 1e30, -1e30))
    return start_x, start_y, along_x, along_y, inverse, shift, bias, r0 + i * rise


@triton.jit
def put_minimum(found, t, f, best_t, best, second_t, second):
    """The two lowest minima, after one more where `found`."""
    wins = found & (f < best)
    follows = found & (f < second)
    second_t = tl.where(wins, best_t, tl.where(follows, t, second_t))
    second = tl.where(wins, best, tl.where(follows, f, second))
    return tl.where(wins, t, best_t), tl.where(wins, f, best), second_t, second


@triton.jit
def scan_chords(chords, row, taper, px, py, CHORDS: tl.constexpr):
    """t and F of the two lowest local minima among the chords; F is infinite where there is none."""
    best_t, second_t, previous_t = px * 0.0, px * 0.0, px * 0.0
    best = tl.full(px.shape, float("inf"), tl.float32)
    second, previous = best, best
    falling = best > 0.0
    at = chords + row * (CHORDS * CHORD_VALUES)
    for i in range(CHORDS):
        along_x, along_y = tl.load(at + 2), tl.load(at + 3)
        from_x, from_y = px - tl.load(at), py - tl.load(at + 1)
        s = (from_x * along_x + from_y * along_y) * tl.load(at + 4)
        s += tl.load(at + 5) * tl.abs(along_x * from_y - along_y * from_x) + tl.load(at + 6)
        s = tl.minimum(tl.maximum(s, 0.0), 1.0)
        wx, wy = from_x - s * along_x, from_y - s * along_y
        f = tl.sqrt(wx * wx + wy * wy) - (tl.load(at + 7) + s * (taper * (1.0 / CHORDS)))
        t = (i + s) * (1.0 / CHORDS)
        ends = falling & (f >= previous)
        best_t, best, second_t, second = put_minimum(ends, previous_t, previous, best_t, best, second_t, second)
        falling = f < previous
        previous_t, previous = t, f
        at += CHORD_VALUES
    return put_minimum(falling, previous_t, previous, best_t, best, second_t, second)


@triton.jit
def stationarity(curve, px, py, t):
    """F, G, and G_t where it is positive enough for a Newton step, else |q'|^2."""
    _x0, _y0, _c1x, _c1y, _c2x, _c2y, _c3x, _c3y, r0, taper = curve
    qx, qy = position(curve, t)
    vx, vy = velocity(curve, t)
    ax, ay = acceleration(curve, t)
    wx, wy = qx - px, qy - py
    distance = tl.sqrt(wx * wx + wy * wy + EPSILON * EPSILON)
    along, speed2 = wx * vx + wy * vy, vx * vx + vy * vy
    g_t = speed2 + (wx * ax + wy * ay) - taper * along / distance
    slope = tl.maximum(tl.where(g_t > 0.1 * speed2, g_t, speed2), MIN_SQUARED_LENGTH)
    return distance - (r0 + t * taper), along - distance * taper, slope


@triton.jit
def refine(curve, px, py, start, CHORDS: tl.constexpr, STEPS: tl.constexpr):
    """Newton steps on G, kept within two chords of the start; t and F of the better of the start and the end."""
    low, high = tl.maximum(start - 2.0 / CHORDS, 0.0), tl.minimum(start + 2.0 / CHORDS, 1.0)
    f_start, g, slope = stationarity(curve, px, py, start)
    t, f = start, f_start
    for _ in tl.static_range(STEPS):
        t = tl.minimum(tl.maximum(t - g / slope, low), high)
        f, g, slope = stationarity(curve, px, py, t)
    worse = f > f_start + TIE
    return tl.where(worse, start, t), tl.where(worse, f_start, f)


@triton.jit
def nearest(curve, chords, row, x, y, limit, CHORDS: tl.constexpr, STEPS: tl.constexpr):
    """t* and F at pixel centres (x, y); where F is not below `limit` it is infinite and t* is 0."""
    x0, y0, _c1x, _c1y, _c2x, _c2y, _c3x, _c3y, _r0, taper = curve
    px, py = x - x0, y - y0
    t, f, second_t, second = scan_chords(chords, row, taper, px, py, CHORDS)
    error = chord_error(curve, CHORDS)
    if tl.min(f) <= limit + error + TIE:
        # Another local minimum of the chords that could still be the lowest.
        rival = second <= f + 2.0 * error + TIE
        t, f = refine(curve, px, py, t, CHORDS, STEPS)
        if tl.max(rival.to(tl.int32)) > 0:
            other_t, other = refine(curve, px, py, second_t, CHORDS, STEPS)
            wins = rival & ((other < f - TIE) | ((other <= f + TIE) & (other_t < t)))
            t, f = tl.where(wins, other_t, t), tl.where(wins, other, f)
    reached = f < limit
    return tl.where(reached, t, 0.0), tl.where(reached, f, float("inf"))
