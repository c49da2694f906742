"""The GAN painter: a generator of strokes, trained against a critic that sees the action next to the stroke.

Architecture, sizes, initial weights and the names of weights are those of Nakano's "Neural Painters"
(arXiv:1904.08410) and of its PyTorch port, whose checkpoints load. `dim`, the width of the networks, is 16 in the
published painters.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neural_paint.painters.actions import ACTION_SIZE
from neural_paint.painters.base import NeuralPainter
from neural_paint.painters.layers import full_precision

DIM = 16
# What the PyTorch port puts in place of noise that it leaves out; it is also the mean of uniform noise.
DETERMINISTIC_NOISE = 0.5

NoiseDistribution = Literal["normal", "uniform"]


def _initialise(module: nn.Module) -> None:
    """Initial weights as published; linear layers and the biases of convolutions keep those of torch."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


class Generator(nn.Module):
    """Inputs (M, input_size), action and noise, -> strokes (M, 3, 64, 64) in [0, 1]; images of 4, 8 .. 64 pixels."""

    def __init__(self, input_size: int, dim: int = DIM) -> None:
        super().__init__()
        self.fc1 = nn.Linear(input_size, 4 * 4 * 16 * dim)
        self.bn1 = nn.BatchNorm2d(16 * dim)
        self.deconv1 = nn.ConvTranspose2d(16 * dim, 8 * dim, 4, stride=2, padding=1)
        self.bn2 = nn.BatchNorm2d(8 * dim)
        self.deconv2 = nn.ConvTranspose2d(8 * dim, 4 * dim, 4, stride=2, padding=1)
        self.bn3 = nn.BatchNorm2d(4 * dim)
        self.deconv3 = nn.ConvTranspose2d(4 * dim, 2 * dim, 4, stride=2, padding=1)
        self.bn4 = nn.BatchNorm2d(2 * dim)
        self.deconv4 = nn.ConvTranspose2d(2 * dim, 3, 4, stride=2, padding=1)
        self.apply(_initialise)

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.sigmoid(self.logits(inputs))

    def logits(self, inputs: Tensor) -> Tensor:
        """What sigmoid makes strokes of, not of a half type."""
        x = self.fc1(inputs).unflatten(1, (-1, 4, 4))
        x = self.deconv1(F.relu(self.bn1(x)))
        x = self.deconv2(F.relu(self.bn2(x)))
        x = self.deconv3(F.relu(self.bn3(x)))
        x = self.deconv4(F.relu(self.bn4(x)))
        return full_precision(x)


class Critic(nn.Module):
    """Strokes (M, 3, 64, 64) in [0, 1] and their actions (M, 12) -> scores (M,), of any sign and size.

    The action is added to every pixel of the first layer's features.
    """

    def __init__(self, dim: int = DIM) -> None:
        super().__init__()
        self.fc1 = nn.Linear(ACTION_SIZE, dim)
        self.conv1 = nn.Conv2d(3, dim, 4, stride=2, padding=1)
        self.conv2 = nn.Conv2d(dim, 2 * dim, 4, stride=2, padding=1)
        self.bn2 = nn.BatchNorm2d(2 * dim)
        self.conv3 = nn.Conv2d(2 * dim, 4 * dim, 4, stride=2, padding=1)
        self.bn3 = nn.BatchNorm2d(4 * dim)
        self.conv4 = nn.Conv2d(4 * dim, 8 * dim, 4, stride=2, padding=1)
        self.bn4 = nn.BatchNorm2d(8 * dim)
        self.fc2 = nn.Linear(4 * 4 * 8 * dim, 1)
        self.apply(_initialise)

    def forward(self, strokes: Tensor, actions: Tensor) -> Tensor:
        x = F.leaky_relu(self.conv1(strokes), 0.2) + F.relu(self.fc1(actions))[:, :, None, None]
        x = F.leaky_relu(self.bn2(self.conv2(x)), 0.2)
        x = F.leaky_relu(self.bn3(self.conv3(x)), 0.2)
        x = F.leaky_relu(self.bn4(self.conv4(x)), 0.2)
        return self.fc2(x.flatten(1)).squeeze(1)


class GANPainter(NeuralPainter):
    """The generator, with its noise: actions (..., 12) -> strokes (..., 3, 64, 64).

    Without noise all of its noise inputs are 0.5, as in the published painter at its most deterministic.

    Args:
        dim: width of the generator; 16, 32 or 64 in what was published.
        noise_size: noise inputs next to the action: 16 in the PyTorch port, 0 or 10 in the TensorFlow original.
        noise: distribution that `sample_noise` draws from: "normal" N(0, 1) in the PyTorch port, "uniform" [0, 1) in
            the TensorFlow original.
        num_deterministic: so many of the last noise inputs are 0.5 where noise is drawn or given, too.

    Raises:
        ValueError: `dim` is not at least 1, `noise_size` is negative, `noise` is another word, or `num_deterministic`
            is not in 0 .. noise_size.
    """

    kind = "gan"

    def __init__(
        self, dim: int = DIM, noise_size: int = 16, noise: NoiseDistribution = "normal", num_deterministic: int = 0
    ) -> None:
        if dim < 1:
            raise ValueError(f"dim must be >= 1, got {dim}")
        if noise_size < 0:
            raise ValueError(f"noise_size must be >= 0, got {noise_size}")
        if noise not in get_args(NoiseDistribution):
            raise ValueError(f"noise must be one of {', '.join(get_args(NoiseDistribution))}, got {noise!r}")
        if not 0 <= num_deterministic <= noise_size:
            raise ValueError(f"num_deterministic must be in 0 .. {noise_size}, got {num_deterministic}")
        super().__init__()
        self.dim = dim
        self.noise_size = noise_size
        self.noise: NoiseDistribution = noise
        self.num_deterministic = num_deterministic
        self.generator = Generator(ACTION_SIZE + noise_size, dim)
        self.use_channels_last()

    def architecture(self) -> dict[str, Any]:
        return {
            "dim": self.dim,
            "noise_size": self.noise_size,
            "noise": self.noise,
            "num_deterministic": self.num_deterministic,
        }

    def _draw(self, shape: tuple[int, ...], generator: torch.Generator | None, device: torch.device) -> Tensor:
        if self.noise == "normal":
            return super()._draw(shape, generator, device)
        return torch.rand(shape, generator=generator, device=device, dtype=torch.float32)

    def _preactivation(self, actions: Tensor, noise: Tensor | None) -> Tensor:
        drawn = 0 if noise is None else self.noise_size - self.num_deterministic
        constant = actions.new_full((actions.shape[0], self.noise_size - drawn), DETERMINISTIC_NOISE)
        inputs = [actions, constant] if noise is None else [actions, noise[:, :drawn], constant]
        return self.generator.logits(torch.cat(inputs, 1))
