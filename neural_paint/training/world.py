"""Training by several processes, which do together what one would do: the same batches, numbers and gradients.

Each process has its slice of a global batch. Gradients are averaged, batch normalisation takes the statistics of the
global batch, and random numbers are drawn for all of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from neural_paint.painters.layers import full_precision


@dataclass(frozen=True)
class World:
    """The processes that train together: this one is `rank` of `size`."""

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls, device: str = "cpu") -> World:
        """Of the processes that torchrun started; alone without it."""
        if "WORLD_SIZE" not in os.environ:
            return cls()
        if device.startswith("cuda"):
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        # Numbers on the CPU, such as signals, go by gloo also where gradients are on GPUs.
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo")
        return cls(dist.get_rank(), dist.get_world_size())

    def leave(self) -> None:
        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def slice(self, count: int) -> slice:
        """This process's part of the global batch."""
        share = count // self.size
        return slice(self.rank * share, (self.rank + 1) * share)

    def most(self, number: int) -> int:
        """The largest of the processes' numbers."""
        if self.size == 1:
            return number
        numbers = torch.tensor(number)
        dist.all_reduce(numbers, dist.ReduceOp.MAX)
        return int(numbers)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the processes, in one message."""
        if self.size == 1 or not tensors:
            return
        message = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(message)
        parts = message.div_(self.size).split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            # In place: the layout of a gradient in memory is that of its weight, which the optimiser relies on.
            tensor.copy_(part.view(tensor.shape))

    def average_gradients(self, weights: Iterable[nn.Parameter]) -> None:
        self.average([weight.grad for weight in weights if weight.grad is not None])


class Draws:
    """Random numbers as a pure function of seed, stage and step: nothing of them needs to be saved.

    They are drawn on the CPU for the global batch, so that they depend neither on the device nor on the processes.
    """

    def __init__(self, seed: int, world: World) -> None:
        self._seed = seed
        self._world = world
        self._generator = torch.Generator()

    def begin(self, stage: int, step: int) -> None:
        self._generator.manual_seed(derived_seed(self._seed, 2, stage, step))

    def uniform(self, count: int, *shape: int) -> Tensor:
        """(count, *shape) in [0, 1) for the `count` units of this process's batch."""
        numbers = torch.rand(count * self._world.size, *shape, generator=self._generator)
        return numbers[self._world.slice(len(numbers))]

    def normal(self, count: int, *shape: int) -> Tensor:
        """(count, *shape) of N(0, 1) for the `count` units of this process's batch."""
        numbers = torch.randn(count * self._world.size, *shape, generator=self._generator)
        return numbers[self._world.slice(len(numbers))]

    def uniform_for_all(self, *shape: int) -> Tensor:
        """Numbers that all processes share."""
        return torch.rand(*shape, generator=self._generator)

    def noise(self, painter: Any, count: int) -> Tensor:
        """A painter's noise for this process's `count` strokes."""
        noise = painter.sample_noise((count * self._world.size,), self._generator)
        return noise[self._world.slice(len(noise))]


def derived_seed(*numbers: int) -> int:
    """A seed for torch that differs wherever the numbers do."""
    # How many they are is one of them, as NumPy takes no notice of zeros at the end.
    return int(np.random.SeedSequence((len(numbers), *numbers)).generate_state(1, np.uint64)[0] >> 1)


class _Sum(torch.autograd.Function):
    """Sum over the processes, differentiable as often as need be."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.contiguous().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _Sum.apply(grad)


class GlobalBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation by the statistics of the global batch; torch's own has no second derivative."""

    def __init__(self, norm: nn.modules.batchnorm._BatchNorm, world: World) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self.load_state_dict(norm.state_dict())
        self._world = world

    def _check_input_dim(self, input: Tensor) -> None:
        pass

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        x = full_precision(input)
        axes = [axis for axis in range(x.ndim) if axis != 1]
        shape = [-1 if axis == 1 else 1 for axis in range(x.ndim)]
        mean = _Sum.apply(x.mean(axes)) / self._world.size
        centred = x - mean.view(shape)
        variance = _Sum.apply(centred.square().mean(axes)) / self._world.size
        self._follow(mean, variance, x.numel() // x.shape[1] * self._world.size)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale.view(shape) + self.bias.view(shape)).to(input.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype) * (count / (count - 1)), self.momentum)
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1


def use_global_statistics(network: nn.Module, world: World) -> None:
    """Exchange the batch normalisations in `network`, where several processes train; names of weights stay."""
    if world.size == 1:
        return
    for name, child in network.named_children():
        if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d)):
            setattr(network, name, GlobalBatchNorm(child, world))
        else:
            use_global_statistics(child, world)
