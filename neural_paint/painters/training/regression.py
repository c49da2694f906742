"""Plain regression: a painter learns to give the pictures of strokes, by the error of their values alone.

Adam, and a learning rate that falls as half a cosine. Any painter can be trained so; without noise, which would only
blur what depends on the action alone.
"""

from __future__ import annotations

import torch.nn.functional as F

from neural_paint.painters.checkpoints import make_painter
from neural_paint.painters.training.config import RegressionConfig
from neural_paint.painters.training.recipe import Batch, Losses, Recipe, Setting, Stage, detached
from neural_paint.painters.training.schedules import cosine


class RegressionRecipe(Recipe):
    shown = ("loss",)

    def __init__(self, config: RegressionConfig, setting: Setting) -> None:
        super().__init__(setting)
        self.config = config
        self.painter = make_painter(config.kind, config.painter)
        self._add("painter", self.painter)
        self._add_optimizer("painter", (self.painter,), config.learning_rate, config.betas)
        self.stages = (Stage("painter", config.steps, config.batch_size, self._step),)

    def begin(self, stage: int) -> None:
        self.painter.train()

    def _step(self, batch: Batch, step: int) -> Losses:
        config = self.config
        with self.setting.autocast():
            painted = self.painter(batch.actions)
        loss = (F.mse_loss if config.loss == "mse" else F.l1_loss)(painted, batch.strokes)
        self._update(
            "painter", loss, cosine(step, config.steps, config.learning_rate, config.warmup_steps, config.last_rate)
        )
        return detached(loss=loss)
