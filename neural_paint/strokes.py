"""The container of Bezier brush strokes: fields, shapes, units and ranges."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from neural_paint.stroke_rules import MAX_CONTROL_POINTS, check_layout, check_points, check_values

# What one axis of `strokes[batch, stroke]` accepts.
Index = int | slice | Tensor


class Strokes:
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
    def shape(self) -> tuple[int, int]:
        """(B, N): canvases in the batch, strokes on each."""
        return self.points.shape[0], self.points.shape[1]

    @property
    def batch_size(self) -> int:
        return self.points.shape[0]

    @property
    def num_strokes(self) -> int:
        return self.points.shape[1]

    @property
    def channels(self) -> int:
        return self.color.shape[-1]

    @property
    def device(self) -> torch.device:
        return self.points.device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the geometry: float32 or float64."""
        return self.points.dtype

    def __repr__(self) -> str:
        b, n = self.shape
        d, dtype = self.points.shape[2], str(self.dtype).removeprefix("torch.")
        texture = "" if self.texture is None else f", textures={self.texture.shape[0]}"
        return f"Strokes(B={b}, N={n}, D={d}, C={self.channels}{texture}, dtype={dtype}, device={self.device})"

    def fields(self) -> dict[str, Tensor]:
        """The tensors that are not None, by name."""
        present = {name: getattr(self, name) for name in self.FIELDS}
        return {name: tensor for name, tensor in present.items() if tensor is not None}

    def replace(self, **changes: Tensor | None) -> Strokes:
        """The same strokes with some fields exchanged, e.g. `replace(color=..., texture=None, texture_id=None)`."""
        return Strokes(**{**self.fields(), **changes})  # type: ignore[arg-type]

    def __getitem__(self, key: Index | tuple[Index, Index]) -> Strokes:
        """Select along (B, N): `strokes[0]`, `strokes[:, 10:20]`, `strokes[:, mask]`, `strokes[batches, order]`.

        Each axis takes an int, a slice, a 1-D integer tensor or a 1-D bool mask, independently of the other. An int
        keeps its axis: `strokes[0]` has shape (1, N). The texture bank is shared with the result.
        """
        axes = key if isinstance(key, tuple) else (key,)
        if len(axes) > 2:
            raise IndexError(f"strokes are indexed by (batch, stroke), got {len(axes)} indices")
        selected = self.fields()
        texture = selected.pop("texture", None)
        for axis, index in enumerate(axes):
            selected = {name: _select(tensor, axis, index) for name, tensor in selected.items()}
        return Strokes(texture=texture, **selected)

    def _map(self, function: Callable[[Tensor], Tensor]) -> Strokes:
        return Strokes(**{name: function(tensor) for name, tensor in self.fields().items()})

    def to(
        self,
        device: torch.device | str | int | torch.dtype | None = None,
        dtype: torch.dtype | None = None,
        *,
        non_blocking: bool = False,
    ) -> Strokes:
        """Move to a device, or cast every floating field to float32 or float64, or both; `to(dtype)` works too."""
        if isinstance(device, torch.dtype):
            device, dtype = None, device
        return self._map(lambda x: x.to(device, dtype if x.is_floating_point() else None, non_blocking=non_blocking))

    def cpu(self) -> Strokes:
        return self.to("cpu")

    def cuda(self) -> Strokes:
        return self.to("cuda")

    def float(self) -> Strokes:
        return self.to(torch.float32)

    def double(self) -> Strokes:
        return self.to(torch.float64)

    def detach(self) -> Strokes:
        return self._map(Tensor.detach)

    def clone(self) -> Strokes:
        return self._map(Tensor.clone)

    def contiguous(self) -> Strokes:
        return self._map(Tensor.contiguous)

    def requires_grad_(self, requires_grad: bool = True) -> Strokes:
        """Set `requires_grad` of every floating field in place and return self."""
        for tensor in self.fields().values():
            if tensor.is_floating_point():
                tensor.requires_grad_(requires_grad)
        return self

    def scaled(self, factor: builtins.float) -> Strokes:
        """The same painting on a canvas `factor` times as large: points, radius and feather are multiplied."""
        if not factor > 0:
            raise ValueError(f"factor must be > 0, got {factor}")
        return self.replace(points=self.points * factor, radius=self.radius * factor, feather=self.feather * factor)

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
        check_values(self.fields())
        return self


def _select(tensor: Tensor, axis: int, index: Index) -> Tensor:
    if isinstance(index, Tensor):
        if index.ndim != 1:
            raise IndexError(f"an index tensor must be 1-D, got shape {tuple(index.shape)}")
    elif not isinstance(index, slice):
        index, length = operator.index(index), tensor.shape[axis]
        if not -length <= index < length:
            raise IndexError(f"index {index} is out of range for axis {axis} of size {length}")
        start = index % length
        index = slice(start, start + 1)
    return tensor[index] if axis == 0 else tensor[:, index]


def _elevate_once(points: Tensor) -> Tensor:
    count = points.shape[2]
    weight = (torch.arange(1, count, dtype=points.dtype, device=points.device) / count)[:, None]
    inner = weight * points[:, :, :-1] + (1 - weight) * points[:, :, 1:]
    return torch.cat([points[:, :, :1], inner, points[:, :, -1:]], dim=2)


def _cat(strokes: list[Strokes], dim: int) -> Strokes:
    if not strokes:
        raise ValueError("cat needs at least one Strokes")
    if dim not in (0, 1):
        raise ValueError(f"dim must be 0 (batch) or 1 (strokes), got {dim}")
    _require_same("control points", [s.points.shape[2] for s in strokes], "; call elevate() first")
    _require_same("channels", [s.channels for s in strokes])
    _require_same("dtype", [s.dtype for s in strokes], "; call to() first")
    _require_same("device", [s.device for s in strokes], "; call to() first")
    _require_same("batch size" if dim else "number of strokes", [s.shape[1 - dim] for s in strokes])

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


def _require_same(what: str, values: list[Any], hint: str = "") -> None:
    if any(value != values[0] for value in values):
        raise ValueError(f"cat needs strokes with the same {what}, got {', '.join(map(str, values))}{hint}")


def _one_dtype(tensors: list[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """The tensors as they are where their dtypes agree, else in `dtype`, which holds them all exactly."""
    return tensors if len({tensor.dtype for tensor in tensors}) == 1 else [tensor.to(dtype) for tensor in tensors]


def _cat_ends(tensors: list[Tensor], *, one_ended: int, dim: int, dtype: torch.dtype) -> Tensor:
    if any(tensor.ndim > one_ended for tensor in tensors):
        tensors = [torch.stack([x, x], dim=2) if x.ndim == one_ended else x for x in tensors]
    return torch.cat(_one_dtype(tensors, dtype), dim)


def _cat_textures(strokes: list[Strokes], dim: int) -> tuple[Tensor | None, Tensor | None]:
    banks: list[Tensor] = []
    for s in strokes:
        if s.texture is not None and not any(s.texture is bank for bank in banks):
            banks.append(s.texture)
    if not banks:
        return None, None
    _require_same("texture size", [tuple(bank.shape[1:]) for bank in banks])
    ids = torch.cat([_ids_in(s, banks) for s in strokes], dim)
    return banks[0] if len(banks) == 1 else torch.cat(_one_dtype(banks, strokes[0].dtype)), ids


def _ids_in(strokes: Strokes, banks: list[Tensor]) -> Tensor:
    """The texture ids of `strokes` counted in the concatenation of `banks`."""
    if strokes.texture is None or strokes.texture_id is None:
        return torch.full(strokes.shape, -1, dtype=torch.int32, device=strokes.device)
    offset = 0
    for bank in banks:
        if bank is strokes.texture:
            break
        offset += bank.shape[0]
    ids = strokes.texture_id
    moved = torch.where(ids >= 0, ids + offset, ids)
    # An id beyond its own bank must stay invalid instead of reaching into the next one.
    return torch.where(ids >= strokes.texture.shape[0], -2, moved)
