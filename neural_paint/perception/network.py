"""What frozen classifiers have in common: pictures in, features of named layers out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn


class NetworkMissing(OSError):
    """A network's weights are not installed; the message says how to get them."""


class FeatureNetwork(nn.Module):
    """A network trained on ImageNet, frozen: eval mode, and no gradients of weights.

    Attributes:
        layers: names of what `features` gives, in the order of the network.
    """

    layers: ClassVar[tuple[str, ...]]

    def features(self, images: Tensor, layers: Sequence[str]) -> list[Tensor]:
        """Activations of the named layers for images (M, 3, H, W), RGB in [0, 1]; later layers are not computed."""
        raise NotImplementedError

    def train(self, mode: bool = True) -> FeatureNetwork:
        """Stays in eval mode: its normalisation is that of ImageNet."""
        return super().train(False)

    def _check_layers(self, layers: Sequence[str]) -> None:
        for layer in layers:
            if layer not in self.layers:
                raise ValueError(f"layers must be of {', '.join(self.layers)}, got {layer!r}")
