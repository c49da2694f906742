"""Regression: a painter learns to give the pictures of strokes, and those with noise what strokes are like.

Without noise a painter is trained by the error of its values alone, so that it gives the mean of what the program might
paint. With noise, where it has any, it is trained by the energy score, which is least where pictures are distributed as
the strokes of an action are: there is no critic. Adam, and a learning rate that falls as half a cosine.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from neural_paint.painters.checkpoints import make_painter
from neural_paint.painters.training.config import RegressionConfig
from neural_paint.painters.training.losses import energy_score
from neural_paint.painters.training.recipe import Batch, PainterRecipe
from neural_paint.training.recipe import Losses, Setting, Stage, detached
from neural_paint.training.schedules import cosine


class RegressionRecipe(PainterRecipe):
    shown = ("error", "energy")

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
            first, second = (self._sample(batch), self._sample(batch)) if self._is_noisy else (painted, painted)
        loss = error = (F.mse_loss if config.loss == "mse" else F.l1_loss)(painted, batch.strokes)
        losses = {"error": error}
        if self._is_noisy:
            losses["energy"] = energy_score(first, second, batch.strokes)
            loss = error + config.energy_weight * losses["energy"]
        self._update(
            "painter", loss, cosine(step, config.steps, config.learning_rate, config.warmup_steps, config.last_rate)
        )
        return detached(**losses)

    @property
    def _is_noisy(self) -> bool:
        return self.painter.noise_size > 0 and self.config.energy_weight > 0

    def _sample(self, batch: Batch) -> Tensor:
        return self.painter(batch.actions, self.setting.draws.noise(self.painter, len(batch)).to(batch.actions))
