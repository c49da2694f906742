"""What a recipe is: networks, their optimisers, the stages that they go through step by step, and what comes of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Adam

from neural_paint.training.data import ValidationData
from neural_paint.training.world import Draws, World, use_global_statistics

# By name; detached, on the device.
Losses = dict[str, Tensor]
# What a recipe takes in a step, and how well its result does: a frozen dataclass of numbers.
Batch = TypeVar("Batch")
Evaluation = TypeVar("Evaluation")


@dataclass(frozen=True)
class Setting:
    """Where and how a training runs: nothing of it belongs to the recipe."""

    device: torch.device
    precision: str
    world: World
    draws: Draws

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")


@dataclass(frozen=True)
class Stage(Generic[Batch]):
    """Consecutive steps of one kind.

    Attributes:
        name: of what is trained.
        steps: how many they are.
        batch_size: of a step, of all processes.
        step: takes a batch and the number of the step in the stage, and changes weights.
    """

    name: str
    steps: int
    batch_size: int
    step: Callable[[Batch, int], Losses]


class Recipe(ABC, Generic[Batch, Evaluation]):
    """One way to train something.

    Attributes:
        result: name of the file that a training leaves.
        shown: of the losses, those that the display shows, the first of them first.
        networks: everything with weights that are trained, by name.
        optimizers: by name.
        stages: one after the other.
        inputs: digests of what is read from files besides the data, by name: with others it is another training.
    """

    result: ClassVar[str]
    shown: ClassVar[tuple[str, ...]]
    stages: Sequence[Stage[Batch]]

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.networks: dict[str, nn.Module] = {}
        self.optimizers: dict[str, Adam] = {}
        self.inputs: dict[str, str] = {}

    @abstractmethod
    def begin(self, stage: int) -> None:
        """Make ready for a stage: what is frozen, and what is in training."""

    @abstractmethod
    def batch(self, tensors: tuple[Tensor, ...]) -> Batch:
        """What the data gave, on the device."""

    @abstractmethod
    def evaluate(self, validation: ValidationData, limit: int | None = None) -> Evaluation:
        """How well the result does on data that it is not trained on, the first `limit` of them; only one process asks,
        and finds what is in training as it was."""

    @abstractmethod
    def scores(self, evaluation: Evaluation) -> Mapping[str, float | None]:
        """For log and TensorBoard: what depends on config and data alone. None is not shown by TensorBoard."""

    def speeds(self, evaluation: Evaluation) -> Mapping[str, float]:
        """For TensorBoard alone, as clocks measured it."""
        return {}

    @abstractmethod
    def pictures(self, validation: ValidationData) -> tuple[str, Tensor]:
        """A title and a sheet (3, H, W) in [0, 1] for TensorBoard."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write the result."""

    @abstractmethod
    def describe(self, evaluation: Evaluation) -> str:
        """How well the result does, in words that a line ends with."""

    def left_out(self) -> Sequence[str]:
        """A sentence for each thing that is left out, as its package is not installed."""
        return ()

    def _add(self, name: str, network: nn.Module) -> None:
        use_global_statistics(network, self.setting.world)
        self.networks[name] = network.to(self.setting.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _add_optimizer(self, name: str, networks: Sequence[nn.Module], rate: float, betas: tuple[float, float]) -> None:
        weights = [weight for network in networks for weight in network.parameters()]
        self.optimizers[name] = Adam(weights, rate, betas, fused=True)

    def _update(self, name: str, loss: Tensor, rate: float | None = None, clip: float | None = None) -> None:
        """One step of an optimiser down the gradient of `loss`, which is the mean over this process's batch; a gradient
        longer than `clip` is made as long as that."""
        optimizer = self.optimizers[name]
        loss.backward()
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        self.setting.world.average_gradients(weights)
        if clip is not None:
            nn.utils.clip_grad_norm_(weights, clip)
        if rate is not None:
            for group in optimizer.param_groups:
                group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()


def detached(**losses: Tensor) -> Losses:
    return {name: loss.detach() for name, loss in losses.items()}
