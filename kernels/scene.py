"""The tensors of `paint` on their way to the Triton kernels: guarded, contiguous, with boxes and chords."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from neural_paint.stroke_rules import MAX_CHANNELS, MAX_CONTROL_POINTS

from .bins import paint_bounds_kernel
from .stroke import CHORD_VALUES

# Strokes of one program that makes boxes and chords.
_BLOCK = 64

# Passed to every launch. No multiply-add is fused: what two kernels evaluate alike must be equal to the bit. No loop is
# pipelined: the backward pass reads what it wrote.
LAUNCH: dict[str, Any] = {"num_warps": 4, "num_stages": 1, "enable_fp_fusion": False}


class Scene(NamedTuple):
    tensors: tuple[Tensor, ...]  # points .. background as in the schema, boxes, chords; none is missing
    numbers: tuple[float, ...]  # closing, N, C, H, W, elements between two backgrounds, height and width of a texture
    options: dict[str, Any]  # compile-time values that both passes share

    @property
    def background(self) -> Tensor:
        return self.tensors[7]

    @property
    def strokes(self) -> int:
        return self.tensors[0].shape[1]

    @property
    def image_shape(self) -> tuple[int, int, int, int]:
        """(B, C, H, W)"""
        _, c, h, w = self.background.shape
        return self.tensors[0].shape[0], c, h, w


def launched_on(tensor: Tensor) -> AbstractContextManager[Any]:
    """Kernels are launched on the current device."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()


def make_scene(tensors: Sequence[Any], t_min: float) -> Scene:
    """Check the tensors of the schema, make them contiguous, and make boxes and chords of the strokes."""
    _check(*tensors)
    present: list[Any] = [None if x is None else x.detach().contiguous() for x in tensors]
    points, _radius, color, opacity, _feather, texture, _texture_id, background = present
    (b, n, d, _), (shared, c, h, w) = points.shape, background.shape
    curved = d >= 3
    options = {
        "D": d,
        # A line's chord is exact; the others' Newton steps are those of csrc/nearest.h.
        "CHORDS": 8 if curved else 1,
        "STEPS": d - 1 if curved else 0,
        "COLOR_ENDS": color.shape[2] if color.ndim == 4 else 1,
        "OPACITY_ENDS": opacity.shape[2] if opacity.ndim == 3 else 1,
        "TEXTURED": texture is not None,
    }
    boxes = points.new_empty(b * n, 4)
    chords = points.new_empty(b * n, options["CHORDS"], CHORD_VALUES.value)
    textures, *texels = (0, 1, 1) if texture is None else texture.shape
    closing = float(np.nextafter(np.float32(t_min), np.float32(0))) if t_min > 0 else 0.0
    # A kernel's argument is a tensor: one that is not there is not read.
    filled = [points if x is None else x for x in present]
    step = 0 if shared < b else c * h * w
    scene = Scene((*filled, boxes, chords), (closing, n, c, h, w, step, *texels), options)
    if b * n:
        _make_bounds(scene, textures)
    return scene


def _make_bounds(scene: Scene, textures: int) -> None:
    points, radius, color, opacity, feather, _texture, texture_id, background, boxes, chords = scene.tensors
    color_values = scene.options["COLOR_ENDS"] * background.shape[1]
    options = {name: scene.options[name] for name in ("D", "OPACITY_ENDS", "TEXTURED", "CHORDS")}
    with launched_on(background):
        paint_bounds_kernel[(-(-len(boxes) // _BLOCK),)](
            points, radius, color, opacity, feather, texture_id, boxes, chords, len(boxes), color_values, textures,
            **options, BLOCK=_BLOCK, **LAUNCH,
        )  # fmt: skip


def _check(
    points: Tensor,
    radius: Tensor,
    color: Tensor,
    opacity: Tensor,
    feather: Tensor,
    texture: Tensor | None,
    texture_id: Tensor | None,
    background: Tensor,
) -> None:
    """Guard memory, whoever calls: dtypes, devices and shapes."""
    if points.dtype != torch.float32:
        raise TypeError(f"points must be float32 for backend 'triton', got {points.dtype}")
    if points.ndim != 4 or not 1 <= points.shape[2] <= MAX_CONTROL_POINTS or points.shape[3] != 2:
        raise ValueError(f"points must have shape (B, N, 1 .. {MAX_CONTROL_POINTS}, 2), got {tuple(points.shape)}")
    (b, n), shape = points.shape[:2], tuple(background.shape)
    if len(shape) != 4 or shape[0] not in (1, b) or not 1 <= shape[1] <= MAX_CHANNELS:
        raise ValueError(f"background must have shape ({b} or 1, 1 .. {MAX_CHANNELS}, H, W), got {shape}")
    c = shape[1]
    check_like(points, "radius", radius, (b, n, 2))
    check_like(points, "color", color, (b, n, c), (b, n, 1, c), (b, n, 2, c))
    check_like(points, "opacity", opacity, (b, n), (b, n, 1), (b, n, 2))
    check_like(points, "feather", feather, (b, n))
    check_like(points, "background", background, shape)
    if (texture is None) != (texture_id is None):
        raise ValueError("texture_id must come with texture, got one without the other")
    if texture is not None and texture_id is not None:
        if texture.ndim != 3 or 0 in texture.shape[1:]:
            raise ValueError(f"texture must have shape (K, h, w), got {tuple(texture.shape)}")
        check_like(points, "texture", texture, tuple(texture.shape))
        check_like(points, "texture_id", texture_id, (b, n), dtype=torch.int64)


def check_like(
    like: Tensor, name: str, tensor: Tensor, *shapes: tuple[int, ...], dtype: torch.dtype = torch.float32
) -> None:
    """Guard the shape, dtype and device of what belongs to `like`."""
    if tuple(tensor.shape) not in shapes:
        raise ValueError(f"{name} must have shape {' or '.join(map(str, shapes))}, got {tuple(tensor.shape)}")
    if tensor.dtype != dtype:
        raise TypeError(f"{name} must be {dtype}, got {tensor.dtype}")
    if tensor.device != like.device:
        raise ValueError(f"{name} must be on {like.device} as the rest, got {tensor.device}")
