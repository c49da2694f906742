"""VGG16 with batch normalisation (Simonyan and Zisserman, arXiv:1409.1556), as torchvision has it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from neural_paint.perception.network import FeatureNetwork, NetworkMissing

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VGG16BN(FeatureNetwork):
    """The convolutions of VGG16: its layers are the activations before a picture is halved, "relu1" to "relu5".

    Args:
        convolutions: torchvision's `vgg16_bn().features`.
    """

    layers = ("relu1", "relu2", "relu3", "relu4", "relu5")
    _ENDS = (5, 12, 22, 32, 42)
    convolutions: nn.Sequential
    mean: Tensor
    deviation: Tensor

    def __init__(self, convolutions: nn.Sequential) -> None:
        super().__init__()
        self.convolutions = convolutions
        # In place, they would overwrite what is to be compared.
        for module in convolutions:
            if isinstance(module, nn.ReLU):
                module.inplace = False
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None])
        self.register_buffer("deviation", torch.tensor(_DEVIATION)[:, None, None])
        self.eval().requires_grad_(False)

    @classmethod
    def pretrained(cls) -> VGG16BN:
        """With torchvision's weights, which it downloads once.

        Raises:
            NetworkMissing: torchvision is not installed, or its weights cannot be had.
        """
        try:
            from torchvision.models import VGG16_BN_Weights, vgg16_bn
        except ImportError:
            raise NetworkMissing("VGG16-BN needs torchvision: pip install torchvision") from None
        try:
            network = vgg16_bn(weights=VGG16_BN_Weights.IMAGENET1K_V1)
        except OSError as error:
            raise NetworkMissing(f"torchvision cannot fetch the weights of VGG16-BN: {error}") from error
        return cls(network.features)

    def features(self, images: Tensor, layers: Sequence[str]) -> list[Tensor]:
        self._check_layers(layers)
        ends = {layer: self._ENDS[self.layers.index(layer)] for layer in layers}
        x = (images - self.mean) / self.deviation
        found = {}
        for i, module in enumerate(list(self.convolutions)[: max(ends.values()) + 1]):
            x = module(x)
            found[i] = x
        return [found[ends[layer]] for layer in layers]
