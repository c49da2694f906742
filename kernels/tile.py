"""A tile of pixels, the part of a canvas that one program paints, in Triton."""

import triton
import triton.language as tl

# Pixels along a tile's side.
TILE = 16


def tile_count(shape: tuple[int, int, int, int]) -> int:
    """Tiles of all canvases of an image (B, C, H, W)."""
    b, _, h, w = shape
    return b * -(-h // TILE) * -(-w // TILE)


@triton.jit
def tile_at(tile, height, width, TILE: tl.constexpr):
    """Of tile number `tile`: its canvas; column and row of each pixel; the box of their centres."""
    columns, rows = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    canvas = tile // (columns * rows)
    left, top = (tile % columns * TILE).to(tl.int32), (tile // columns % rows * TILE).to(tl.int32)
    lanes = tl.arange(0, TILE * TILE)
    right, bottom = tl.minimum(left + TILE, width) - 0.5, tl.minimum(top + TILE, height) - 0.5
    return canvas, left + lanes % TILE, top + lanes // TILE, (left + 0.5, top + 0.5, right, bottom)


@triton.jit
def store_image(image, background, canvas, background_step, channels, pixel, area, inside, painted, above):
    """What is painted, (channels, pixels), over the background, of which `above` is to be seen."""
    channel = tl.arange(0, painted.shape[0])
    there = (channel < channels)[:, None] & inside[None, :]
    plane = channel[:, None] * area + pixel[None, :]
    under = tl.load(background + canvas * background_step + plane, there, 0.0)
    tl.store(image + canvas * channels * area + plane, painted + above[None, :] * under, there)
