"""What each field of `Strokes` may hold: dtypes, devices and shapes (always checked), values (checked on request).

Those of `Stamps` are in stamp_rules.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from neural_paint.strokes import Strokes

MAX_CONTROL_POINTS = 4
MAX_CHANNELS = 16

_GEOMETRY_DTYPES = (torch.float32, torch.float64)
_HALF_DTYPES = (torch.float16, torch.bfloat16)
_ID_DTYPES = (torch.int32, torch.int64)

# A rule in words, and where it holds.
ValueRule = tuple[str, Callable[[Tensor], Tensor]]

# What several fields have to be.
FINITE: ValueRule = ("finite", torch.isfinite)
UNIT: ValueRule = ("in [0, 1]", lambda x: (x >= 0) & (x <= 1))

# By field; texture_id is checked against the size of its bank.
_VALUE_RULES: dict[str, ValueRule] = {
    "points": FINITE,
    "radius": ("finite and >= 0", lambda x: torch.isfinite(x) & (x >= 0)),
    "color": FINITE,
    "opacity": UNIT,
    "feather": ("finite and > 0", lambda x: torch.isfinite(x) & (x > 0)),
    "texture": FINITE,
}


def check_points(points: Tensor) -> None:
    """Raise TypeError or ValueError unless `points` is a (B, N, D, 2) tensor of a geometry dtype."""
    _check_kind("points", points, _GEOMETRY_DTYPES)
    if points.ndim != 4 or not 1 <= points.shape[2] <= MAX_CONTROL_POINTS or points.shape[3] != 2:
        raise shape_error("points", f"(B, N, D, 2) with D in 1 .. {MAX_CONTROL_POINTS}", points)


def check_layout(strokes: Strokes) -> None:
    """Raise TypeError or ValueError unless all fields agree with `points` in dtype, device and shape."""
    points, radius, color, opacity = strokes.points, strokes.radius, strokes.color, strokes.opacity
    dtype, device = points.dtype, points.device
    dtypes = (dtype, *_HALF_DTYPES)
    _check_tensor("radius", radius, (dtype,), device)
    _check_tensor("color", color, dtypes, device)
    _check_tensor("opacity", opacity, dtypes, device)
    _check_tensor("feather", strokes.feather, (dtype,), device)

    b, n, _, _ = points.shape
    if radius.shape != (b, n, 2):
        raise shape_error("radius", f"({b}, {n}, 2)", radius)
    ends = color.shape[:-1]
    if (ends != (b, n) and ends != (b, n, 2)) or not 1 <= color.shape[-1] <= MAX_CHANNELS:
        raise shape_error("color", f"({b}, {n}, C) or ({b}, {n}, 2, C) with C in 1 .. {MAX_CHANNELS}", color)
    if opacity.shape != (b, n) and opacity.shape != (b, n, 2):
        raise shape_error("opacity", f"({b}, {n}) or ({b}, {n}, 2)", opacity)
    if strokes.feather.shape != (b, n):
        raise shape_error("feather", f"({b}, {n})", strokes.feather)
    _check_textures(strokes.texture, strokes.texture_id, points, dtypes)


def _check_textures(
    texture: Tensor | None, texture_id: Tensor | None, points: Tensor, dtypes: Sequence[torch.dtype]
) -> None:
    if (texture is None) != (texture_id is None):
        raise ValueError("texture and texture_id must be given together")
    if texture is not None:
        _check_tensor("texture", texture, dtypes, points.device)
        if texture.ndim != 3 or texture.numel() == 0:
            raise shape_error("texture", "(K, h, w) with K, h, w >= 1", texture)
    if texture_id is not None:
        b, n, _, _ = points.shape
        _check_tensor("texture_id", texture_id, _ID_DTYPES, points.device)
        if texture_id.shape != (b, n):
            raise shape_error("texture_id", f"({b}, {n})", texture_id)


def check_stroke_values(fields: Mapping[str, Tensor]) -> None:
    """Raise ValueError for the first value of `Strokes` that breaks its field's rule."""
    rules = dict(_VALUE_RULES)
    if "texture" in fields:
        last = fields["texture"].shape[0] - 1
        rules["texture_id"] = (f"in [-1, {last}]", lambda x: (x >= -1) & (x <= last))
    check_values(fields, rules)


def check_values(fields: Mapping[str, Tensor], rules: Mapping[str, ValueRule]) -> None:
    """Raise ValueError for the first value that breaks its field's rule; all fields are read in one synchronisation."""
    checked = {name: tensor.detach() for name, tensor in fields.items() if tensor.numel() > 0}
    if not checked:
        return
    offenders = torch.stack([_first_offender(tensor, rules[name][1]) for name, tensor in checked.items()])
    for (name, tensor), (found, position, value) in zip(checked.items(), offenders.tolist(), strict=True):
        if found:
            where = _describe_position(name, int(position), tensor.shape)
            raise ValueError(f"{name} must be {rules[name][0]}, got {_format(value, tensor.dtype)} at {where}")


def _check_kind(name: str, tensor: Any, dtypes: Sequence[torch.dtype]) -> None:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(tensor).__name__}")
    if tensor.dtype not in dtypes:
        allowed = " or ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)
        raise TypeError(f"{name} must be {allowed}, got {str(tensor.dtype).removeprefix('torch.')}")


def _check_tensor(name: str, tensor: Any, dtypes: Sequence[torch.dtype], device: torch.device) -> None:
    _check_kind(name, tensor, dtypes)
    if tensor.device != device:
        raise ValueError(f"{name} must be on the device of points, {device}, got {tensor.device}")


def shape_error(name: str, rule: str, tensor: Tensor) -> ValueError:
    return ValueError(f"{name} must have shape {rule}, got {tuple(tensor.shape)}")


def _first_offender(tensor: Tensor, rule: Callable[[Tensor], Tensor]) -> Tensor:
    """(found, flat position, value) of the first element that breaks the rule, as float64 on the tensor's device."""
    flat, bad = tensor.reshape(-1), ~rule(tensor).reshape(-1)
    position = bad.to(torch.uint8).argmax()
    return torch.stack([bad.any().double(), position.double(), flat[position].double()])


def _describe_position(name: str, position: int, shape: Sequence[int]) -> str:
    index: list[int] = []
    for size in reversed(shape):
        position, last = divmod(position, size)
        index.insert(0, last)
    return f"texel {tuple(index)}" if name in ("texture", "patches") else f"stroke {tuple(index[:2])}"


def _format(value: float, dtype: torch.dtype) -> str:
    """The fewest digits that name the value in its own dtype: 1.7, not 1.70000005."""
    if not dtype.is_floating_point:
        return str(int(value))
    digits = (f"{value:.{precision}g}" for precision in range(1, 18))
    return next((text for text in digits if torch.tensor(float(text), dtype=dtype).item() == value), str(value))
