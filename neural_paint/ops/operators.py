"""The operators of each backend, and what all of them are registered with."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor


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


class Formulas(NamedTuple):
    """What an operator is registered with, once for all backends.

    The first of its outputs is what is differentiated, the others are saved for the backward pass.
    """

    fake: Callable[..., Any]
    fake_backward: Callable[..., Any]
    # save(ctx, inputs, saved), and backward(ctx, grad) -> a gradient for each input.
    save: Callable[[Any, Sequence[Any], Sequence[Tensor]], None]
    backward: Callable[[Any, Tensor], tuple[Tensor | None, ...]]


def register(public: str, backends: Iterable[Operators], formulas: Formulas) -> Callable[..., Tensor]:
    """Shapes, gradients and autocast of the operators of a public function, one of each for all backends.

    Gradients are entered in two ways. What is returned, `differentiable(ops, *inputs)`, is for plain calls;
    `register_autograd` is for those that reach the operator itself, as compiled code does. There the dispatcher enters
    Python once more each way, which on small canvases takes longer than painting. Formulas find the backend's operators
    in `ctx.ops`.
    """

    class Differentiable(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, ops: Operators, *inputs: Any) -> Tensor:
            image, *saved = _as_tuple(call(ops.forward, *inputs, recorded=False))
            ctx.ops = ops
            formulas.save(ctx, inputs, saved)
            return image

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
            return (None, *formulas.backward(ctx, grad))

    for ops in backends:
        _register(public, ops, formulas)
    return Differentiable.apply


def _register(public: str, ops: Operators, formulas: Formulas) -> None:
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        _image, *saved = _as_tuple(output)
        ctx.ops = ops
        formulas.save(ctx, inputs, saved)
        ctx.mark_non_differentiable(*saved)

    def backward(ctx: Any, grad: Tensor, *_: Tensor | None) -> tuple[Tensor | None, ...]:
        return formulas.backward(ctx, grad)

    torch.library.register_fake(ops.forward.name(), formulas.fake)
    torch.library.register_fake(ops.backward.name(), formulas.fake_backward)
    torch.library.register_autograd(ops.forward.name(), backward, setup_context=setup_context)
    register_once_differentiable(ops.backward, public)
    for device in ("cpu", "cuda"):
        torch.library.register_autocast(ops.forward.name(), device, torch.float32)


def _as_tuple(outputs: Any) -> Any:
    return (outputs,) if isinstance(outputs, Tensor) else outputs


def is_recorded(tensors: Sequence[Tensor | None]) -> bool:
    """Whether a gradient is wanted in any of them."""
    if torch.is_grad_enabled():
        for tensor in tensors:
            if tensor is not None and tensor.requires_grad:
                return True
    return False


def as_dtype(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor if tensor.dtype == dtype else tensor.to(dtype)


def register_once_differentiable(op: Any, public: str) -> None:
    """For a backward operator: differentiating it raises an error that names the reference."""

    def refuse(ctx: Any, *grads: Any) -> None:
        raise NotImplementedError(
            f"{public} has no second derivative in its fused backends; "
            f"use backend='reference' (neural_paint.reference.{public})"
        )

    torch.library.register_autograd(op.name(), refuse)
