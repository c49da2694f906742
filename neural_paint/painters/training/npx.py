"""The painter of Neural Painters X: each network is trained alone first, and both together only for a short while.

Of "The Joy of Neural Painting" (arXiv:2111.10283) and its notebooks: (1) the painter against a feature loss; (2) it is
frozen; (3) the critic learns to tell its strokes from real ones; (4) both, a step of each on every batch. Here
EfficientNet-Lite0 is the default of the feature loss, and either network gets pictures normalised as it was trained.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from neural_paint.painters.checkpoints import make_painter
from neural_paint.painters.layers import full_precision
from neural_paint.painters.npx import NPXPainter
from neural_paint.painters.npx_critic import NPXCritic
from neural_paint.painters.training.config import NPXConfig
from neural_paint.painters.training.losses import critic_cross_entropy, painter_cross_entropy
from neural_paint.painters.training.recipe import Batch, PainterRecipe
from neural_paint.perception import NPX_TERMS, FeatureLoss, load_network
from neural_paint.training.recipe import Losses, Setting, Stage, detached

# What settings call the networks.
_NETWORKS = {"efficientnet-lite0": "efficientnet-lite0", "vgg16-bn": "vgg16_bn"}


class NPXRecipe(PainterRecipe):
    shown = ("features", "critic", "painter")
    painter: NPXPainter

    def __init__(self, config: NPXConfig, setting: Setting) -> None:
        super().__init__(setting)
        self.config = config
        self.painter = cast(NPXPainter, make_painter(config.recipe, config.painter))
        self.critic = NPXCritic(config.critic_width, config.dropout)
        network = _NETWORKS[config.features]
        terms = NPX_TERMS[network]
        weights = terms.weights if config.feature_weights is None else config.feature_weights
        gram_weight = terms.gram_weight if config.gram_weight is None else config.gram_weight
        loss = FeatureLoss(load_network(network), terms.layers, weights, gram_weight)
        self.feature_loss = loss.to(setting.device)
        self._add("painter", self.painter)
        self._add("critic", self.critic)
        for name, rate, betas in (
            ("painter", config.painter_rate, config.painter_betas),
            ("critic", config.critic_rate, config.critic_betas),
            ("joint_painter", config.joint_rate, config.joint_betas),
            ("joint_critic", config.joint_rate, config.joint_betas),
        ):
            self._add_optimizer(name, (self.networks[name.removeprefix("joint_")],), rate, betas)
        joint_steps = config.steps - config.painter_steps - config.critic_steps
        self.stages = (
            Stage("painter", config.painter_steps, config.batch_size, self._match_features),
            Stage("critic", config.critic_steps, config.critic_batch_size, self._tell_apart),
            Stage("critic and painter", joint_steps, config.batch_size, self._compete),
        )

    def begin(self, stage: int) -> None:
        # Frozen, the painter's batch normalisation is, too.
        self.painter.train(stage != 1).requires_grad_(stage != 1)
        self.critic.train(stage != 0).requires_grad_(stage != 0)

    def _score(self, strokes: Tensor) -> Tensor:
        drawn = self.setting.draws.uniform(len(strokes), self.critic.dropout_size)
        return full_precision(self.critic(strokes, drawn.to(strokes.device)))

    def _match_features(self, batch: Batch, step: int) -> Losses:
        with self.setting.autocast():
            loss = self.feature_loss(self.painter.signed_strokes(batch.actions), batch.strokes)
        self._update("painter", loss)
        return detached(features=loss)

    def _tell_apart(self, batch: Batch, step: int) -> Losses:
        with self.setting.autocast():
            with torch.no_grad():
                painted = self.painter.signed_strokes(batch.actions)
            loss = critic_cross_entropy(self._score(batch.strokes), self._score(painted))
        self._update("critic", loss)
        return detached(critic=loss)

    def _compete(self, batch: Batch, step: int) -> Losses:
        self.critic.requires_grad_(True)
        with self.setting.autocast():
            painted = self.painter.signed_strokes(batch.actions)
            critic_loss = critic_cross_entropy(self._score(batch.strokes), self._score(painted.detach()))
        self._update("joint_critic", critic_loss)
        # Its gradients would be computed for nothing.
        self.critic.requires_grad_(False)
        with self.setting.autocast():
            features = self.feature_loss(painted, batch.strokes)
            entropy = painter_cross_entropy(self._score(painted))
        self._update("joint_painter", (entropy + features) / 2)
        return detached(critic=critic_loss, painter=entropy, features=features)
