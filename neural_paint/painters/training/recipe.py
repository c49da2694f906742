"""What a recipe is: networks, their optimisers, and the stages that they go through step by step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Adam

from neural_paint.painters.base import NeuralPainter
from neural_paint.painters.training.world import Draws, World, use_global_statistics

# By name; detached, on the device.
Losses = dict[str, Tensor]


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
class Batch:
    """This process's strokes of a step: actions (M, 12), strokes (M, 3, 64, 64) in [0, 1]."""

    actions: Tensor
    strokes: Tensor

    def __len__(self) -> int:
        return len(self.actions)


@dataclass(frozen=True)
class Stage:
    """Consecutive steps of one kind.

    Attributes:
        name: of what is trained.
        steps: how many they are.
        batch_size: strokes of a step, of all processes.
        step: takes a batch and the number of the step in the stage, and changes weights.
    """

    name: str
    steps: int
    batch_size: int
    step: Callable[[Batch, int], Losses]


class Recipe(ABC):
    """One way to train a painter.

    Attributes:
        painter: what it is about.
        networks: everything with weights, the painter too, by name.
        optimizers: by name.
        stages: one after the other.
    """

    painter: NeuralPainter
    stages: Sequence[Stage]
    # Of the losses, the one that the display shows first.
    shown: ClassVar[tuple[str, ...]]

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.networks: dict[str, nn.Module] = {}
        self.optimizers: dict[str, Adam] = {}

    @abstractmethod
    def begin(self, stage: int) -> None:
        """Make ready for a stage: what is frozen, and what is in training."""

    def _add(self, name: str, network: nn.Module) -> None:
        use_global_statistics(network, self.setting.world)
        self.networks[name] = network.to(self.setting.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _add_optimizer(self, name: str, networks: Sequence[nn.Module], rate: float, betas: tuple[float, float]) -> None:
        weights = [weight for network in networks for weight in network.parameters()]
        self.optimizers[name] = Adam(weights, rate, betas, fused=True)

    def _update(self, name: str, loss: Tensor, rate: float | None = None) -> None:
        """One step of an optimiser down the gradient of `loss`, which is the mean over this process's strokes."""
        optimizer = self.optimizers[name]
        loss.backward()
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        self.setting.world.average_gradients(weights)
        if rate is not None:
            for group in optimizer.param_groups:
                group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()


def detached(**losses: Tensor) -> Losses:
    return {name: loss.detach() for name, loss in losses.items()}
