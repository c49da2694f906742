"""Weights of networks that come from files: nothing is taken for granted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def checked_weights(network: nn.Module, state: Mapping[str, Any], what: str) -> dict[str, Tensor]:
    """The weights of a network from a file, contiguous, by name.

    Args:
        network: has weights of these names and shapes; its values are not looked at.
        state: what the file holds.
        what: is said to lack a weight, or to have an unknown one.

    Raises:
        ValueError: naming the first weight that is not as it must be: a dense, finite tensor on the CPU, of one dtype
            with the others.
    """
    expected = network.state_dict()
    # Counters of training steps, which checkpoints before torch 0.4.1 lack.
    counters = {name for name in expected if name.endswith(".num_batches_tracked")}
    for verb, names in (
        ("lacks", [name for name in expected if name not in state and name not in counters]),
        ("has the unknown weight", [name for name in state if name not in expected]),
    ):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ValueError(f"{what} {verb} {names[0]}{more}")
    tensors = {name: torch.zeros((), dtype=torch.long) for name in counters}
    dtype = None
    for name in [name for name in expected if name in state]:
        value = state[name]
        if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_quantized or not value.is_cpu:
            raise ValueError(f"{name} must be a dense tensor, got {_describe(value)}")
        if value.shape != expected[name].shape:
            raise ValueError(f"{name} must have shape {tuple(expected[name].shape)}, got {tuple(value.shape)}")
        if name not in counters:
            dtype = dtype or value.dtype
            _check_values(name, value, dtype)
        elif value.dtype != torch.long:
            raise ValueError(f"{name} must have dtype int64, got {_name(value.dtype)}")
        tensors[name] = value.detach().clone(memory_format=torch.contiguous_format)
    return tensors


def _describe(value: Any) -> str:
    return f"one of {value.layout} on {value.device}" if isinstance(value, Tensor) else type(value).__name__


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _check_values(name: str, value: Tensor, dtype: torch.dtype) -> None:
    if dtype not in _DTYPES:
        raise ValueError(f"{name} must have a floating dtype, got {_name(dtype)}")
    if value.dtype != dtype:
        raise ValueError(
            f"{name} must have the dtype of the weights before it, {_name(dtype)}, got {_name(value.dtype)}"
        )
    finite = value.isfinite()
    if not finite.all():
        index = tuple(int(i) for i in (~finite).nonzero()[0])
        raise ValueError(f"{name} must be finite, got {value[index].item()} at {index}")
    if name.endswith(".running_var") and (value < 0).any():
        raise ValueError(f"{name} must be >= 0, got {value.min().item()}")
