"""The feature loss of Johnson et al. (arXiv:1603.08155) with pixels added, as fastai's courses have it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neural_paint.painters.layers import full_precision
from neural_paint.perception.network import FeatureNetwork


def gram_matrix(features: Tensor) -> Tensor:
    """(M, C, H, W) -> (M, C, C): how often channels are active together, a share of C H W."""
    flat = full_precision(features.flatten(2))
    return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


class FeatureLoss(nn.Module):
    """Mean absolute difference of pixels, of features, and of their Gram matrices.

    Args:
        network: frozen.
        layers: whose features are compared.
        weights: of the layers; the Gram matrices of one have weight^2 `gram_weight`.
        gram_weight: 0 leaves them out.
    """

    def __init__(
        self, network: FeatureNetwork, layers: Sequence[str], weights: Sequence[float], gram_weight: float = 5_000.0
    ) -> None:
        if len(layers) != len(weights):
            raise ValueError(f"there must be a weight for each of {len(layers)} layers, got {len(weights)}")
        super().__init__()
        self.network = network
        self.layers = tuple(layers)
        self.weights = tuple(weights)
        self.gram_weight = gram_weight

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """Images (M, 3, H, W), with gradients, against targets, without."""
        with torch.no_grad():
            wanted = self.network.features(targets, self.layers)
        loss = F.l1_loss(images, targets)
        for found, target, weight in zip(self.network.features(images, self.layers), wanted, self.weights, strict=True):
            loss = loss + weight * F.l1_loss(full_precision(found), full_precision(target))
            if self.gram_weight:
                difference = F.l1_loss(gram_matrix(found), gram_matrix(target))
                loss = loss + weight**2 * self.gram_weight * difference
        return loss
