"""What frozen networks have in common: pictures in, features of named layers out."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class NetworkMissing(OSError):
    """A network or its weights cannot be had here; the message says how to get them."""


class FeatureNetwork(nn.Module):
    """A network trained on ImageNet, frozen: eval mode, and no gradients of weights.

    Attributes:
        name: what `load_network` knows it by.
        layers: names of what `features` gives, in the order of the network.
        input_size: the side, in pixels, of the pictures that it was trained on; it takes any other.
        is_classifier: whether `forward` gives logits of ImageNet's 1,000 labels.
    """

    name: str
    layers: tuple[str, ...]
    input_size: int = 224
    is_classifier: bool = True

    def features(self, images: Tensor, layers: Sequence[str]) -> list[Tensor]:
        """Activations of the named layers for images (M, 3, H, W), RGB in [0, 1]; later layers are not computed."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """Images (M, 3, H, W), RGB in [0, 1] -> logits (M, 1000) of ImageNet's labels."""
        raise NotImplementedError

    def train(self, mode: bool = True) -> FeatureNetwork:
        """Stays in eval mode: its normalisation is that of ImageNet."""
        return super().train(False)

    def check_layers(self, layers: Sequence[str]) -> None:
        """ValueError where `features` has no layer of such a name."""
        for layer in layers:
            if layer not in self.layers:
                raise ValueError(f"layers must be of {', '.join(self.layers)}, got {layer!r}")
