"""Losses that compare how an image is painted, not what it shows, with one image of a style."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neural_paint.painters.layers import full_precision
from neural_paint.perception.feature_loss import gram_matrix
from neural_paint.perception.network import FeatureNetwork

# Of a sum of squares; far below any that a picture has.
_LEAST = 1e-12
# Of what a plan's marginals are off, as a norm, when its iterations end.
_TOLERANCE = 1e-5


class StyleMissing(RuntimeError):
    """No style was given before images were compared with it."""


class GramStyleLoss(nn.Module):
    """How much the Gram matrices of features differ from the style's, of each layer as a share of the style's own.

    Of Gatys et al. (arXiv:1508.06576), who do not take the share; with it, layers count alike. With EfficientNet-Lite,
    "stem", "expand1", "expand3", "expand5" and "expand9" are good layers.

    Args:
        network: frozen.
        layers: whose features are compared.
        weights: of the layers; by default equal, with the sum 1.
    """

    def __init__(self, network: FeatureNetwork, layers: Sequence[str], weights: Sequence[float] | None = None) -> None:
        super().__init__()
        network.check_layers(layers)
        self.network = network
        self.layers = tuple(layers)
        self.weights = (1 / len(self.layers),) * len(self.layers) if weights is None else tuple(weights)
        if len(self.layers) != len(self.weights):
            raise ValueError(f"there must be a weight for each of {len(layers)} layers, got {len(self.weights)}")
        self._grams: list[Tensor] | None = None

    @torch.no_grad()
    def set_style(self, image: Tensor) -> GramStyleLoss:
        """The image (1, 3, H, W) of the style, of any size, which need not be that of the images; returns the loss."""
        _check_style(image)
        self._grams = [gram_matrix(found) for found in self.network.features(image, self.layers)]
        return self

    def forward(self, images: Tensor) -> Tensor:
        """The mean over images (M, 3, H, W)."""
        if self._grams is None:
            raise StyleMissing("a style must be given first, by set_style(image)")
        loss = images.new_zeros(())
        found = self.network.features(images, self.layers)
        for features, style, weight in zip(found, self._grams, self.weights, strict=True):
            difference = (gram_matrix(features) - style).square().sum((1, 2)).mean()
            loss = loss + weight * difference / style.square().sum().clamp_min(_LEAST)
        return loss


class TransportStyleLoss(nn.Module):
    """What it costs to move the features of an image to where the style's are, and how far its colours are from them.

    Of STROTSS (Kolkin et al., arXiv:1904.12785), which Stylized Neural Painting uses as well, with the entropy of
    Sinkhorn distances. Features of all layers at one place are one vector; the cost of moving one to another is their
    cosine distance. Colours are compared by their mean and covariance.

    Args:
        network: frozen.
        layers: whose features are moved; each layer counts alike.
        samples: places, drawn anew at each call, where features are taken of an image, and once of the style.
        entropy: of the plan, in the unit of the cost; less is sharper, and takes more iterations.
        iterations: at most, of Sinkhorn's algorithm.
        color_weight: of colours next to features; 0 leaves them out.
    """

    def __init__(
        self,
        network: FeatureNetwork,
        layers: Sequence[str],
        samples: int = 1024,
        entropy: float = 0.01,
        iterations: int = 100,
        color_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if samples < 1:
            raise ValueError(f"samples must be at least 1, got {samples}")
        if entropy <= 0:
            raise ValueError(f"entropy must be above 0, got {entropy}")
        network.check_layers(layers)
        self._sinkhorn = _load_sinkhorn()
        self.network = network
        self.layers = tuple(layers)
        self.samples = samples
        self.entropy = entropy
        self.iterations = iterations
        self.color_weight = color_weight
        self._style: Tensor | None = None
        self._scales: list[Tensor] = []
        self._colors: tuple[Tensor, Tensor] | None = None

    @torch.no_grad()
    def set_style(self, image: Tensor, generator: torch.Generator | None = None) -> TransportStyleLoss:
        """The image (1, 3, H, W) of the style, of any size; the generator, of the CPU, draws places."""
        _check_style(image)
        features = self._features(image)
        self._scales = [found.square().sum(1).mean().clamp_min(_LEAST).sqrt() for found in features]
        self._style = self._sampled(features, generator)[0]
        self._colors = _color_moments(image)
        return self

    def forward(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The mean over images (M, 3, H, W); the generator, of the CPU, draws the places."""
        if self._style is None or self._colors is None:
            raise StyleMissing("a style must be given first, by set_style(image)")
        loss = images.new_zeros(())
        for vectors in self._sampled(self._features(images), generator):
            cost = 1 - vectors @ self._style.T
            loss = loss + (self._plan(cost) * cost).sum() / len(images)
        if self.color_weight:
            differences = (
                (found - style).abs().mean() for found, style in zip(_color_moments(images), self._colors, strict=True)
            )
            loss = loss + self.color_weight * sum(differences)
        return loss

    def _features(self, images: Tensor) -> list[Tensor]:
        return [full_precision(found) for found in self.network.features(images, self.layers)]

    def _sampled(self, features: Sequence[Tensor], generator: torch.Generator | None) -> Tensor:
        """Unit vectors (M, samples, channels of all layers), at places that all images share."""
        drawn = 2 * torch.rand(1, 1, self.samples, 2, generator=generator) - 1
        places = drawn.to(features[0]).expand(len(features[0]), -1, -1, -1)
        vectors = [
            F.grid_sample(found, places, padding_mode="border", align_corners=False)[:, :, 0] / scale
            for found, scale in zip(features, self._scales, strict=True)
        ]
        return F.normalize(torch.cat(vectors, 1), dim=1).transpose(1, 2)

    @torch.no_grad()
    def _plan(self, cost: Tensor) -> Tensor:
        """How much of each row goes to each column. As it is the best, the loss has no gradient by way of it."""
        # Which changes no plan; with a 0 in each row and column, none vanishes in the exponential.
        cost = cost - cost.amin(1, keepdim=True)
        cost = cost - cost.amin(0)
        rows, columns = (cost.new_full((count,), 1 / count) for count in cost.shape)
        options = {"numItermax": self.iterations, "stopThr": _TOLERANCE, "warn": False}
        return self._sinkhorn(rows, columns, cost, self.entropy, **options)


def _load_sinkhorn() -> Callable[..., Tensor]:
    try:
        from ot import sinkhorn
    except ImportError:
        raise ImportError("transport of a style needs POT: pip install POT") from None
    return sinkhorn


def _check_style(image: Tensor) -> None:
    if image.ndim != 4 or image.shape[:2] != (1, 3):
        raise ValueError(f"the image of a style must be (1, 3, H, W), got {tuple(image.shape)}")


def _color_moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """(M, 3, H, W) -> the mean (M, 3) and covariance (M, 3, 3) of colours."""
    colors = full_precision(images).flatten(2)
    mean = colors.mean(2)
    centred = colors - mean[:, :, None]
    return mean, centred @ centred.transpose(1, 2) / colors.shape[2]
