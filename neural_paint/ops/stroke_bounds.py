"""Boxes outside which strokes leave no paint: what a renderer bins and culls by."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from neural_paint import backends


def stroke_bounds(points: Tensor, radius: Tensor, feather: Tensor, *, backend: str | None = None) -> Tensor:
    """Box of each stroke in pixels, outside which its coverage is 0 (to rounding of its coordinates).

    The box holds the control points, whose hull holds the curve, and the reach max(r0, r1) + feather / 2 around them.
    It is for culling and is not differentiable: a backward pass through it raises RuntimeError.

    Args:
        points: (B, N, D, 2) control points in pixels, float32 or float64.
        radius: (B, N, 2) half width in pixels at both ends, of the dtype of `points`.
        feather: (B, N) width of the soft edge in pixels, of the dtype of `points`.
        backend: "cpp", "reference", or None for the best that can run on the device.

    Returns:
        (B, N, 4) boxes (x0, y0, x1, y1) of the dtype of `points`; (inf, inf, -inf, -inf), the empty box, for a stroke
        that covers nothing: one with a non-finite value, feather <= 0, or a reach <= 0.

    Raises:
        ValueError: for a wrong shape or device, or a backend that cannot run here.
        TypeError: for a wrong dtype.
    """
    _check(points, radius, feather)
    if backends.pick(backend, points.device, "stroke_bounds") == "cpp":
        return torch.ops.neural_paint.stroke_bounds(points, radius, feather)
    with torch.no_grad():
        return _reference(points, radius, feather)


def _check(points: Tensor, radius: Tensor, feather: Tensor) -> None:
    if points.ndim != 4 or points.shape[-1] != 2:
        raise ValueError(f"points must have shape (B, N, D, 2), got {tuple(points.shape)}")
    if points.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"points must be float32 or float64, got {points.dtype}")
    batch, strokes = points.shape[:2]
    for name, tensor, shape in (("radius", radius, (batch, strokes, 2)), ("feather", feather, (batch, strokes))):
        if tensor.shape != shape:
            raise ValueError(f"{name} must have shape {tuple(shape)}, got {tuple(tensor.shape)}")
        if tensor.dtype != points.dtype:
            raise TypeError(f"{name} must have the dtype of points, {points.dtype}, got {tensor.dtype}")
        if tensor.device != points.device:
            raise ValueError(f"{name} must be on the device of points, {points.device}, got {tensor.device}")


def _reference(points: Tensor, radius: Tensor, feather: Tensor) -> Tensor:
    reach = radius.amax(-1) + feather / 2
    finite = points.isfinite().all(-1).all(-1) & radius.isfinite().all(-1) & feather.isfinite()
    covers = finite & (feather > 0) & (reach > 0)
    low = torch.where(covers[..., None], points.amin(-2) - reach[..., None], torch.inf)
    high = torch.where(covers[..., None], points.amax(-2) + reach[..., None], -torch.inf)
    return torch.cat([low, high], -1)


@torch.library.register_fake("neural_paint::stroke_bounds")
def _(points: Tensor, radius: Tensor, feather: Tensor) -> Tensor:
    return points.new_empty((*points.shape[:2], 4))


def _raise_not_differentiable(ctx: Any, grad: Tensor) -> None:
    raise RuntimeError("stroke_bounds must not be differentiated: boxes are for culling; detach them")


torch.library.register_autograd("neural_paint::stroke_bounds", _raise_not_differentiable)
