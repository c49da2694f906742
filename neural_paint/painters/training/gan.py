"""The GAN painter: a generator against a critic that sees the action, by Wasserstein's distance with gradient penalty.

Of Nakano's "Neural Painters" (arXiv:1904.08410), its TensorFlow notebooks and PyTorch port; WGAN-GP is of Gulrajani
et al. (arXiv:1704.00028). Scores have the sign of the notebooks: the critic makes those of painted strokes high. The
reconstruction term is in their code, not in the article.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from neural_paint.painters.checkpoints import make_painter
from neural_paint.painters.gan import Critic, GANPainter
from neural_paint.painters.layers import full_precision
from neural_paint.painters.training.config import GANConfig
from neural_paint.painters.training.losses import weighted_error
from neural_paint.painters.training.recipe import Batch, PainterRecipe
from neural_paint.training.losses import gradient_penalty
from neural_paint.training.recipe import Losses, Setting, Stage, detached
from neural_paint.training.schedules import piecewise


class GANRecipe(PainterRecipe):
    shown = ("distance", "penalty", "reconstruction")
    painter: GANPainter

    def __init__(self, config: GANConfig, setting: Setting) -> None:
        super().__init__(setting)
        self.config = config
        self.painter = cast(GANPainter, make_painter(config.recipe, config.painter))
        self.critic = Critic(config.critic_dim)
        self._add("painter", self.painter)
        self._add("critic", self.critic)
        self._add_optimizer("painter", (self.painter,), config.learning_rate, config.betas)
        self._add_optimizer("critic", (self.critic,), config.learning_rate, config.betas)
        self.stages = (Stage("critic and painter", config.steps, config.batch_size, self._step),)

    def begin(self, stage: int) -> None:
        self.painter.train()
        self.critic.train()

    def _step(self, batch: Batch, step: int) -> Losses:
        # The painter's turn comes after the critic's.
        if step % (self.config.critic_steps + 1) < self.config.critic_steps:
            return self._train_critic(batch)
        return self._train_painter(batch, step)

    def _paint(self, batch: Batch) -> Tensor:
        noise = self.setting.draws.noise(self.painter, len(batch)) if self.painter.noise_size else None
        return self.painter(batch.actions, noise)

    def _train_critic(self, batch: Batch) -> Losses:
        self.critic.requires_grad_(True)
        draws, shape = self.setting.draws, (1, 1, 1)
        alone = self.config.epsilon == "sample"
        epsilon = (draws.uniform(len(batch), *shape) if alone else draws.uniform_for_all(1, *shape)).to(
            batch.strokes.device
        )
        with self.setting.autocast():
            with torch.no_grad():
                painted = self._paint(batch)
            real = self.critic(batch.strokes, batch.actions)
            fake = self.critic(painted, batch.actions)
            penalty = gradient_penalty(lambda x: self.critic(x, batch.actions), batch.strokes, painted, epsilon)
        distance = full_precision(fake).mean() - full_precision(real).mean()
        self._update("critic", self.config.penalty_weight * penalty - distance)
        return detached(distance=distance, penalty=penalty)

    def _train_painter(self, batch: Batch, step: int) -> Losses:
        config = self.config
        # Its gradients would be computed for nothing.
        self.critic.requires_grad_(False)
        with self.setting.autocast():
            painted = self._paint(batch)
            score = full_precision(self.critic(painted, batch.actions)).mean()
        weight = config.nonwhite_weight if step < config.nonwhite_steps else 1.0
        reconstruction = weighted_error(painted, batch.strokes, weight, config.reconstruction)
        share = piecewise(step, config.reconstruction_weights, config.reconstruction_boundaries)
        self._update("painter", score + share * reconstruction)
        return detached(score=score, reconstruction=reconstruction)
