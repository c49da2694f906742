"""Networks of other libraries: the outputs of their modules are the layers, and names are given to some of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from neural_paint.perception.network import FeatureNetwork

# Of ImageNet's photographs, and of what was trained on them by torchvision.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class _Enough(Exception):
    """All that was asked for is there."""


class NamedModules(FeatureNetwork):
    """A network whose features are what some of its modules give.

    Args:
        name: what `load_network` knows it by.
        network: (M, 3, H, W), normalised -> logits; it is changed, and frozen.
        paths: of each layer's name the path of its module, in the order of the network.
        mean, deviation: of the colours that it was trained on.
        input_size: the side of the pictures that it was trained on.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        name: str,
        network: nn.Module,
        paths: Mapping[str, str],
        *,
        mean: Sequence[float] = _MEAN,
        deviation: Sequence[float] = _DEVIATION,
        input_size: int = 224,
        is_classifier: bool = True,
    ) -> None:
        super().__init__()
        self.name = name
        self.network = network
        self.layers = tuple(paths)
        self.input_size = input_size
        self.is_classifier = is_classifier
        self._paths = dict(paths)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("deviation", torch.tensor(deviation)[:, None, None])
        # In place, they would overwrite what is to be compared.
        for module in network.modules():
            if getattr(module, "inplace", False):
                module.inplace = False  # type: ignore[assignment]
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        if not self.is_classifier:
            raise ValueError(f"{self.name} gives no logits of ImageNet's 1,000 labels: choose another network")
        return self.network((images - self.mean) / self.deviation)

    def features(self, images: Tensor, layers: Sequence[str]) -> list[Tensor]:
        self.check_layers(layers)
        if not layers:
            return []
        found: dict[str, Tensor] = {}

        def keep(layer: str, output: Tensor) -> None:
            found[layer] = output
            if found.keys() >= set(layers):
                raise _Enough

        hooks = [
            self.network.get_submodule(self._paths[layer]).register_forward_hook(
                lambda module, inputs, output, layer=layer: keep(layer, output)
            )
            for layer in layers
        ]
        try:
            self.network((images - self.mean) / self.deviation)
        except _Enough:
            pass
        finally:
            for hook in hooks:
                hook.remove()
        return [found[layer] for layer in layers]
