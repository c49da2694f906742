"""The feature loss of Johnson et al. (arXiv:1603.08155) with pixels added, as fastai's courses have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neural_paint.painters.layers import full_precision
from neural_paint.perception.network import FeatureNetwork


def gram_matrix(features: Tensor) -> Tensor:
    """(M, C, H, W) -> (M, C, C): how often channels are active together, a share of C H W."""
    flat = full_precision(features.flatten(2))
    return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


class Targets(NamedTuple):
    """What images are compared with; what has no weight is left out."""

    pixels: Tensor
    features: list[Tensor]
    grams: list[Tensor]


class FeatureLoss(nn.Module):
    """Mean difference of pixels, of features, and of their Gram matrices.

    With one layer, and of `gram_weight` and `pixel_weight` 0, it is the loss of content of "Neural Painters".

    Args:
        network: frozen.
        layers: whose features are compared.
        weights: of the layers; the Gram matrices of one have weight^2 `gram_weight`.
        gram_weight: 0 leaves them out.
        norm: "l1", the mean absolute difference, or "l2", the mean squared one.
        pixel_weight: 0 leaves them out.
    """

    def __init__(
        self,
        network: FeatureNetwork,
        layers: Sequence[str],
        weights: Sequence[float],
        gram_weight: float = 5_000.0,
        norm: Literal["l1", "l2"] = "l1",
        pixel_weight: float = 1.0,
    ) -> None:
        if len(layers) != len(weights):
            raise ValueError(f"there must be a weight for each of {len(layers)} layers, got {len(weights)}")
        if norm not in ("l1", "l2"):
            raise ValueError(f"norm must be 'l1' or 'l2', got {norm!r}")
        network.check_layers(layers)
        super().__init__()
        self.network = network
        self.layers = tuple(layers)
        self.weights = tuple(weights)
        self.gram_weight = gram_weight
        self.norm = norm
        self.pixel_weight = pixel_weight

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """Images (M, 3, H, W), with gradients, against targets, without."""
        return self.compare(images, self.targets(targets))

    @torch.no_grad()
    def targets(self, images: Tensor) -> Targets:
        """What `compare` needs of targets, for those that stay the same."""
        return self._seen(images.detach())

    def compare(self, images: Tensor, targets: Targets) -> Tensor:
        """Images (M, 3, H, W) against `targets` of the same shape."""
        difference = F.l1_loss if self.norm == "l1" else F.mse_loss
        seen = self._seen(images)
        loss = images.new_zeros(())
        if self.pixel_weight:
            loss = loss + self.pixel_weight * difference(images, targets.pixels)
        for i, weight in enumerate(self.weights):
            loss = loss + weight * difference(seen.features[i], targets.features[i])
            if self.gram_weight:
                loss = loss + weight**2 * self.gram_weight * difference(seen.grams[i], targets.grams[i])
        return loss

    def _seen(self, images: Tensor) -> Targets:
        features = self.network.features(images, self.layers)
        grams = [gram_matrix(found) for found in features] if self.gram_weight else []
        return Targets(images, [full_precision(found) for found in features], grams)
