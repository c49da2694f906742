"""What containers of strokes have in common: a batch of B canvases with N strokes each, held in named tensors."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

if TYPE_CHECKING:
    from typing_extensions import Self

# What one axis of `strokes[batch, stroke]` accepts.
Index = int | slice | Tensor


class StrokeBatch:
    """B canvases with N strokes each, painted in order: stroke 0 first.

    A kind of strokes names its tensors in `FIELDS`; the first one begins with (B, N), and gives the dtype of the
    geometry and the device. The constructor takes them all by keyword, and checks them.
    """

    FIELDS: ClassVar[tuple[str, ...]]
    REQUIRED: ClassVar[tuple[str, ...]]

    @property
    def shared(self) -> tuple[str, ...]:
        """Fields that belong to all strokes together, and are not selected from."""
        raise NotImplementedError

    @property
    def channels(self) -> int:
        raise NotImplementedError

    def _described(self) -> str:
        """What `repr` says of this kind of strokes."""
        raise NotImplementedError

    @property
    def _geometry(self) -> Tensor:
        geometry: Tensor = getattr(self, self.FIELDS[0])
        return geometry

    @property
    def shape(self) -> tuple[int, int]:
        """(B, N): canvases in the batch, strokes on each."""
        return self._geometry.shape[0], self._geometry.shape[1]

    @property
    def batch_size(self) -> int:
        return self._geometry.shape[0]

    @property
    def num_strokes(self) -> int:
        return self._geometry.shape[1]

    @property
    def device(self) -> torch.device:
        return self._geometry.device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the geometry: float32 or float64."""
        return self._geometry.dtype

    def __repr__(self) -> str:
        (b, n), dtype = self.shape, str(self.dtype).removeprefix("torch.")
        return f"{type(self).__name__}(B={b}, N={n}, {self._described()}, dtype={dtype}, device={self.device})"

    def fields(self) -> dict[str, Tensor]:
        """The tensors that are not None, by name."""
        present = {name: getattr(self, name) for name in self.FIELDS}
        return {name: tensor for name, tensor in present.items() if tensor is not None}

    def replace(self, **changes: Tensor | None) -> Self:
        """The same strokes with some fields exchanged, e.g. `replace(color=..., opacity=...)`."""
        return type(self)(**{**self.fields(), **changes})

    def __getitem__(self, key: Index | tuple[Index, Index]) -> Self:
        """Select along (B, N): `strokes[0]`, `strokes[:, 10:20]`, `strokes[:, mask]`, `strokes[batches, order]`.

        Each axis takes an int, a slice, a 1-D integer tensor or a 1-D bool mask, independently of the other. An int
        keeps its axis: `strokes[0]` has shape (1, N). What all strokes share is shared with the result.
        """
        axes = key if isinstance(key, tuple) else (key,)
        if len(axes) > 2:
            raise IndexError(f"strokes are indexed by (batch, stroke), got {len(axes)} indices")
        selected = self.fields()
        shared = {name: selected.pop(name) for name in self.shared if name in selected}
        for axis, index in enumerate(axes):
            selected = {name: _select(tensor, axis, index) for name, tensor in selected.items()}
        return type(self)(**shared, **selected)

    def _map(self, function: Callable[[Tensor], Tensor]) -> Self:
        return type(self)(**{name: function(tensor) for name, tensor in self.fields().items()})

    def to(
        self,
        device: torch.device | str | int | torch.dtype | None = None,
        dtype: torch.dtype | None = None,
        *,
        non_blocking: bool = False,
    ) -> Self:
        """Move to a device, or cast every floating field to float32 or float64, or both; `to(dtype)` works too."""
        if isinstance(device, torch.dtype):
            device, dtype = None, device
        return self._map(lambda x: x.to(device, dtype if x.is_floating_point() else None, non_blocking=non_blocking))

    def cpu(self) -> Self:
        return self.to("cpu")

    def cuda(self) -> Self:
        return self.to("cuda")

    def float(self) -> Self:
        return self.to(torch.float32)

    def double(self) -> Self:
        return self.to(torch.float64)

    def detach(self) -> Self:
        return self._map(Tensor.detach)

    def clone(self) -> Self:
        return self._map(Tensor.clone)

    def contiguous(self) -> Self:
        return self._map(Tensor.contiguous)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set `requires_grad` of every floating field in place and return self."""
        for tensor in self.fields().values():
            if tensor.is_floating_point():
                tensor.requires_grad_(requires_grad)
        return self

    def scaled(self, factor: builtins.float) -> Self:
        """The same painting on a canvas `factor` times as large."""
        if not factor > 0:
            raise ValueError(f"factor must be > 0, got {factor}")
        return self._scaled(factor)

    def _scaled(self, factor: builtins.float) -> Self:
        raise NotImplementedError


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


def check_joinable(batches: Sequence[StrokeBatch], dim: int) -> None:
    """Raise ValueError unless `cat` can join these along `dim`, as far as all kinds of strokes ask it."""
    if not batches:
        raise ValueError("cat needs at least one batch of strokes")
    if dim not in (0, 1):
        raise ValueError(f"dim must be 0 (batch) or 1 (strokes), got {dim}")
    require_same("channels", [batch.channels for batch in batches])
    require_same("dtype", [batch.dtype for batch in batches], "; call to() first")
    require_same("device", [batch.device for batch in batches], "; call to() first")
    require_same("batch size" if dim else "number of strokes", [batch.shape[1 - dim] for batch in batches])


def require_same(what: str, values: list[Any], hint: str = "") -> None:
    if any(value != values[0] for value in values):
        raise ValueError(f"cat needs strokes with the same {what}, got {', '.join(map(str, values))}{hint}")


def one_dtype(tensors: list[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """The tensors as they are where their dtypes agree, else in `dtype`, which holds them all exactly."""
    return tensors if len({tensor.dtype for tensor in tensors}) == 1 else [tensor.to(dtype) for tensor in tensors]


def distinct(banks: Sequence[Tensor | None]) -> list[Tensor]:
    """Each tensor object once, in the order of their first mention."""
    found: list[Tensor] = []
    for bank in banks:
        if bank is not None and not any(bank is other for other in found):
            found.append(bank)
    return found


def ids_in(banks: list[Tensor], bank: Tensor, ids: Tensor) -> Tensor:
    """Indices into `bank`, one of `banks`, counted in the concatenation of them all."""
    offset = 0
    for other in banks:
        if other is bank:
            break
        offset += other.shape[0]
    moved = torch.where(ids >= 0, ids + offset, ids)
    # An id beyond its own bank must stay invalid instead of reaching into the next one.
    return torch.where(ids >= bank.shape[0], -2, moved)
