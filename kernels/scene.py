"""The tensors of `paint` on their way to the Triton kernels: guarded, contiguous, with boxes and chords."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from neural_paint.kernels.bins import paint_bounds_kernel
from neural_paint.kernels.stroke import CHORD_VALUES

MAX_CONTROL_POINTS = 4
MAX_CHANNELS = 16

# Strokes of one program that makes boxes and chords.
_BLOCK = 64

# Passed to every launch. No multiply-add is fused: what two kernels evaluate alike must be equal to the bit.
LAUNCH: dict[str, Any] = {"num_warps": 4, "enable_fp_fusion": False}


class Scene(NamedTuple):
    tensors: tuple[Tensor, ...]  # points .. background as in the schema, boxes, chords; none is missing
    numbers: tuple[float, ...]  # closing, N, C, H, W, elements between two backgrounds, height and width of a texture
    options: dict[str, Any]  # compile-time values that both passes share
    batch: int

    @property
    def background(self) -> Tensor:
        return self.tensors[7]

    @property
    def strokes(self) -> int:
        return int(self.numbers[1])

    @property
    def channels(self) -> int:
        return int(self.numbers[2])

    @property
    def height(self) -> int:
        return int(self.numbers[3])

    @property
    def width(self) -> int:
        return int(self.numbers[4])

    def device(self) -> AbstractContextManager[Any]:
        """Kernels are launched on the current device."""
        return torch.cuda.device(self.background.device) if self.background.is_cuda else nullcontext()


def make_scene(tensors: Sequence[Tensor | None], t_min: float) -> Scene:
    _check(*tensors)
    present = [None if x is None else x.detach().contiguous() for x in tensors]
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
    # A kernel's argument is a tensor: one that is not there is not read.
    *fields, background = (points if x is None else x for x in present)
    closing = float(np.nextafter(np.float32(t_min), np.float32(0))) if t_min > 0 else 0.0
    step = 0 if shared < b else c * h * w
    scene = Scene((*fields, background, boxes, chords), (closing, n, c, h, w, step, *texels), options, b)
    if b * n:
        shared_options = {name: options[name] for name in ("D", "OPACITY_ENDS", "TEXTURED", "CHORDS")}
        points, radius, color, opacity, feather, _texture, texture_id = fields
        with scene.device():
            paint_bounds_kernel[(-(-b * n // _BLOCK),)](
                points, radius, color, opacity, feather, texture_id, boxes, chords, b * n,
                options["COLOR_ENDS"] * c, textures, **shared_options, BLOCK=_BLOCK, **LAUNCH,
            )  # fmt: skip
    return scene


def _check(*tensors: Tensor | None) -> None:
    """Guard memory, whoever calls: shapes, dtypes and devices."""
    points, radius, color, opacity, feather, texture, texture_id, background = tensors
    if points.dtype != torch.float32:
        raise TypeError(f"points must be float32 for backend 'triton', got {points.dtype}")
    if points.ndim != 4 or not 1 <= points.shape[2] <= MAX_CONTROL_POINTS or points.shape[3] != 2:
        raise ValueError(f"points must have shape (B, N, 1 .. {MAX_CONTROL_POINTS}, 2), got {tuple(points.shape)}")
    b, n = points.shape[:2]
    if background.ndim != 4 or background.shape[0] not in (1, b) or not 1 <= background.shape[1] <= MAX_CHANNELS:
        rule = f"({b} or 1, 1 .. {MAX_CHANNELS}, H, W)"
        raise ValueError(f"background must have shape {rule}, got {tuple(background.shape)}")
    c = background.shape[1]
    shapes = {
        "radius": (radius, [(b, n, 2)]),
        "color": (color, [(b, n, c), (b, n, 1, c), (b, n, 2, c)]),
        "opacity": (opacity, [(b, n), (b, n, 1), (b, n, 2)]),
        "feather": (feather, [(b, n)]),
        "background": (background, [tuple(background.shape)]),
    }
    if (texture is None) != (texture_id is None):
        raise ValueError("texture_id must come with texture, got one without the other")
    if texture is not None:
        if texture.ndim != 3 or 0 in texture.shape[1:]:
            raise ValueError(f"texture must have shape (K, h, w), got {tuple(texture.shape)}")
        shapes["texture"] = (texture, [tuple(texture.shape)])
        shapes["texture_id"] = (texture_id, [(b, n)])
    for name, (tensor, allowed) in shapes.items():
        dtype = torch.int64 if name == "texture_id" else torch.float32
        if tuple(tensor.shape) not in allowed:
            raise ValueError(f"{name} must have shape {' or '.join(map(str, allowed))}, got {tuple(tensor.shape)}")
        if tensor.dtype != dtype:
            raise TypeError(f"{name} must be {dtype}, got {tensor.dtype}")
        if tensor.device != points.device:
            raise ValueError(f"{name} must be on the device of points, {points.device}, got {tensor.device}")
