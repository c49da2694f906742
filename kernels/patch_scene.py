"""The tensors of `composite_patches` on their way to the Triton kernels: guarded, contiguous, with boxes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from neural_paint.stroke_rules import MAX_CHANNELS

from .patch import patch_bounds_kernel
from .scene import LAUNCH, check_like, launched_on

# Patches of one program that makes boxes.
_BLOCK = 64
# Longest side of a patch, in texels: a float32 counts no further.
_MAX_SIDE = 1 << 24


class PatchScene(NamedTuple):
    tensors: tuple[Tensor, ...]  # patches .. background as in the schema, boxes; none is missing
    numbers: tuple[int, ...]  # N, C, H, W, elements between two backgrounds, height and width of a patch
    options: dict[str, bool]  # compile-time values that both passes share
    image_shape: tuple[int, int, int, int]  # (B, C, H, W)


def make_patch_scene(
    patches: Tensor,
    patch_id: Tensor | None,
    transform: Tensor,
    color: Tensor | None,
    opacity: Tensor | None,
    background: Tensor,
) -> PatchScene:
    """Check the tensors of the schema, make them contiguous, and make the boxes of the patches."""
    tensors = (patches, patch_id, transform, color, opacity, background)
    _check(*tensors)
    (b, n), (shared, c, h, w) = transform.shape[:2], background.shape
    options = {"SHARED": patch_id is not None, "COLORED": color is None, "HAS_OPACITY": opacity is not None}
    # A kernel's argument is a tensor: one that is not there is not read.
    filled = [(transform if x is None else x).detach().contiguous() for x in tensors]
    boxes = transform.new_empty(b * n, 4)
    step = 0 if shared < b else c * h * w
    if b * n:
        with launched_on(transform):
            patch_bounds_kernel[(-(-b * n // _BLOCK),)](
                *filled[1:5], boxes, b * n, len(patches), c, *patches.shape[-2:], **options, BLOCK=_BLOCK, **LAUNCH
            )
    return PatchScene((*filled, boxes), (n, c, h, w, step, *patches.shape[-2:]), options, (b, c, h, w))


def _check(
    patches: Tensor,
    patch_id: Tensor | None,
    transform: Tensor,
    color: Tensor | None,
    opacity: Tensor | None,
    background: Tensor,
) -> None:
    """Guard memory, whoever calls: dtypes, devices and shapes."""
    if transform.dtype != torch.float32:
        raise TypeError(f"transform must be float32 for backend 'triton', got {transform.dtype}")
    if transform.ndim != 4 or transform.shape[2:] != (2, 3):
        raise ValueError(f"transform must have shape (B, N, 2, 3), got {tuple(transform.shape)}")
    (b, n), shape = transform.shape[:2], tuple(background.shape)
    if len(shape) != 4 or shape[0] not in (1, b) or not 1 <= shape[1] <= MAX_CHANNELS:
        raise ValueError(f"background must have shape ({b} or 1, 1 .. {MAX_CHANNELS}, H, W), got {shape}")
    c = shape[1]
    check_like(transform, "background", background, shape)
    first = tuple(patches.shape[:1]) if patch_id is not None else (b, n)
    size = tuple(patches.shape[-2:])
    check_like(transform, "patches", patches, (*first, 1 if color is not None else c + 1, *size))
    # Texels of a plane are counted in 32 bits.
    if not all(1 <= side <= _MAX_SIDE for side in size) or size[0] * size[1] > torch.iinfo(torch.int32).max:
        raise ValueError(f"a patch must have 1 .. 2^24 rows and columns and less than 2^31 texels, got {size}")
    if color is not None:
        check_like(transform, "color", color, (b, n, c))
    if opacity is not None:
        check_like(transform, "opacity", opacity, (b, n))
    if patch_id is not None:
        check_like(transform, "patch_id", patch_id, (b, n), dtype=torch.int64)
