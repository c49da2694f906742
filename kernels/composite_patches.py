"""`composite_patches` in Triton: for GPUs without a compiled kernel, simple rather than fast, float32.

A program paints one tile of 16 x 16 pixels, as that of `paint` does: from the top down, it samples the patches whose
box meets the tile, and whose own sides do, at all of its pixels. Nothing is saved for the backward pass; `patch.py` has
the math of one patch, `patch_scene.py` what comes before a launch.

The backward pass goes down through a tile's list once, for the last transmittance and for that above each of at most
32 segments of the list. Then it takes chunks of 32 patches, the lowest first: down from the segment's start to the
chunk, keeping the transmittance above each of its patches, then up again with the colour below, which is when colours
are sampled and gradients leave. A segment of many chunks is replayed once for each of them: where more than 32 x 32
patches pile up on a tile, that is the price of bounded memory. As many programs run as there are rings, each with one
tile after the other.

All gradients but the background's are sums over tiles, and those of texels over pixels too, by atomic additions: on a
GPU their last bits differ from run to run, unless the operator's last argument, `deterministic`, is true: then the sums
are those of `exact_sum.py`, in any order the same. A patch of its own could have one writer instead, which would gather
from what every pixel under it leaves; how much that is, the shapes do not tell, since a map may stretch any patch over
the whole canvas.
"""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl
from torch import Tensor

from . import exact_sum
from .bins import WINDOW, next_stroke
from .composite_patches_backward import composite_patches_backward_kernel
from .patch import load_own_color, open_patch, place, sample, sample_alpha, touches
from .patch_scene import PatchScene, make_patch_scene
from .scene import LAUNCH, check_like, launched_on
from .tile import TILE, store_image, tile_at, tile_count

# Patches whose transmittance the backward pass keeps at a time, and segments of a tile's list.
CHUNK, SEGMENTS = 32, 32
# Programs of a backward pass, each with 64 KB of transmittances: enough to fill a GPU.
MAX_PROGRAMS = 1024


@triton.jit
def composite_patches_kernel(
    patches, patch_id, transform, color, opacity, background, boxes, image,
    strokes, channels, height, width, background_step, patch_height, patch_width,
    SHARED: tl.constexpr, COLORED: tl.constexpr, HAS_OPACITY: tl.constexpr, CHANNELS: tl.constexpr, TILE: tl.constexpr,
    WINDOW: tl.constexpr,
):  # fmt: skip
    """Paint one tile; `background_step` is 0 where all canvases share one."""
    canvas, x, y, box = tile_at(tl.program_id(0).to(tl.int64), height, width, TILE)
    lanes = tl.arange(0, TILE * TILE)
    column, line = (lanes % TILE).to(tl.float32), (lanes // TILE).to(tl.float32)
    inside = (x < width) & (y < height)
    pixel, area = y.to(tl.int64) * width + x, tl.cast(height, tl.int64) * width
    fields = (patches, patch_id, transform, color, opacity, patch_height, patch_width)
    first = canvas * strokes
    above = tl.where(inside, 1.0, 0.0)
    painted = tl.zeros((CHANNELS, TILE * TILE), tl.float32)
    open_pixels = 1
    n = next_stroke(boxes, first, strokes, box, WINDOW)
    while (n >= 0) & (open_pixels > 0):
        row = first + n
        placed = place(transform, row, box[0] - 0.5, box[1] - 0.5)
        if touches(placed, patch_height, patch_width, TILE):
            texels, level = open_patch(fields, row, channels, SHARED, COLORED, HAS_OPACITY)
            if COLORED:
                alpha, paint = sample(texels, placed, column, line, channels, CHANNELS)
            else:
                alpha = sample_alpha(texels, placed, column, line, channels, COLORED)
                paint = load_own_color(fields, row, channels, CHANNELS) * alpha[None, :]
            painted += (above * level)[None, :] * paint
            above = above * (1.0 - level * alpha)
            open_pixels = tl.sum((above != 0.0).to(tl.int32))
        n = next_stroke(boxes, first, n, box, WINDOW)
    store_image(image, background, canvas, background_step, channels, pixel, area, inside, painted, above)


def _options(scene: PatchScene) -> dict[str, Any]:
    channels = triton.next_power_of_2(scene.image_shape[1])
    # With more channels, what a thread holds would spill more.
    launch = {**LAUNCH, "num_warps": 4 if channels <= 4 else 8}
    return {**scene.options, "CHANNELS": channels, "TILE": TILE, "WINDOW": WINDOW, **launch}


def composite_patches(*inputs: Any) -> Tensor:
    """The operator `composite_patches_triton`, which has the schema and the output of `composite_patches`."""
    scene = make_patch_scene(*inputs)
    image = scene.tensors[0].new_empty(scene.image_shape)
    if tiles := tile_count(scene.image_shape):
        with launched_on(image):
            composite_patches_kernel[(tiles,)](*scene.tensors, image, *scene.numbers, **_options(scene))
    return image


def composite_patches_backward(*inputs: Any) -> tuple[Tensor, ...]:
    """The operator `composite_patches_triton_backward`, which has the schema and the outputs of
    `composite_patches_backward`."""
    grad, *tensors, patches_gradient, background_gradient, deterministic = inputs
    scene = make_patch_scene(*tensors)
    check_like(scene.tensors[0], "grad", grad, scene.image_shape)
    patches, _patch_id, transform, color, opacity, _background = tensors
    wanted = [patches if patches_gradient else None, transform, color, opacity]
    sums = [exact_sum.zeros(transform, (0,) if x is None else x.shape, deterministic) for x in wanted]
    d_background = transform.new_empty(scene.image_shape if background_gradient else 0)
    tiles = tile_count(scene.image_shape)
    programs = min(tiles, MAX_PROGRAMS)
    with launched_on(transform):
        if programs:
            scratch = transform.new_empty(programs, CHUNK + SEGMENTS, TILE * TILE)
            composite_patches_backward_kernel[(programs,)](
                grad.contiguous(), *scene.tensors, *sums, d_background, scratch, tiles, *scene.numbers,
                PATCHES_GRADIENT=patches_gradient, BACKGROUND_GRADIENT=background_gradient, CHUNK=CHUNK,
                SEGMENTS=SEGMENTS, **_options(scene),
            )  # fmt: skip
        return (*(exact_sum.totals(x) for x in sums), d_background)
