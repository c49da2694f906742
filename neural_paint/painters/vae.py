"""The VAE painter: a decoder of strokes, and a predictor of the latent vector that an action stands for.

Architecture, sizes and the names of weights are those of Nakano's "Neural Painters" (arXiv:1904.08410) and of its
PyTorch port, whose checkpoints load. Encoder and decoder are trained first, as a variational autoencoder of strokes;
then the predictor, to give the encoder's latent vector of a stroke from its action.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neural_paint.painters.actions import ACTION_SIZE
from neural_paint.painters.base import NeuralPainter
from neural_paint.painters.layers import PointDeconvolution, full_precision

LATENT_SIZE = 64


def reparameterise(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """A sample of N(mean, exp(log_variance)) that is differentiable in both, for `noise` of N(0, 1)."""
    return mean + (0.5 * log_variance).exp() * noise


class Encoder(nn.Module):
    """Strokes (M, 3, 64, 64) in [0, 1] -> mean and log variance (M, latent_size) of their latent vectors."""

    def __init__(self, latent_size: int = LATENT_SIZE) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 4, stride=2)
        self.conv2 = nn.Conv2d(32, 64, 4, stride=2)
        self.conv3 = nn.Conv2d(64, 128, 4, stride=2)
        self.conv4 = nn.Conv2d(128, 256, 4, stride=2)
        self.fc_mu = nn.Linear(1024, latent_size)
        self.fc_log_var = nn.Linear(1024, latent_size)

    def forward(self, strokes: Tensor) -> tuple[Tensor, Tensor]:
        x = strokes
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = F.relu(conv(x))
        x = x.flatten(1)
        return self.fc_mu(x), self.fc_log_var(x)


class Decoder(nn.Module):
    """Latent vectors (M, latent_size) -> strokes (M, 3, 64, 64) in [0, 1]; images of 1, 5, 13, 30 and 64 pixels."""

    def __init__(self, latent_size: int = LATENT_SIZE) -> None:
        super().__init__()
        self.fc = nn.Linear(latent_size, 1024)
        self.deconv1 = PointDeconvolution(1024, 128, 5)
        self.deconv2 = nn.ConvTranspose2d(128, 64, 5, stride=2)
        self.deconv3 = nn.ConvTranspose2d(64, 32, 6, stride=2)
        self.deconv4 = nn.ConvTranspose2d(32, 3, 6, stride=2)

    def forward(self, latent: Tensor) -> Tensor:
        return torch.sigmoid(self.logits(latent))

    def logits(self, latent: Tensor) -> Tensor:
        """What sigmoid makes strokes of, not of a half type."""
        x = F.relu(self.deconv1(self.fc(latent)))
        x = F.relu(self.deconv2(x))
        x = F.relu(self.deconv3(x))
        return full_precision(self.deconv4(x))


class ActionPredictor(nn.Module):
    """Actions (M, 12) in [0, 1] -> mean and log variance (M, latent_size) of the latent vector of their strokes.

    Args:
        latent_size: entries of a latent vector.
        stochastic: True is the PyTorch port's predictor, with leaky ReLUs of slope 0.01; False that of the TensorFlow
            original, with slope 0.2 and one head: its log variance is None.
    """

    def __init__(self, latent_size: int = LATENT_SIZE, stochastic: bool = True) -> None:
        super().__init__()
        self.slope = 0.01 if stochastic else 0.2
        self.fc1 = nn.Linear(ACTION_SIZE, 256)
        self.bn1 = nn.BatchNorm1d(256)
        self.fc2 = nn.Linear(256, 64)
        self.bn2 = nn.BatchNorm1d(64)
        self.fc3 = nn.Linear(64, 64)
        self.bn3 = nn.BatchNorm1d(64)
        self.fc_mu = nn.Linear(64, latent_size)
        self.fc_log_var = nn.Linear(64, latent_size) if stochastic else None

    def forward(self, actions: Tensor) -> tuple[Tensor, Tensor | None]:
        x = self.bn1(F.leaky_relu(self.fc1(actions), self.slope))
        x = self.bn2(F.leaky_relu(self.fc2(x), self.slope))
        x = self.bn3(F.leaky_relu(self.fc3(x), self.slope))
        return self.fc_mu(x), None if self.fc_log_var is None else self.fc_log_var(x)


class VAEPainter(NeuralPainter):
    """Predictor and decoder: actions (..., 12) -> strokes (..., 3, 64, 64), from the mean of the latent vector.

    Noise of N(0, 1), one number for each entry of the latent vector, paints from a sample of it instead.

    Args:
        latent_size: entries of a latent vector; 64 in what was published.
        stochastic: which of the two published predictors; see `ActionPredictor`. Without it there is no noise.

    Raises:
        ValueError: `latent_size` is not at least 1.
    """

    kind = "vae"

    def __init__(self, latent_size: int = LATENT_SIZE, stochastic: bool = True) -> None:
        if latent_size < 1:
            raise ValueError(f"latent_size must be >= 1, got {latent_size}")
        super().__init__()
        self.latent_size = latent_size
        self.stochastic = stochastic
        self.noise_size = latent_size if stochastic else 0
        self.predictor = ActionPredictor(latent_size, stochastic)
        self.decoder = Decoder(latent_size)
        self.use_channels_last()

    def architecture(self) -> dict[str, Any]:
        return {"latent_size": self.latent_size, "stochastic": self.stochastic}

    def _preactivation(self, actions: Tensor, noise: Tensor | None) -> Tensor:
        mean, log_variance = self.predictor(actions)
        if noise is not None and log_variance is not None:
            mean = reparameterise(mean, log_variance, noise)
        return self.decoder.logits(mean)
