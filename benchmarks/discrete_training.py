"""What the experiment on discrete actions trains: painters of black strokes, and agents that draw with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from neural_paint.agents import Agent, Drawing, Renderer, draw
from neural_paint.agents.discrete import LIFT, DiscreteActions, draw_with_lift, is_lifted, with_lift
from neural_paint.agents.training.config import AgentConfig
from neural_paint.agents.training.recipe import AgentRecipe
from neural_paint.mypaint.dataset import Recipe, make_dataset
from neural_paint.painters import NeuralPainter, StrokeData, load_painter
from neural_paint.painters.evaluation import as_pictures
from neural_paint.painters.training.config import RegressionConfig
from neural_paint.training import Run, Setting, TrainConfig, ValidationData

SPACE = DiscreteActions()
# Of uniform numbers (n, 12), the actions that a painter learns.
SPACES: dict[str, Callable[[Tensor], Tensor]] = {
    "discrete": SPACE.spread,
    "continuous": lambda numbers: with_lift(numbers, 0.0),
}
_BATCH = 64


class Strokes:
    """Strokes of one of the `SPACES`: those of the data set `data` have the numbers that actions are made of."""

    unit = "strokes"

    def __init__(self, data: StrokeData, space: str) -> None:
        self.digest = f"{space}, {data.digest}"
        self._data, self._actions = data, SPACES[space]

    def __len__(self) -> int:
        return len(self._data)

    def batches(
        self, batch_size: int, *, seed: int, start: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[tuple[Tensor, Tensor]]:
        for numbers, strokes in self._data.batches(batch_size, seed=seed, start=start, rank=rank, world=world):
            yield self._actions(numbers), strokes

    def once(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        for numbers, strokes in self._data.once(batch_size):
            yield self._actions(numbers), strokes


def make_strokes(folder: Path, space: str, count: int) -> tuple[Strokes, Strokes]:
    """To train on and held out, painted by the real MyPaint where they are not there yet."""

    def paint(numbers: np.ndarray, brush: Path, threads: int) -> np.ndarray:
        # In single precision, as training reads them: the same levels are nearest.
        actions = SPACES[space](torch.from_numpy(numbers).float())
        return draw_with_lift(actions[:, None], brush).permute(0, 2, 3, 1).contiguous().numpy()

    for _ in make_dataset(folder, Recipe(count), paint=paint):
        pass
    train, held_out = (StrokeData(folder, split) for split in ("train", "validation"))
    return Strokes(train, space), Strokes(held_out, space)


def train_painter(folder: Path, data: tuple[Strokes, Strokes], steps: int) -> NeuralPainter:
    """The generator of the published GAN, without noise and by regression, from the last checkpoint in `folder`."""
    config = RegressionConfig(
        kind="gan", painter={"noise_size": 0}, steps=steps, learning_rate=2e-3, evaluate_every=steps
    )
    finish(config, data, folder)
    return load_painter(folder / "painter.safetensors")


def finish(config: TrainConfig, data: tuple, folder: Path) -> None:
    """Train what is left in a folder."""
    outcome = Run(config, *data, folder).train()
    if outcome.signal:
        raise SystemExit(128 + outcome.signal)


class InkRenderer(Renderer):
    """Black strokes on the canvas: it is multiplied by their pictures, as paint of opacity a leaves 1 - a of the paper.

    `NeuralRenderer` divides a picture by its darkest pixel, and would bring a stroke back that the lift makes fade.

    Args:
        painter: of black strokes, frozen.
        lift: actions have one; otherwise it is held at 0.
    """

    def __init__(self, painter: NeuralPainter, lift: bool) -> None:
        self._painter, self._lift = painter, lift

    def draw(self, actions: Tensor, canvas: Tensor) -> Tensor:
        return canvas * self._painter(self.inked(actions))

    def inked(self, actions: Tensor) -> Tensor:
        """What is drawn of actions that say whatever colour."""
        return with_lift(actions, actions[..., LIFT.slice] if self._lift else 0.0)


@dataclass(frozen=True)
class InkEvaluation:
    """Of finished drawings.

    Attributes:
        mse: mean squared error of a value in [0, 1], as the painter shows the drawings.
        mypaint_mse: as the real MyPaint does, without the strokes that are lifted.
        executed_mse: the same after `quantise`, which is all that an environment of discrete actions can do.
        lifted: share of the strokes.
        lift: its mean.
        ink: darkness of the drawings, as the painter shows them, next to that of the pictures.
        mypaint_ink: the same in MyPaint after `quantise`.
    """

    mse: float
    mypaint_mse: float
    executed_mse: float
    lifted: float
    lift: float
    ink: float
    mypaint_ink: float


@dataclass(frozen=True)
class InkConfig(AgentConfig):
    """An agent that draws in black with a painter of one of the `SPACES`; its output for red is the lift.

    Attributes:
        lift: strokes can be lifted.
        first_lift: what the lift is at first, where weights alone do not say it.
    """

    black: bool = False
    lift: bool = False
    first_lift: float | None = None

    def make(self, setting: Setting) -> InkRecipe:
        return InkRecipe(self, setting)


class InkRecipe(AgentRecipe):
    def __init__(self, config: InkConfig, setting: Setting) -> None:
        super().__init__(config, setting)
        self.renderer = InkRenderer(load_painter(config.painter), config.lift)
        if config.first_lift is not None:
            with torch.no_grad():
                self.agent.head.weight[LIFT.start].zero_()
                self.agent.head.bias[LIFT.start] = torch.tensor(config.first_lift).logit()

    def evaluate(self, validation: ValidationData, limit: int | None = None) -> InkEvaluation:
        return evaluate_ink(self.agent, self.renderer, validation, limit)

    def scores(self, evaluation: InkEvaluation) -> Mapping[str, float | None]:
        return vars(evaluation)

    def speeds(self, evaluation: InkEvaluation) -> Mapping[str, float]:
        return {}

    def describe(self, evaluation: InkEvaluation) -> str:
        return f"mean squared error {evaluation.mse:.3g}, {evaluation.lifted:.0%} of strokes lifted"


@torch.no_grad()
def draw_ink(agent: Agent, renderer: InkRenderer, target: Tensor) -> tuple[Drawing, Tensor]:
    """Drawings, and their actions with the lift that counted."""
    drawing = draw(agent, renderer, target)
    return drawing, renderer.inked(drawing.actions)


def evaluate_ink(
    agent: Agent, renderer: InkRenderer, validation: ValidationData, limit: int | None = None
) -> InkEvaluation:
    sums, count = torch.zeros(7, dtype=torch.float64), 0
    for pictures, *_ in validation.once(_BATCH):
        wanted = len(pictures) if limit is None else min(limit - count, len(pictures))
        if wanted <= 0:
            break
        target = as_pictures(pictures[:wanted], torch.device("cpu"))
        drawing, actions = draw_ink(agent, renderer, target)
        real, executed = (draw_with_lift(each) / 255 for each in (actions, SPACE.quantise(actions)))
        errors = [(canvas - target).square().mean() for canvas in (drawing.canvas, real, executed)]
        lifts = [is_lifted(actions).float().mean(), actions[..., LIFT.slice].mean()]
        inks = [(1 - canvas).mean() / (1 - target).mean() for canvas in (drawing.canvas, executed)]
        sums += wanted * torch.stack([*errors, *lifts, *inks]).double()
        count += wanted
    return InkEvaluation(*(round(value, 6) for value in (sums / count).tolist()))
