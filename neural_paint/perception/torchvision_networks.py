"""Classifiers of torchvision, which fetches their weights once, and the names of their layers."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from neural_paint.perception.named_modules import NamedModules
from neural_paint.perception.network import NetworkMissing


def _vgg_layers(network: nn.Module) -> dict[str, str]:
    """The activations, "relu3_2" being the second of the third group; groups end where pictures are halved."""
    paths, group, place = {}, 1, 1
    for path, module in network.get_submodule("features").named_children():
        if isinstance(module, nn.MaxPool2d):
            group, place = group + 1, 1
        elif isinstance(module, nn.ReLU):
            paths[f"relu{group}_{place}"] = f"features.{path}"
            place += 1
    return paths


def _googlenet_layers(network: nn.Module) -> dict[str, str]:
    modules = network.named_children()
    return {path: path for path, _ in modules if path.startswith(("conv", "inception"))}


def _resnet_layers(network: nn.Module) -> dict[str, str]:
    return {"stem": "relu", **{path: path for path, _ in network.named_children() if path.startswith("layer")}}


def _indexed_layers(network: nn.Module) -> dict[str, str]:
    """Blocks and activations, by their place among the features."""
    modules = network.get_submodule("features").named_children()
    paths = (f"features.{path}" for path, module in modules if not isinstance(module, (nn.Conv2d, nn.MaxPool2d)))
    return {path: path for path in paths}


_LAYERS: dict[str, Callable[[nn.Module], dict[str, str]]] = {
    "vgg16_bn": _vgg_layers,
    "vgg19": _vgg_layers,
    "vgg19_bn": _vgg_layers,
    "googlenet": _googlenet_layers,
    "resnet18": _resnet_layers,
    "resnet50": _resnet_layers,
    "mobilenet_v2": _indexed_layers,
    "squeezenet1_1": _indexed_layers,
}
TORCHVISION_NETWORKS = tuple(_LAYERS)


def adapt_torchvision(name: str, network: nn.Module) -> NamedModules:
    """torchvision's classifier of that name, or one of its layout."""
    return NamedModules(name, network, _LAYERS[name](network))


def load_torchvision(name: str) -> NamedModules:
    try:
        from torchvision import models
    # RuntimeError: it was built for another torch.
    except (ImportError, RuntimeError):
        raise NetworkMissing(f"{name} needs the torchvision of this torch: pip install torchvision") from None
    try:
        # Those that neural painters were published with, where torchvision has newer ones.
        network = models.get_model(name, weights="IMAGENET1K_V1")
    except (OSError, RuntimeError) as error:
        raise NetworkMissing(f"{name} needs weights that torchvision downloads once, and cannot: {error}") from error
    return adapt_torchvision(name, network)
