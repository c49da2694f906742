"""CUDA graphs for the CPU: what a graph does to a step, and what it forbids in one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Step = Callable[[], tuple[Tensor, ...]]


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (x for x in tree_leaves(tree) if isinstance(x, Tensor))


def _storages(tree: Any) -> set[int]:
    return {x.untyped_storage()._cdata for x in _tensors(tree)}


class Capturable(TorchDispatchMode):
    """Refuses what a capture would: reading the device, shapes that depend on values, anything from the host.

    The step's tensors are on `device`, and no other has a place in it.
    """

    def __init__(self, device: str) -> None:
        super().__init__()
        self._device = device

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for tag in (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape):
            if tag in func.tags:
                raise RuntimeError(f"{func} waits for the device")
        if func is torch.ops.aten.lift_fresh.default:
            raise RuntimeError("a tensor is made from numbers of the host")
        masks = (torch.bool, torch.uint8)
        indexing = func.overloadpacket in (torch.ops.aten.index, torch.ops.aten.index_put, torch.ops.aten.index_put_)
        if indexing and any(x.dtype in masks for x in _tensors(args[1])):
            raise RuntimeError(f"{func} by a mask waits for the device")
        outputs = func(*args, **(kwargs or {}))
        for tensor in _tensors((args, kwargs, outputs)):
            if tensor.device.type != self._device:
                raise RuntimeError(f"{func} has a tensor on {tensor.device}")
        return outputs


class _Tape(TorchDispatchMode):
    """Every operator call of a step. What it writes to is as it was before once the tape is rewound."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        self._made: set[int] = set()
        self._before: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func._schema.is_mutable:
            for tensor in _tensors((args, kwargs)):
                storage = tensor.untyped_storage()._cdata
                if storage not in self._made and storage not in self._before:
                    whole = tensor.detach().as_strided((tensor.untyped_storage().nbytes() // tensor.itemsize,), (1,), 0)
                    self._before[storage] = whole, whole.clone()
        outputs = func(*args, **kwargs)
        self._made |= _storages(outputs) - _storages((args, kwargs))
        self.calls.append((func, args, kwargs, outputs))
        return outputs

    def rewind(self) -> None:
        for whole, before in self._before.values():
            whole.copy_(before)
        for _func, args, kwargs, outputs in self.calls:
            for tensor in _tensors(outputs):
                new = tensor.untyped_storage()._cdata not in _storages((args, kwargs))
                if new and tensor.is_floating_point() and not tensor.is_inference():
                    tensor.detach().fill_(torch.nan)


class RecordedGraph:
    """What `neural_paint.tasks.step_graph` asks of a CUDA graph, on the CPU.

    A capture keeps every call to an operator with its very arguments, and does nothing itself: what it wrote to is put
    back, and what it made holds no values. A replay makes the calls again, each into the memory of its first result.
    So what came from Python in the capture stays as it was, and tensors that others have taken the place of are still
    those that are read and written.
    """

    def __init__(self) -> None:
        self.warmed = self.captured = self.replayed = 0

    def warm_up(self, step: Step) -> tuple[Tensor, ...]:
        self.warmed += 1
        return step()

    def capture(self, step: Step) -> tuple[Tensor, ...]:
        self.captured += 1
        with _Tape() as tape:
            outputs = step()
        with torch.no_grad():
            tape.rewind()
        self._calls = tape.calls
        return outputs

    def replay(self) -> None:
        self.replayed += 1
        with torch.no_grad():
            for func, args, kwargs, outputs in self._calls:
                again = func(*args, **kwargs)
                inputs = _storages((args, kwargs))
                for before, now in zip(_tensors(outputs), _tensors(again), strict=True):
                    # Views of what a call was given, and what it changed in place, are up to date.
                    if before.untyped_storage()._cdata not in inputs:
                        before.detach().copy_(now)
