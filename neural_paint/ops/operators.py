"""The operators of each backend, and what all of them are registered with."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import torch


class Operators(NamedTuple):
    """One backend's operators; those of every backend have the same schemas."""

    forward: Any
    backward: Any


def compiled(op: str) -> Operators:
    """`op` and `op`_backward of the compiled library."""
    library = torch.ops.neural_paint
    return Operators(getattr(library, op).default, getattr(library, f"{op}_backward").default)


def triton(op: str) -> Operators:
    """`op`_triton and `op`_triton_backward, which `neural_paint.kernels.<op>` runs under the names of `compiled`."""
    like = compiled(op)
    return Operators(
        _triton_operator(f"{op}_triton", like.forward, module=op),
        _triton_operator(f"{op}_triton_backward", like.backward, module=op),
    )


def _triton_operator(name: str, like: Any, *, module: str) -> Any:
    function = like.name().removeprefix("neural_paint::")

    def run(*inputs: Any) -> Any:
        # Triton is optional, and imported when it is first needed.
        return getattr(importlib.import_module(f"neural_paint.kernels.{module}"), function)(*inputs)

    schema = str(like._schema).removeprefix(like.name())
    torch.library.custom_op(f"neural_paint::{name}", run, mutates_args=(), schema=schema)
    return getattr(torch.ops.neural_paint, name).default


def call(op: Callable[..., Any], *arguments: Any, recorded: bool) -> Any:
    """Call an operator; where nothing of it is recorded, without entering its autograd."""
    if recorded or torch.compiler.is_compiling():
        return op(*arguments)
    with torch._C._AutoDispatchBelowAutograd():
        return op(*arguments)


def register_once_differentiable(op: Any, public: str) -> None:
    """For a backward operator: differentiating it raises an error that names the reference."""

    def refuse(ctx: Any, *grads: Any) -> None:
        raise NotImplementedError(
            f"{public} has no second derivative in its fused backends; "
            f"use backend='reference' (neural_paint.reference.{public})"
        )

    torch.library.register_autograd(op.name(), refuse)
