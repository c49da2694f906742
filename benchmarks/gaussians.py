"""The opponent on a GPU: a stroke as a row of 2D Gaussians, rasterised as 3D Gaussian splatting does it.

As in Bezier Splatting (Liu et al., NeurIPS 2025) each curve is sampled at even steps of t. A sample is a Gaussian with
the stroke's colour, aligned with the tangent: its standard deviation along the curve is the distance to the next
sample, across it a share of the stroke's radius. The picture is about that of `paint`, with softer edges; with samples
one radius apart it is as near as with twice as many.

They are rasterised as Kerbl et al. (SIGGRAPH 2023) and gsplat do. Each Gaussian is listed once for every tile of 16 by
16 pixels that it may touch, at places that a cumulative sum gives and whose number the host must wait for; the list is
sorted by tile; a program per tile composites its part from the front to the back, alpha at most 0.99, until the
transmittance is below 1e-4; the backward pass goes from the back to the front and recovers the transmittance by
dividing by 1 - alpha.

In two things it is faster than those. The order of painting is known, so a stable sort by tiles does for the usual one
by (tile, depth) in 64 bits; and a Gaussian's box ends where its alpha falls below 1/255, not at three deviations.

For what the benchmarks draw: quadratic curves of constant radius, one colour of three channels, opacity at both ends,
no texture. The edge is the Gaussian's: `feather` has no say.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from neural_paint import Strokes

# Deviation across a stroke in radii: at the rim a stroke of opacity 3/4 then has half of its paint, as a round brush.
ACROSS = 0.68
# Gaussians that lie one deviation apart add up to this.
OVERLAP = math.sqrt(2 * math.pi)
# Least transmittance of a stroke: where there is none its gradient would be infinite.
LEAST_TRANSMITTANCE = 1e-4
# Least squared step between samples, in square pixels: lets a degenerate curve divide.
MIN_SQUARED_STEP = 1e-12

MAX_ALPHA = tl.constexpr(0.99)
MIN_ALPHA = tl.constexpr(1 / 255)
MIN_TRANSMITTANCE = tl.constexpr(1e-4)

# Pixels along a tile's side.
TILE = 16
# Gaussians that a program evaluates at once: as many as leave registers for four programs and more on a multiprocessor.
BATCH = 8
BACKWARD_BATCH = 4
# Gaussians of one program that makes the lists.
BLOCK = 128
LAUNCH: dict[str, Any] = {"num_warps": 4, "enable_fp_fusion": True}


def paint(strokes: Strokes, background: Tensor, *, samples: int) -> Tensor:
    """Paint over a background (1 or B, 3, H, W) with `samples` Gaussians to a stroke; differentiable in points, radius,
    colour and opacity."""
    gaussians = place(strokes, samples)
    return Rasterise.apply(*gaussians, background.expand(strokes.batch_size, -1, -1, -1).contiguous())


def place(strokes: Strokes, samples: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gaussians in the order of painting: centres (M, 2); conics (M, 3), the elements xx, xy and yy of the inverse
    covariance; opacities (M,); colours (M, 3)."""
    t, weights = curve_weights(samples, strokes.points.device)
    centre, step = (weights @ strokes.points).split(samples, 2)
    radius = torch.lerp(strokes.radius[..., :1], strokes.radius[..., 1:], t)
    opacity = torch.lerp(strokes.opacity[..., :1], strokes.opacity[..., 1:], t)
    dx, dy = step.unbind(-1)
    squared = (dx * dx + dy * dy).clamp(min=MIN_SQUARED_STEP)
    across = (ACROSS * radius) ** -2
    # The part of the inverse covariance along the tangent differs from that across it.
    stretch = (1 / squared - across) / squared
    conic = torch.stack([torch.addcmul(across, stretch, dx * dx), stretch * dx * dy,
                         torch.addcmul(across, stretch, dy * dy)], -1)  # fmt: skip
    # So that the row as a whole lets through what the stroke does.
    opacity = 1 - (1 - opacity).clamp(min=LEAST_TRANSMITTANCE) ** (1 / OVERLAP)
    color = strokes.color[:, :, None].expand(-1, -1, samples, -1)
    return centre.reshape(-1, 2), conic.reshape(-1, 3), opacity.reshape(-1), color.reshape(-1, 3)


@cache
def curve_weights(samples: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """t (samples,), and the weights (2 samples, 3) of a curve's control points in its points there, and then in the
    steps from one to the next."""
    t = torch.linspace(0, 1, samples, device=device)
    points = torch.stack([(1 - t) ** 2, 2 * t * (1 - t), t**2], -1)
    velocity = torch.stack([-2 * (1 - t), 2 - 4 * t, 2 * t], -1)
    return t, torch.cat([points, velocity / (samples - 1)])


class Rasterise(torch.autograd.Function):
    """Gaussians over the canvases that they are spread over evenly; `background` (B, 3, H, W) has no gradient."""

    @staticmethod
    def forward(
        ctx: Any, centres: Tensor, conics: Tensor, opacities: Tensor, colors: Tensor, background: Tensor
    ) -> Tensor:
        batch, channels, height, width = background.shape
        assert channels == 3, "three channels only"
        gaussians = [x.contiguous() for x in (centres, conics, opacities, colors)]
        listed, ranges = lists(*gaussians[:3], batch, height, width)
        image, transmittance = torch.empty_like(background), background.new_empty(batch, height, width)
        deepest = torch.empty_like(transmittance, dtype=torch.int32)
        rasterise_kernel[(len(ranges) - 1,)](
            *gaussians, background, listed, ranges, image, transmittance, deepest, height, width,
            TILE=TILE, BATCH=BATCH, **LAUNCH,
        )  # fmt: skip
        ctx.save_for_backward(*gaussians, background, listed, ranges, transmittance, deepest)
        return image

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        *tensors, ranges, transmittance, deepest = ctx.saved_tensors
        height, width = grad.shape[2:]
        gradients = [torch.zeros_like(x) for x in tensors[:4]]
        rasterise_backward_kernel[(len(ranges) - 1,)](
            grad.contiguous(), *tensors, ranges, transmittance, deepest, *gradients, height, width,
            TILE=TILE, BATCH=BACKWARD_BATCH, **LAUNCH,
        )  # fmt: skip
        return *gradients, None


def lists(
    centres: Tensor, conics: Tensor, opacities: Tensor, batch: int, height: int, width: int
) -> tuple[Tensor, Tensor]:
    """The Gaussians of every tile, one tile after the other, each in the order of painting; where each tile's part
    begins, and the end."""
    columns, rows, count = -(-width // TILE), -(-height // TILE), len(centres)
    grid, shape = (-(-count // BLOCK),), (count, count // batch, columns, rows)
    touched = torch.empty(count, dtype=torch.int32, device=centres.device)
    count_kernel[grid](centres, conics, opacities, touched, *shape, TILE=TILE, BLOCK=BLOCK, **LAUNCH)
    ends = touched.cumsum(0)
    total = int(ends[-1])
    tile_of, listed = torch.empty(2, total, dtype=torch.int32, device=centres.device)
    list_kernel[grid](centres, conics, opacities, ends, tile_of, listed, *shape, TILE=TILE, BLOCK=BLOCK, **LAUNCH)
    tile_of, order = tile_of.sort(stable=True)
    every = torch.arange(batch * rows * columns + 1, dtype=torch.int32, device=centres.device)
    return listed[order], torch.searchsorted(tile_of, every, out_int32=True)


@triton.jit
def tile_box(centres, conics, opacities, row, there, columns, rows, TILE: tl.constexpr):
    """Left and top tile that a Gaussian may touch, and how many tiles to the right and down; 0 for one not there."""
    x, y = tl.load(centres + 2 * row, there, 0.0), tl.load(centres + 2 * row + 1, there, 0.0)
    xx, xy = tl.load(conics + 3 * row, there, 1.0), tl.load(conics + 3 * row + 1, there, 0.0)
    yy, opacity = tl.load(conics + 3 * row + 2, there, 1.0), tl.load(opacities + row, there, 0.0)
    # Where opacity exp(-d^2 / 2) is MIN_ALPHA; the variances are the diagonal of the conic's inverse.
    reach2 = 2.0 * tl.log(tl.maximum(opacity / MIN_ALPHA, 1.0)) / (xx * yy - xy * xy)
    reach_x, reach_y = tl.sqrt(reach2 * yy), tl.sqrt(reach2 * xx)
    # The centres of a tile's pixels begin and end half a pixel inside it.
    left = tl.maximum(tl.ceil((x - reach_x + 0.5) / TILE) - 1.0, 0.0).to(tl.int32)
    top = tl.maximum(tl.ceil((y - reach_y + 0.5) / TILE) - 1.0, 0.0).to(tl.int32)
    right = tl.minimum(tl.maximum(tl.floor((x + reach_x - 0.5) / TILE), -1.0).to(tl.int32), columns - 1)
    bottom = tl.minimum(tl.maximum(tl.floor((y + reach_y - 0.5) / TILE), -1.0).to(tl.int32), rows - 1)
    across, down = tl.maximum(right - left + 1, 0), tl.maximum(bottom - top + 1, 0)
    seen = there & (opacity >= MIN_ALPHA)
    return left, top, tl.where(seen, across, 0), down


@triton.jit
def count_kernel(
    centres, conics, opacities, touched, count, per_canvas, columns, rows, TILE: tl.constexpr, BLOCK: tl.constexpr
):
    """How many tiles each Gaussian may touch."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = row < count
    _left, _top, across, down = tile_box(centres, conics, opacities, row, there, columns, rows, TILE)
    tl.store(touched + row, across * down, there)


@triton.jit
def list_kernel(
    centres, conics, opacities, ends, tile_of, listed, count, per_canvas, columns, rows,
    TILE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Each Gaussian with each of its tiles: what it lists ends where `ends` says."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = row < count
    left, top, across, down = tile_box(centres, conics, opacities, row, there, columns, rows, TILE)
    at = tl.load(ends + row, there, 0) - across * down
    first = (row // per_canvas * rows + top) * columns + left
    for i in range(tl.max(across * down)):
        wide = tl.maximum(across, 1)
        tl.store(tile_of + at + i, first + i // wide * columns + i % wide, i < across * down)
        tl.store(listed + at + i, row, i < across * down)


@triton.jit
def pixels_of(tile, height, width, TILE: tl.constexpr):
    """Of tile number `tile`: centres of its pixels; which are on the canvas; where they lie in (B, H, W), and where in
    (B, 3, H, W) for the first channel; from one channel to the next."""
    columns, rows = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    lanes = tl.arange(0, TILE * TILE)
    x, y = tile % columns * TILE + lanes % TILE, tile // columns % rows * TILE + lanes // TILE
    canvas, area = (tile // (columns * rows)).to(tl.int64), tl.cast(height, tl.int64) * width
    pixel = y.to(tl.int64) * width + x
    inside = (x < width) & (y < height)
    return x + 0.5, y + 0.5, inside, canvas * area + pixel, 3 * canvas * area + pixel, area


@triton.jit
def load_gaussians(centres, conics, opacities, colors, listed, n, there):
    """Entries n of the list, as columns: row; centre; conic; opacity; colour."""
    row = tl.load(listed + n, there, 0)
    x, y = tl.load(centres + 2 * row), tl.load(centres + 2 * row + 1)
    xx, xy, yy = tl.load(conics + 3 * row), tl.load(conics + 3 * row + 1), tl.load(conics + 3 * row + 2)
    opacity = tl.where(there, tl.load(opacities + row), 0.0)
    red, green, blue = tl.load(colors + 3 * row), tl.load(colors + 3 * row + 1), tl.load(colors + 3 * row + 2)
    shape = (x[:, None], y[:, None], xx[:, None], xy[:, None], yy[:, None], opacity[:, None])
    return row, shape, (red[:, None], green[:, None], blue[:, None])


@triton.jit
def evaluate(shape, x, y):
    """Of each Gaussian at each pixel: offset; share of its opacity; alpha, 0 where it is too little to be seen."""
    center_x, center_y, xx, xy, yy, opacity = shape
    dx, dy = center_x - x[None, :], center_y - y[None, :]
    falloff = tl.exp(-(0.5 * (xx * dx * dx + yy * dy * dy) + xy * dx * dy))
    alpha = tl.minimum(opacity * falloff, MAX_ALPHA)
    return dx, dy, falloff, tl.where(alpha >= MIN_ALPHA, alpha, 0.0)


@triton.jit
def rasterise_kernel(
    centres, conics, opacities, colors, background, listed, ranges, image, transmittance, deepest, height, width,
    TILE: tl.constexpr, BATCH: tl.constexpr,
):  # fmt: skip
    """Composite one tile, front to back; `deepest` is how many entries, from the front, a pixel went through."""
    tile = tl.program_id(0)
    x, y, inside, plane, first, area = pixels_of(tile, height, width, TILE)
    begin, end = tl.load(ranges + tile), tl.load(ranges + tile + 1)
    above, open_pixels = tl.where(inside, 1.0, 0.0), inside
    depth = tl.zeros((TILE * TILE,), tl.int32)
    painted_red, painted_green, painted_blue = above * 0.0, above * 0.0, above * 0.0
    top, go_on = end, 1
    while (top > begin) & (go_on > 0):
        n = top - 1 - tl.arange(0, BATCH)
        _row, shape, color = load_gaussians(centres, conics, opacities, colors, listed, n, n >= begin)
        red, green, blue = color
        _dx, _dy, _falloff, alpha = evaluate(shape, x, y)
        below = above[None, :] * tl.cumprod(1.0 - alpha, 0)
        # Once below MIN_TRANSMITTANCE, always: entries from there on are left out.
        shown = open_pixels[None, :] & (below >= MIN_TRANSMITTANCE) & (alpha > 0.0)
        weight = tl.where(shown, below * alpha / (1.0 - alpha), 0.0)
        painted_red += tl.sum(weight * red, 0)
        painted_green += tl.sum(weight * green, 0)
        painted_blue += tl.sum(weight * blue, 0)
        depth = tl.maximum(depth, tl.max(tl.where(shown, (end - n)[:, None], 0), 0))
        above = tl.min(tl.where(shown, below, above[None, :]), 0)
        open_pixels = open_pixels & (tl.min(below, 0) >= MIN_TRANSMITTANCE)
        go_on = tl.max(open_pixels.to(tl.int32))
        top -= BATCH
    at = background + first
    red, green = tl.load(at, inside, 0.0), tl.load(at + area, inside, 0.0)
    blue = tl.load(at + 2 * area, inside, 0.0)
    tl.store(image + first, painted_red + above * red, inside)
    tl.store(image + first + area, painted_green + above * green, inside)
    tl.store(image + first + 2 * area, painted_blue + above * blue, inside)
    tl.store(transmittance + plane, above, inside)
    tl.store(deepest + plane, depth, inside)


@triton.jit
def add_gradients(to, row, values, there, i: tl.constexpr, WIDTH: tl.constexpr):
    """Add the sums over the pixels to column i of rows of WIDTH."""
    tl.atomic_add(to + WIDTH * row + i, tl.sum(values, 1), there, sem="relaxed")


@triton.jit
def rasterise_backward_kernel(
    grad, centres, conics, opacities, colors, background, listed, ranges, transmittance, deepest,
    d_centres, d_conics, d_opacities, d_colors, height, width, TILE: tl.constexpr, BATCH: tl.constexpr,
):  # fmt: skip
    """Gradients of one tile, back to front, added to the d_<field>, which begin at 0."""
    tile = tl.program_id(0)
    x, y, inside, plane, first, area = pixels_of(tile, height, width, TILE)
    end = tl.load(ranges + tile + 1)
    grad_red, grad_green = tl.load(grad + first, inside, 0.0), tl.load(grad + first + area, inside, 0.0)
    grad_blue = tl.load(grad + first + 2 * area, inside, 0.0)
    at = background + first
    # What lies behind the entry and shows, times the incoming gradient.
    below = tl.load(transmittance + plane, inside, 1.0)
    behind = tl.load(at, inside, 0.0) * grad_red + tl.load(at + area, inside, 0.0) * grad_green
    behind = below * (behind + tl.load(at + 2 * area, inside, 0.0) * grad_blue)
    depth = tl.load(deepest + plane, inside, 0)
    bottom = end - tl.max(depth)
    while bottom < end:
        n = bottom + tl.arange(0, BATCH)
        there = n < end
        row, shape, color = load_gaussians(centres, conics, opacities, colors, listed, n, there)
        _center_x, _center_y, xx, xy, yy, opacity = shape
        red, green, blue = color
        dx, dy, falloff, alpha = evaluate(shape, x, y)
        alpha = tl.where((end - n)[:, None] <= depth[None, :], alpha, 0.0)
        above = below[None, :] / tl.cumprod(1.0 - alpha, 0)
        weight = above * alpha
        add_gradients(d_colors, row, weight * grad_red[None, :], there, 0, 3)
        add_gradients(d_colors, row, weight * grad_green[None, :], there, 1, 3)
        add_gradients(d_colors, row, weight * grad_blue[None, :], there, 2, 3)
        felt = red * grad_red[None, :] + green * grad_green[None, :] + blue * grad_blue[None, :]
        passed = behind[None, :] + tl.cumsum(weight * felt, 0) - weight * felt
        d_alpha = above * felt - passed / (1.0 - alpha)
        # A clamped alpha does not move.
        d_alpha = tl.where((alpha > 0.0) & (opacity * falloff <= MAX_ALPHA), d_alpha, 0.0)
        add_gradients(d_opacities, row, d_alpha * falloff, there, 0, 1)
        d_exponent = -d_alpha * alpha
        add_gradients(d_conics, row, 0.5 * d_exponent * dx * dx, there, 0, 3)
        add_gradients(d_conics, row, d_exponent * dx * dy, there, 1, 3)
        add_gradients(d_conics, row, 0.5 * d_exponent * dy * dy, there, 2, 3)
        add_gradients(d_centres, row, d_exponent * (xx * dx + xy * dy), there, 0, 2)
        add_gradients(d_centres, row, d_exponent * (xy * dx + yy * dy), there, 1, 2)
        behind += tl.sum(weight * felt, 0)
        below = tl.max(above, 0)
        bottom += BATCH
