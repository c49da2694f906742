"""The loop, its folder and its command with a recipe that knows nothing of painters: it learns the mean of numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from neural_paint.training import Recipe, Run, Setting, Stage, TrainConfig, Trainer, ValidationData, World
from neural_paint.training.recipe import Losses, detached
from neural_paint.training_command import TrainOptions, train


@dataclass(frozen=True)
class MeanConfig(TrainConfig):
    recipe: Literal["mean"] = "mean"
    steps: int = 4
    batch_size: int = 4
    log_every: int = 1
    evaluate_every: int = 2
    rate: float = 0.5

    def make(self, setting: Setting) -> Recipe[Any, Any]:
        return MeanRecipe(self, setting)


@dataclass(frozen=True)
class Error:
    numbers: int
    error: float


class MeanRecipe(Recipe[Tensor, Error]):
    result = "mean.json"
    shown = ("error",)

    def __init__(self, config: MeanConfig, setting: Setting) -> None:
        super().__init__(setting)
        self.bias = nn.Linear(1, 1)
        self.limits: list[int | None] = []
        self._add("bias", self.bias)
        self._add_optimizer("bias", (self.bias,), config.rate, (0.9, 0.99))
        self.stages = (Stage("mean", config.steps, config.batch_size, self._step),)

    def begin(self, stage: int) -> None:
        self.bias.train()

    def batch(self, tensors: tuple[Tensor, ...]) -> Tensor:
        (numbers,) = tensors
        return numbers.to(self.setting.device)

    def _step(self, batch: Tensor, step: int) -> Losses:
        error = (self.bias(torch.zeros_like(batch)) - batch).square().mean()
        self._update("bias", error)
        return detached(error=error)

    def evaluate(self, validation: ValidationData, limit: int | None = None) -> Error:
        self.limits.append(limit)
        numbers = torch.cat([numbers for (numbers,) in validation.once(4)])[:limit]
        return Error(len(numbers), float((self.bias.bias.detach() - numbers).abs().mean()))

    def scores(self, evaluation: Error) -> dict[str, float | None]:
        return {"error": evaluation.error, "other": None}

    def pictures(self, validation: ValidationData) -> tuple[str, Tensor]:
        return "a dot", torch.ones(3, 1, 1)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self.bias.bias.item()))

    def describe(self, evaluation: Error) -> str:
        return f"off by less than {round(evaluation.error) + 1}"


class Numbers:
    unit = "numbers"

    def __init__(self, count: int = 8) -> None:
        self.numbers = torch.arange(count, dtype=torch.float32)[:, None]
        self.digest = f"up to {count}"

    def __len__(self) -> int:
        return len(self.numbers)

    def batches(self, batch_size: int, *, seed: int, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[Any]:
        while True:
            yield (self.numbers.roll(start)[:batch_size],)
            start += 1

    def once(self, batch_size: int) -> Iterator[Any]:
        yield from ((part,) for part in self.numbers.split(batch_size))


def test_a_run_leaves_what_its_recipe_makes(tmp_path):
    run = Run(MeanConfig(evaluate_strokes=3), Numbers(), Numbers(), tmp_path)
    outcome = run.train()
    error = outcome.evaluation.error
    assert outcome.evaluation == Error(8, error) and run.trainer.recipe.limits == [3, 3, None]
    assert json.loads((tmp_path / "mean.json").read_text()) == run.trainer.recipe.bias.bias.item()
    left = json.loads((tmp_path / "evaluation.json").read_text())
    assert left.pop("training_seconds") > 0 and left == {"steps": 4, "numbers": 8, "error": error}
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    evaluated = [set(line) - {"step"} for line in lines if "error" not in line]
    assert len(lines) == 4 + 2 and evaluated == [{"validation_error", "validation_other"}] * 2
    assert Run(MeanConfig(), Numbers(), Numbers(), tmp_path).train().was_finished


def test_tensorboard_shows_no_score_that_is_none(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    Run(MeanConfig(), Numbers(), Numbers(), tmp_path).train()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert set(events.Tags()["scalars"]) == {"losses/error", "validation/error"}
    assert [image.step for image in events.Images("a dot")] == [2, 4]


def test_messages_have_the_unit_of_the_data(tmp_path):
    with pytest.raises(ValueError, match="a batch is 9 numbers, and there are 8 to train on"):
        Trainer(MeanConfig(batch_size=9), Numbers())
    with pytest.raises(ValueError, match="a batch must divide among 3 processes, got 4 numbers"):
        Trainer(MeanConfig(), Numbers(), world=World(0, 3))
    Run(MeanConfig(), Numbers(), Numbers(), tmp_path).train()
    with pytest.raises(ValueError, match="holds a training with other numbers; take another folder"):
        Run(MeanConfig(steps=9), Numbers(9), Numbers(), tmp_path).train()


def test_a_command_of_one_recipe(tmp_path, capsys):
    folder, file = tmp_path / "run", tmp_path / "settings.toml"
    file.write_text("rate = 0.1\nbatch_size = 1\nsteps = 1\n")
    asked = []

    def open_data(config: MeanConfig, world: World) -> tuple[Numbers, Numbers]:
        asked.append((config, world))
        return Numbers(), Numbers()

    # A flag goes before a setting, and that before the file.
    flags = {"steps": 3, "seed": None}
    options = TrainOptions(folder, file, ["batch_size=2", "steps=2"], flags, False, "cpu")
    assert train(options, {"mean": MeanConfig}, open_data) == 0
    assert asked == [(MeanConfig(steps=3, batch_size=2, rate=0.1), World())]
    out, _ = capsys.readouterr()
    assert out.startswith(f"{folder / 'mean.json'}: 3 steps; off by less than ")
    again = TrainOptions(folder, None, None, {}, True, "cpu")
    assert train(again, {"mean": MeanConfig}, open_data) == 0
    assert capsys.readouterr().out == f"{folder}: finished already, 3 steps\n"
    assert train(again, {"median": MeanConfig}, open_data) == 1
    assert capsys.readouterr().err == "neural-paint: recipe must be one of median, got 'mean'\n"
