"""The VAE painter: a variational autoencoder of strokes, then a predictor of its latent vectors from actions.

Of Nakano's "Neural Painters" (arXiv:1904.08410): the loss with heavy strokes at first and free bits is that of its
TensorFlow notebooks and PyTorch port; the predictor's loss differs between them, as their predictors do.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F

from neural_paint.painters.checkpoints import make_painter
from neural_paint.painters.layers import full_precision
from neural_paint.painters.training.config import VAEConfig
from neural_paint.painters.training.losses import divergence, weighted_error
from neural_paint.painters.training.recipe import Batch, PainterRecipe
from neural_paint.painters.vae import Encoder, VAEPainter, reparameterise
from neural_paint.training.recipe import Losses, Setting, Stage, detached
from neural_paint.training.schedules import piecewise


class VAERecipe(PainterRecipe):
    shown = ("reconstruction", "divergence", "predictor")
    painter: VAEPainter

    def __init__(self, config: VAEConfig, setting: Setting) -> None:
        super().__init__(setting)
        self.config = config
        self.painter = cast(VAEPainter, make_painter(config.recipe, config.painter))
        self.encoder = Encoder(self.painter.latent_size)
        self._add("painter", self.painter)
        self._add("encoder", self.encoder)
        autoencoder = (self.encoder, self.painter.decoder)
        self._add_optimizer("autoencoder", autoencoder, config.learning_rate, config.betas)
        self._add_optimizer("predictor", (self.painter.predictor,), config.predictor_rates[0], config.betas)
        self.stages = (
            Stage("autoencoder", config.stage1_steps, config.batch_size, self._encode_and_decode),
            Stage("predictor", config.steps - config.stage1_steps, config.batch_size, self._predict),
        )

    def begin(self, stage: int) -> None:
        self.painter.train()
        self.painter.decoder.requires_grad_(stage == 0)
        self.encoder.requires_grad_(stage == 0)

    def _encode_and_decode(self, batch: Batch, step: int) -> Losses:
        config = self.config
        noise = self.setting.draws.normal(len(batch), self.painter.latent_size).to(batch.strokes.device)
        with self.setting.autocast():
            mean, log_variance = (full_precision(x) for x in self.encoder(batch.strokes))
            painted = self.painter.decoder(reparameterise(mean, log_variance, noise))
        weight = config.nonwhite_weight if step < config.nonwhite_steps else 1.0
        reconstruction = weighted_error(painted, batch.strokes, weight)
        distance = divergence(mean, log_variance, config.free_bits)
        self._update("autoencoder", reconstruction + config.divergence_weight * distance)
        return detached(reconstruction=reconstruction, divergence=distance)

    def _predict(self, batch: Batch, step: int) -> Losses:
        with self.setting.autocast():
            with torch.no_grad():
                mean, log_variance = (full_precision(x) for x in self.encoder(batch.strokes))
            predicted, predicted_log_variance = self.painter.predictor(batch.actions)
        if predicted_log_variance is None:
            noise = self.setting.draws.normal(len(batch), self.painter.latent_size).to(mean.device)
            losses = {"predictor": F.mse_loss(full_precision(predicted), reparameterise(mean, log_variance, noise))}
        else:
            losses = {
                "predictor": F.mse_loss(full_precision(predicted), mean),
                "predictor_log_variance": F.mse_loss(full_precision(predicted_log_variance), log_variance),
            }
        rate = piecewise(step, self.config.predictor_rates, self.config.predictor_boundaries)
        self._update("predictor", torch.stack(list(losses.values())).sum(), rate)
        return detached(**losses)
