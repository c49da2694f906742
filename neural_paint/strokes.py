"""The container of Bezier brush strokes: fields, shapes, units and ranges."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from neural_paint.stroke_batch import StrokeBatch, check_joinable, distinct, ids_in, one_dtype, require_same
from neural_paint.stroke_rules import MAX_CONTROL_POINTS, check_layout, check_points, check_stroke_values

# The feather of a stroke that is not painted: `paint` culls it, and its gradients are 0.
_LEFT_OUT = -1.0


class Strokes(StrokeBatch):
    """A batch of B canvases with N strokes each, painted in order: stroke 0 first.

    Args:
        points: (B, N, D, 2) control points (x, y) in pixels; D = 1 dab, 2 line, 3 quadratic, 4 cubic.
        radius: (B, N, 2) half width in pixels at the start and the end, linear between.
        color: (B, N, C), or (B, N, 2, C) with one colour at each end; C in 1 .. 16.
        opacity: (B, N), or (B, N, 2) with one opacity at each end, in [0, 1].
        feather: (B, N) width of the soft edge in pixels, > 0; ones by default.
        texture: (K, h, w) bank of brush textures that multiply alpha, shared by all strokes.
        texture_id: (B, N) int32 or int64 index into the bank, -1 for none; given exactly when `texture` is.

    `points`, `radius` and `feather` are all float32 or all float64. `color`, `opacity` and `texture` have that dtype,
    or float16 or bfloat16. The tensors are kept as given, with their autograd graph, and nothing here synchronises:
    values are checked by `validate()` alone.

    Raises:
        TypeError: a field is not a tensor or has an unsupported dtype.
        ValueError: a field has the wrong shape or is on another device than `points`.
    """

    FIELDS = ("points", "radius", "color", "opacity", "feather", "texture", "texture_id")
    REQUIRED = ("points", "radius", "color", "opacity", "feather")

    def __init__(
        self,
        *,
        points: Tensor,
        radius: Tensor,
        color: Tensor,
        opacity: Tensor,
        feather: Tensor | None = None,
        texture: Tensor | None = None,
        texture_id: Tensor | None = None,
    ) -> None:
        check_points(points)
        if feather is None:
            feather = points.new_ones(points.shape[:2])
        self.points = points
        self.radius = radius
        self.color = color
        self.opacity = opacity
        self.feather = feather
        self.texture = texture
        self.texture_id = texture_id
        check_layout(self)

    @property
    def shared(self) -> tuple[str, ...]:
        return ("texture",)

    @property
    def channels(self) -> int:
        return self.color.shape[-1]

    def _described(self) -> str:
        texture = "" if self.texture is None else f", textures={self.texture.shape[0]}"
        return f"D={self.points.shape[2]}, C={self.channels}{texture}"

    def _scaled(self, factor: builtins.float) -> Strokes:
        return self.replace(points=self.points * factor, radius=self.radius * factor, feather=self.feather * factor)

    def stretched(self, x: builtins.float, y: builtins.float) -> Strokes:
        """The same painting on a canvas `x` times as wide and `y` times as high: centre lines are stretched to fit, the
        widths of strokes grow as the root of the canvas's area."""
        broader = math.sqrt(x * y)
        return self.replace(
            points=self.points * self.points.new_tensor([x, y]),
            radius=self.radius * broader,
            feather=self.feather * broader,
        )

    def shifted(self, x: builtins.float, y: builtins.float) -> Strokes:
        """The same strokes farther to the right and down, in pixels."""
        return self.replace(points=self.points + self.points.new_tensor([x, y]))

    def masked(self, mask: Tensor) -> Strokes:
        """The same strokes, of which `paint` leaves out all but those in `mask`, (B, N) or (N,); no shape changes."""
        return self.replace(feather=torch.where(mask, self.feather, _LEFT_OUT))

    def elevate(self, control_points: int) -> Strokes:
        """The same curves with more control points (Bezier degree elevation), so that different kinds can be joined.

        Textured dabs are refused: their texture is laid over the disc, which no curve does.
        """
        count = self.points.shape[2]
        if not count <= control_points <= MAX_CONTROL_POINTS:
            raise ValueError(f"control_points must be in {count} .. {MAX_CONTROL_POINTS}, got {control_points}")
        if count == 1 < control_points and self.texture is not None:
            raise ValueError("textured dabs (D = 1) cannot be elevated: no curve carries its texture the same way")
        points = self.points
        for _ in range(control_points - count):
            points = _elevate_once(points)
        return self.replace(points=points)

    def bounds(self) -> Tensor:
        """Boxes that contain everything the strokes paint; see `neural_paint.ops.stroke_bounds`."""
        from neural_paint.ops.stroke_bounds import stroke_bounds

        return stroke_bounds(self.points, self.radius, self.feather)

    @staticmethod
    def cat(strokes: Sequence[Strokes], dim: int = 1) -> Strokes:
        """Join along the strokes (dim=1, later ones are painted over earlier ones) or along the batch (dim=0).

        One-ended colours and opacities are promoted where another is two-ended. Distinct texture banks (not the same
        tensor object) are joined and their ids offset.

        Raises:
            ValueError: nothing to join, or the control points, channels, dtypes, devices or texture sizes differ.
        """
        return _cat(list(strokes), dim)

    def validate(self) -> Strokes:
        """Check the values of every field, with one synchronisation, and return self.

        Raises:
            ValueError: naming the field, the rule, the value and the index of the first offender.
        """
        check_stroke_values(self.fields())
        return self


def _elevate_once(points: Tensor) -> Tensor:
    count = points.shape[2]
    weight = (torch.arange(1, count, dtype=points.dtype, device=points.device) / count)[:, None]
    inner = weight * points[:, :, :-1] + (1 - weight) * points[:, :, 1:]
    return torch.cat([points[:, :, :1], inner, points[:, :, -1:]], dim=2)


def _cat(strokes: list[Strokes], dim: int) -> Strokes:
    require_same("control points", [s.points.shape[2] for s in strokes], "; call elevate() first")
    check_joinable(strokes, dim)
    texture, texture_id = _cat_textures(strokes, dim)
    return Strokes(
        points=torch.cat([s.points for s in strokes], dim),
        radius=torch.cat([s.radius for s in strokes], dim),
        color=_cat_ends([s.color for s in strokes], one_ended=3, dim=dim, dtype=strokes[0].dtype),
        opacity=_cat_ends([s.opacity for s in strokes], one_ended=2, dim=dim, dtype=strokes[0].dtype),
        feather=torch.cat([s.feather for s in strokes], dim),
        texture=texture,
        texture_id=texture_id,
    )


def _cat_ends(tensors: list[Tensor], *, one_ended: int, dim: int, dtype: torch.dtype) -> Tensor:
    if any(tensor.ndim > one_ended for tensor in tensors):
        tensors = [torch.stack([x, x], dim=2) if x.ndim == one_ended else x for x in tensors]
    return torch.cat(one_dtype(tensors, dtype), dim)


def _cat_textures(strokes: list[Strokes], dim: int) -> tuple[Tensor | None, Tensor | None]:
    banks = distinct([s.texture for s in strokes])
    if not banks:
        return None, None
    require_same("texture size", [tuple(bank.shape[1:]) for bank in banks])
    ids = torch.cat([_ids_in(s, banks) for s in strokes], dim)
    return banks[0] if len(banks) == 1 else torch.cat(one_dtype(banks, strokes[0].dtype)), ids


def _ids_in(strokes: Strokes, banks: list[Tensor]) -> Tensor:
    if strokes.texture is None or strokes.texture_id is None:
        return torch.full(strokes.shape, -1, dtype=torch.int32, device=strokes.device)
    return ids_in(banks, strokes.texture, strokes.texture_id)
