"""The loop over the steps of a recipe, whose whole state is a few tensors and the number of the step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from neural_paint.training.config import Precision, TrainConfig
from neural_paint.training.data import TrainData
from neural_paint.training.recipe import Losses, Recipe, Setting
from neural_paint.training.world import Draws, World, derived_seed


@dataclass(frozen=True)
class Report:
    """After a step.

    Attributes:
        step: how many are done, of all stages.
        stage: what it was a step of.
        losses: of this process's batch, on the device: reading them waits for it.
    """

    step: int
    stage: str
    losses: Losses


class Trainer:
    """Trains what the config says: `for report in trainer` does a step each time, from wherever the state is.

    Args:
        config: what and how.
        data: what to train on.
        device: where.
        world: the processes that train together.

    Raises:
        ValueError: a batch does not divide among the processes, or there is less than a batch.
    """

    def __init__(
        self, config: TrainConfig, data: TrainData, device: torch.device | str = "cpu", world: World | None = None
    ) -> None:
        world = world or World()
        device = torch.device(device)
        setting = Setting(device, choose_precision(config, device), world, Draws(config.seed, world))
        self.config = config
        self.setting = setting
        self.recipe = _make_recipe(config, setting)
        self.step = 0
        self._data = data
        for stage in self.recipe.stages:
            if stage.batch_size % world.size:
                batch = f"{stage.batch_size} {data.unit}"
                raise ValueError(f"a batch must divide among {world.size} processes, got {batch}")
            if stage.batch_size > len(data):
                raise ValueError(f"a batch is {stage.batch_size} {data.unit}, and there are {len(data)} to train on")

    def __iter__(self) -> Iterator[Report]:
        setting, begin = self.setting, 0
        for number, stage in enumerate(self.recipe.stages):
            done = self.step - begin
            if done < stage.steps:
                self.recipe.begin(number)
                batches = self._data.batches(
                    stage.batch_size,
                    seed=derived_seed(self.config.seed, 1, number),
                    start=done,
                    rank=setting.world.rank,
                    world=setting.world.size,
                )
                for index in range(done, stage.steps):
                    setting.draws.begin(number, index)
                    losses = stage.step(self.recipe.batch(next(batches)), index)
                    self.step += 1
                    yield Report(self.step, stage.name, losses)
            begin += stage.steps

    def state(self) -> dict[str, Tensor]:
        """Weights and the optimisers' moments, by name, contiguous and on the CPU: with `step`, all that there is."""
        state = {}
        for name, network in self.recipe.networks.items():
            for key, tensor in network.state_dict().items():
                state[f"{name}.{key}"] = tensor
        for name, optimizer in self.recipe.optimizers.items():
            for number, moments in optimizer.state_dict()["state"].items():
                for key, tensor in moments.items():
                    state[f"optimizer {name}.{number}.{key}"] = tensor
        return {key: tensor.detach().to("cpu", copy=True).contiguous() for key, tensor in state.items()}

    def load_state(self, step: int, state: dict[str, Tensor]) -> None:
        """Go on from a state of the same config.

        Raises:
            ValueError: it is of another config.
        """
        # All of it before anything is changed: an older state may still be loaded.
        self._check(state)
        for name, network in self.recipe.networks.items():
            network.load_state_dict(_part(state, f"{name}."))
        for name, optimizer in self.recipe.optimizers.items():
            load_moments(optimizer, _part(state, f"optimizer {name}."))
        self.step = step

    def _check(self, state: dict[str, Tensor]) -> None:
        """Raise ValueError where names or shapes are not those of a state of this config."""
        expected = {
            f"{name}.{key}": tensor.shape
            for name, network in self.recipe.networks.items()
            for key, tensor in network.state_dict().items()
        }
        for name, optimizer in self.recipe.optimizers.items():
            for number, weight in enumerate(_weights(optimizer)):
                shapes = {"step": torch.Size(), "exp_avg": weight.shape, "exp_avg_sq": weight.shape}
                moments = {f"optimizer {name}.{number}.{key}": shape for key, shape in shapes.items()}
                # Those of weights that had no gradient yet are not there.
                if moments.keys() & state.keys():
                    expected |= moments
        found = {name: tensor.shape for name, tensor in state.items()}
        wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        if wrong:
            raise ValueError(f"its tensors are not those of this config: {wrong[0]} is another, missing or unknown")


def load_moments(optimizer: torch.optim.Adam, moments: dict[str, Tensor]) -> None:
    """Put an optimiser's tensors, by number of the weight and name, where its weights are."""
    weights = _weights(optimizer)
    for key, tensor in moments.items():
        number, _, name = key.partition(".")
        weight = weights[int(number)]
        # Laid out as the weight is and on its device, which the fused kernels of Adam take for granted.
        like = torch.empty_like(tensor, device=weight.device) if name == "step" else torch.empty_like(weight)
        optimizer.state[weight][name] = like.copy_(tensor)


def choose_precision(config: TrainConfig, device: torch.device) -> Precision:
    """float32 or bfloat16."""
    if config.precision != "auto":
        return config.precision
    return "bfloat16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "float32"


def _make_recipe(config: TrainConfig, setting: Setting) -> Recipe[Any, Any]:
    """With initial weights that depend on the seed alone."""
    with torch.random.fork_rng():
        torch.manual_seed(derived_seed(config.seed, 0))
        return config.make(setting)


def _weights(optimizer: torch.optim.Adam) -> list[Tensor]:
    return [weight for group in optimizer.param_groups for weight in group["params"]]


def _part(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key[len(prefix) :]: tensor for key, tensor in state.items() if key.startswith(prefix)}
