"""One patch at the pixels of a tile, in Triton: its map turned round, its texels sampled, and the way back.

The formulas are those of csrc/patch.h, which csrc/README.md derives, in float32. Pixels are lanes of 1-D tensors,
everything that belongs to the patch is a scalar. A patch is `placed` on a tile as the tuple

    (x, y, ux, uy, vx, vy, across, down):    place = (x, y) + column (ux, uy) + line (vx, vy)

of where the tile's corner lies in it, the sides of a pixel there, and how many samples a pixel takes along them.
Columns and lines count from that corner, so that a patch far from the origin is as accurate as its map. Two more
tuples:

    fields = (patches, patch_id, transform, color, opacity, height, width)    what the operator was given
    texels = (patches, at, height, width)    of one patch, the first of which is patches[at]
"""

import triton
import triton.language as tl

from .bins import all_finite

# A pixel takes one sample for every so many texels along either of its sides, with a little slack; what asks for more
# samples than that along a side lays no paint. All three are the reference's.
TAP_SPACING = tl.constexpr(2.0)
TAP_SLACK = tl.constexpr(0.01)
MAX_TAPS = tl.constexpr(64.0)


@triton.jit
def tap_count(x, y):
    """Samples along a side (x, y) of a pixel; a whole number, in float32."""
    # Not the approximate division and root, which are the default: they may be off at round numbers.
    return tl.maximum(tl.ceil(tl.sqrt_rn(x * x + y * y) * (1.0 / TAP_SPACING) - TAP_SLACK), 1.0)


@triton.jit
def place(transform, row, left, top):
    """Patch `row`, an index into (B N), as placed on the tile that begins at pixel (left, top); scalars, or lanes where
    `row` has lanes."""
    at = transform + 6 * row
    xx, xy, shift_x = tl.load(at), tl.load(at + 1), tl.load(at + 2)
    yx, yy, shift_y = tl.load(at + 3), tl.load(at + 4), tl.load(at + 5)
    determinant = xx * yy - xy * yx
    ux, uy = tl.div_rn(yy, determinant), tl.div_rn(-yx, determinant)
    vx, vy = tl.div_rn(-xy, determinant), tl.div_rn(xx, determinant)
    dx, dy = left - shift_x, top - shift_y
    return ux * dx + vx * dy, uy * dx + vy * dy, ux, uy, vx, vy, tap_count(ux, uy), tap_count(vx, vy)


@triton.jit
def patch_bounds_kernel(
    patch_id, transform, color, opacity, boxes, strokes, bank, channels, height, width,
    SHARED: tl.constexpr, COLORED: tl.constexpr, HAS_OPACITY: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Boxes (B N, 4) in pixels outside which a patch lays no paint, empty for one that is left out. One lane a patch;
    `bank` is how many there are to choose from."""
    row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    # Lanes beyond the last patch repeat it: a second store of the same values does no harm.
    row = tl.where(row < strokes, row, strokes - 1)
    x, y, _ux, _uy, _vx, _vy, across, down = place(transform, row, 0.0, 0.0)
    # Where a side is not finite, x or y is not either.
    good = (tl.abs(x) < float("inf")) & (tl.abs(y) < float("inf")) & (across <= MAX_TAPS) & (down <= MAX_TAPS)
    good = all_finite(transform, row, 6, good)
    if not COLORED:
        good = all_finite(color, row, channels, good)
    if HAS_OPACITY:
        good = all_finite(opacity, row, 1, good)
    if SHARED:
        identity = tl.load(patch_id + row)
        good = good & (identity >= 0) & (identity < bank)
    # Samples reach half a pixel beyond the pixel's centre.
    reach = tl.where((across > 1.0) | (down > 1.0), 0.5, 0.0)
    infinity = float("inf")
    for axis in tl.static_range(2):
        at = transform + 6 * row + 3 * axis
        a, b, shift = tl.load(at), tl.load(at + 1), tl.load(at + 2)
        # Texels reach half a texel beyond the patch; and room for rounding.
        half = 0.5 * (tl.abs(a) * (width + 1.0) + tl.abs(b) * (height + 1.0)) + reach
        half += 1e-6 * (half + tl.abs(shift))
        middle = 0.5 * (a * width + b * height) + shift
        tl.store(boxes + 4 * row + axis, tl.where(good, middle - half, infinity))
        tl.store(boxes + 4 * row + 2 + axis, tl.where(good, middle + half, -infinity))


@triton.jit
def touches(placed, height, width, TILE: tl.constexpr):
    """Whether a patch may lay paint on the tile, as seen along its own sides; boxes tell only for the canvas's."""
    x, y, ux, uy, vx, vy, _across, _down = placed
    middle_x, middle_y = x + 0.5 * TILE * (ux + vx), y + 0.5 * TILE * (uy + vy)
    # Texels reach half a texel beyond the patch; and room for rounding.
    reach_x = 0.5 * TILE * (tl.abs(ux) + tl.abs(vx)) + 0.51
    reach_y = 0.5 * TILE * (tl.abs(uy) + tl.abs(vy)) + 0.51
    there = (middle_x + reach_x >= 0.0) & (middle_x - reach_x <= width)
    return there & (middle_y + reach_y >= 0.0) & (middle_y - reach_y <= height)


@triton.jit
def neighbours(place, size):
    """Along one axis: the texel whose centre is at `place` or before it, what lies between, whether that texel is
    there, and whether the next one is."""
    # Clamped before it becomes an index: two texels before the patch, as a NaN is, or one after it.
    inner = tl.minimum(tl.where(place >= -0.5, place - 0.5, -2.0), size * 1.0)
    lower = tl.floor(inner)
    index = lower.to(tl.int32)
    return index, inner - lower, (index >= 0) & (index < size), (index >= -1) & (index + 1 < size)


@triton.jit
def sample_at(placed, column, line, i, j, height, width):
    """The texels around sample (i, j) of pixels: `neighbours` along x and along y."""
    x, y, ux, uy, vx, vy, across, down = placed
    dx, dy = column + tl.div_rn(i + 0.5, across), line + tl.div_rn(j + 0.5, down)
    return neighbours(x + ux * dx + vx * dy, width), neighbours(y + uy * dx + vy * dy, height)


@triton.jit
def corner(found, k, width):
    """Of texel k of the four that `sample_at` found: its number in a plane, whether it is there, its weight, and the
    slopes of that in x and y."""
    along_x, along_y = found
    column, x, left_there, right_there = along_x
    line, y, upper_there, lower_there = along_y
    right, lower = k % 2, k // 2
    weight_x, weight_y = tl.where(right == 1, x, 1.0 - x), tl.where(lower == 1, y, 1.0 - y)
    there = tl.where(right == 1, right_there, left_there) & tl.where(lower == 1, lower_there, upper_there)
    index = (line + lower) * width + (column + right)
    return index, there, weight_x * weight_y, (2.0 * right - 1.0) * weight_y, (2.0 * lower - 1.0) * weight_x


@triton.jit
def open_patch(fields, row, channels, SHARED: tl.constexpr, COLORED: tl.constexpr, HAS_OPACITY: tl.constexpr):
    """The texels of patch `row`, and its opacity."""
    patches, patch_id, _transform, _color, opacity, height, width = fields
    index = row
    if SHARED:
        index = tl.load(patch_id + row)
    planes = channels + 1 if COLORED else 1
    level = 1.0
    if HAS_OPACITY:
        level = tl.load(opacity + row)
    return (patches, index * planes * height * width, height, width), level


@triton.jit
def load_own_color(fields, row, channels, CHANNELS: tl.constexpr):
    """The one colour (CHANNELS, 1) of a patch that is alpha alone; 0 beyond `channels`."""
    _patches, _patch_id, _transform, color, _opacity, _height, _width = fields
    channel = tl.arange(0, CHANNELS)
    return tl.load(color + row * channels + channel, channel < channels, 0.0)[:, None]


@triton.jit
def plane_step(texels):
    """Texels of a plane; as a 64-bit number, which products of it need."""
    _patches, _at, height, width = texels
    return tl.cast(height, tl.int64) * width


@triton.jit
def load_alpha(texels, index, there, channels, COLORED: tl.constexpr):
    """Alpha of texels, the last plane; beyond the patch it is 0."""
    patches, at, _height, _width = texels
    if COLORED:
        at += channels * plane_step(texels)
    return tl.load(patches + at + index, there, 0.0)


@triton.jit
def color_number(texels, index, CHANNELS: tl.constexpr):
    """Where colours (CHANNELS, pixels) of texels are, counted from the first patch."""
    _patches, at, _height, _width = texels
    return at + tl.arange(0, CHANNELS)[:, None] * plane_step(texels) + index[None, :]


@triton.jit
def color_mask(there, channels, CHANNELS: tl.constexpr):
    """Which of CHANNELS colours of texels there are."""
    return (tl.arange(0, CHANNELS) < channels)[:, None] & there[None, :]


@triton.jit
def load_color(texels, index, there, channels, CHANNELS: tl.constexpr):
    """Colours (CHANNELS, pixels) of texels; 0 beyond `channels`."""
    patches, _at, _height, _width = texels
    return tl.load(patches + color_number(texels, index, CHANNELS), color_mask(there, channels, CHANNELS), 0.0)


@triton.jit
def sample_alpha(texels, placed, column, line, channels, COLORED: tl.constexpr):
    """Alpha of a patch at pixels, before its opacity."""
    _patches, _at, height, width = texels
    _x, _y, _ux, _uy, _vx, _vy, across, down = placed
    alpha = column * 0.0
    for j in range(down.to(tl.int32)):
        for i in range(across.to(tl.int32)):
            found = sample_at(placed, column, line, i, j, height, width)
            for k in tl.static_range(4):
                index, there, weight, _slope_x, _slope_y = corner(found, k, width)
                alpha += weight * load_alpha(texels, index, there, channels, COLORED)
    return tl.div_rn(alpha, across * down)


@triton.jit
def sample(texels, placed, column, line, channels, CHANNELS: tl.constexpr):
    """Alpha, and colour times alpha (CHANNELS, pixels), of a patch with colours at pixels, before its opacity."""
    _patches, _at, height, width = texels
    _x, _y, _ux, _uy, _vx, _vy, across, down = placed
    alpha, paint = column * 0.0, tl.zeros((CHANNELS, column.shape[0]), tl.float32)
    for j in range(down.to(tl.int32)):
        for i in range(across.to(tl.int32)):
            found = sample_at(placed, column, line, i, j, height, width)
            for k in range(4):
                index, there, weight, _slope_x, _slope_y = corner(found, k, width)
                part = weight * load_alpha(texels, index, there, channels, True)
                alpha += part
                paint += part[None, :] * load_color(texels, index, there, channels, CHANNELS)
    samples = across * down
    return tl.div_rn(alpha, samples), tl.div_rn(paint, samples)
