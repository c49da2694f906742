"""Which strokes may touch a tile, in Triton: boxes and chords made once per stroke, and the walk over the boxes."""

import triton
import triton.language as tl

from .stroke import CHORD_VALUES, load_curve, make_chord

# Boxes tested against a tile at a time: one a thread.
WINDOW = 128


@triton.jit
def all_finite(values, row, count, good):
    """Lanes of `good` for which `count` values from row * count on are finite too."""
    for i in range(count):
        good = good & (tl.abs(tl.load(values + row * count + i)) < float("inf"))
    return good


@triton.jit
def paint_bounds_kernel(
    points, radius, color, opacity, feather, texture_id, boxes, chords, strokes, color_values, textures,
    D: tl.constexpr, OPACITY_ENDS: tl.constexpr, TEXTURED: tl.constexpr, CHORDS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Boxes (B N, 4) outside which a stroke leaves no paint, empty for one with a bad value; its chords (B N, CHORDS,
    CHORD_VALUES). One lane a stroke."""
    row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    # Lanes beyond the last stroke repeat it: a second store of the same values does no harm.
    row = tl.where(row < strokes, row, strokes - 1)
    low_x, low_y = tl.load(points + row * (2 * D)), tl.load(points + row * (2 * D) + 1)
    high_x, high_y = low_x, low_y
    for i in tl.static_range(1, D):
        x, y = tl.load(points + row * (2 * D) + 2 * i), tl.load(points + row * (2 * D) + 2 * i + 1)
        low_x, low_y = tl.minimum(low_x, x), tl.minimum(low_y, y)
        high_x, high_y = tl.maximum(high_x, x), tl.maximum(high_y, y)
    width = tl.load(feather + row)
    reach = tl.maximum(tl.load(radius + 2 * row), tl.load(radius + 2 * row + 1)) + 0.5 * width
    good = (reach > 0.0) & (width > 0.0) & (width < float("inf"))
    good = all_finite(points, row, 2 * D, good)
    good = all_finite(radius, row, 2, good)
    good = all_finite(color, row, color_values, good)
    good = all_finite(opacity, row, OPACITY_ENDS, good)
    if TEXTURED:
        identity = tl.load(texture_id + row)
        good = good & (identity >= -1) & (identity < textures)
    infinity = float("inf")
    tl.store(boxes + 4 * row, tl.where(good, low_x - reach, infinity))
    tl.store(boxes + 4 * row + 1, tl.where(good, low_y - reach, infinity))
    tl.store(boxes + 4 * row + 2, tl.where(good, high_x + reach, -infinity))
    tl.store(boxes + 4 * row + 3, tl.where(good, high_y + reach, -infinity))
    curve = load_curve(points, radius, row, D)
    at = chords + row * (CHORDS * CHORD_VALUES)
    for i in tl.static_range(CHORDS):
        values = make_chord(curve, i, CHORDS)
        for k in tl.static_range(CHORD_VALUES):
            tl.store(at + (i * CHORD_VALUES + k), values[k])


@triton.jit
def meets(boxes, first, upper, box, WINDOW: tl.constexpr):
    """For the strokes upper - 1, upper - 2, ... of the canvas that begins at row `first`: index, and 1 where its box
    meets the tile's."""
    left, top, right, bottom = box
    n = upper - 1 - tl.arange(0, WINDOW)
    at = boxes + 4 * (first + n)
    there = n >= 0
    hit = (tl.load(at, there, 0.0) <= right) & (tl.load(at + 1, there, 0.0) <= bottom)
    hit = hit & (tl.load(at + 2, there, 0.0) >= left) & (tl.load(at + 3, there, 0.0) >= top)
    return n, (hit & there).to(tl.int32)


@triton.jit
def next_stroke(boxes, first, upper, box, WINDOW: tl.constexpr):
    """The topmost stroke below `upper` that may touch the tile; -1 if there is none."""
    found = -1
    # A copy, since an argument of 1 is a compile-time constant, which a loop cannot change.
    top = upper
    while (found < 0) & (top > 0):
        n, hit = meets(boxes, first, top, box, WINDOW)
        found = tl.max(tl.where(hit > 0, n, -1))
        top -= WINDOW
    return found


@triton.jit
def stroke_at(boxes, first, strokes, rank, box, WINDOW: tl.constexpr):
    """The stroke that has `rank` others above it in the tile's list; -1 if there is none."""
    found = -1
    top = strokes
    while (found < 0) & (top > 0):
        n, hit = meets(boxes, first, top, box, WINDOW)
        found = tl.max(tl.where((hit > 0) & (tl.cumsum(hit, 0) == rank + 1), n, -1))
        rank -= tl.sum(hit)
        top -= WINDOW
    return found


@triton.jit
def segment_length(boxes, first, strokes, segments, box, CHUNK: tl.constexpr, WINDOW: tl.constexpr):
    """Strokes of the tile's list between two checkpoints: whole chunks, so many that `segments` hold the list."""
    listed = 0
    for passed in range(0, strokes, WINDOW):
        _n, hit = meets(boxes, first, strokes - passed, box, WINDOW)
        listed += tl.sum(hit)
    chunks = (listed + CHUNK - 1) // CHUNK
    return tl.maximum((chunks + segments - 1) // segments, 1) * CHUNK
