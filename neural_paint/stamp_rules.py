"""What each field of `Stamps`, and each argument of `composite_patches`, may hold: dtypes, devices and shapes (always
checked), values (checked on request)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from neural_paint.stroke_rules import FINITE, MAX_CHANNELS, UNIT, ValueRule, check_values, shape_error

_COLORED: ValueRule = ("finite, and alpha in [0, 1]", lambda x: x.isfinite() & _alpha_in_unit(x))


def check_layout(
    patches: Tensor,
    transform: Tensor,
    color: Tensor | None,
    opacity: Tensor | None,
    patch_id: Tensor | None,
    background: Tensor | None = None,
) -> None:
    """Raise TypeError or ValueError unless all agree with `transform` in shape and device, and with `background`."""
    floats = {"patches": patches, "transform": transform, "background": background, "color": color, "opacity": opacity}
    for name, tensor in floats.items():
        if tensor is not None and (not isinstance(tensor, Tensor) or not tensor.is_floating_point()):
            raise TypeError(f"{name} must be a floating-point tensor, got {_kind(tensor)}")
    if transform.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"transform must be float32 or float64, got {transform.dtype}")
    if transform.ndim != 4 or transform.shape[2:] != (2, 3):
        raise shape_error("transform", "(B, N, 2, 3)", transform)
    b, n = transform.shape[:2]
    _check_colors(patches, color, (b, n), patch_id is not None, background)
    if opacity is not None and opacity.shape != (b, n):
        raise shape_error("opacity", f"({b}, {n})", opacity)
    if patch_id is not None:
        if not isinstance(patch_id, Tensor) or patch_id.dtype != torch.int64:
            raise TypeError(f"patch_id must be an int64 tensor, got {_kind(patch_id)}")
        if patch_id.shape != (b, n):
            raise shape_error("patch_id", f"({b}, {n})", patch_id)
    for name, tensor in {**floats, "patch_id": patch_id}.items():
        if tensor is not None and tensor.device != transform.device:
            raise ValueError(f"{name} must be on the device of transform, {transform.device}, got {tensor.device}")


def _kind(value: Any) -> Any:
    return value.dtype if isinstance(value, Tensor) else type(value).__name__


def _check_colors(
    patches: Tensor, color: Tensor | None, shape: tuple[int, int], shared: bool, background: Tensor | None
) -> None:
    """Patches, their colours and what they are laid on have the same channels."""
    b, n = shape
    limit = f"with C in 1 .. {MAX_CHANNELS}"
    if background is not None:
        if background.ndim != 4 or background.shape[0] not in (1, b) or not 1 <= background.shape[1] <= MAX_CHANNELS:
            raise shape_error("background", f"({b} or 1, C, H, W) {limit}", background)
        channels = background.shape[1]
    elif color is not None:
        if color.ndim != 3 or not 1 <= color.shape[2] <= MAX_CHANNELS:
            raise shape_error("color", f"({b}, {n}, C) {limit}", color)
        channels = color.shape[2]
    else:
        channels = channels_of(patches, None)
        if not 1 <= channels <= MAX_CHANNELS:
            raise shape_error("patches", f"({'K' if shared else f'{b}, {n}'}, C + 1, h, w) {limit}", patches)
    first = patches.shape[:1] if shared else shape
    planes = () if color is not None else (channels + 1,)
    if patches.shape[:-2] != (*first, *planes) or patches.ndim < 3 or 0 in patches.shape[-2:]:
        rule = ", ".join(map(str, (*(("K",) if shared else first), *planes, "h", "w")))
        with_color = "with" if color is not None else "without"
        raise shape_error("patches", f"({rule}) {with_color} color, h and w at least 1", patches)
    if color is not None and color.shape != (b, n, channels):
        raise shape_error("color", f"({b}, {n}, {channels})", color)


def channels_of(patches: Tensor, color: Tensor | None) -> int:
    """C: of the colours that patches are painted in, or have beside their alpha."""
    if color is not None:
        return color.shape[-1]
    return patches.shape[-3] - 1 if patches.ndim >= 3 else 0


def determinant(transform: Tensor) -> Tensor:
    """(B, N) of maps (B, N, 2, 3); 0 where there is no way back from the canvas to the patch."""
    (a, b, _), (c, d, _) = (row.unbind(-1) for row in transform.unbind(-2))
    return a * d - b * c


def check_stamp_values(fields: Mapping[str, Tensor]) -> None:
    """Raise ValueError for the first value of `Stamps` that breaks its field's rule."""
    rules: dict[str, ValueRule] = {
        "transform": FINITE,
        "determinant of transform": ("finite and not 0", lambda x: x.isfinite() & (x != 0)),
        "patches": UNIT if "color" in fields else _COLORED,
        "color": FINITE,
        "opacity": UNIT,
    }
    if "patch_id" in fields:
        last = fields["patches"].shape[0] - 1
        rules["patch_id"] = (f"in [0, {last}]", lambda x: (x >= 0) & (x <= last))
    check_values({**fields, "determinant of transform": determinant(fields["transform"])}, rules)


def _alpha_in_unit(patches: Tensor) -> Tensor:
    """Whether a texel's alpha, the last plane of its patch, is in range; true of its colours."""
    alpha = UNIT[1](patches[..., -1:, :, :])
    return torch.cat([torch.ones_like(patches[..., :-1, :, :], dtype=torch.bool), alpha], -3)
