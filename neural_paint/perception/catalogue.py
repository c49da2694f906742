"""Networks by name, with their weights."""

from __future__ import annotations

import copy
from itertools import chain

from torch import Tensor

from neural_paint.perception.efficientnet import EFFICIENTNETS, EfficientNetLite
from neural_paint.perception.network import FeatureNetwork
from neural_paint.perception.suggestions import did_you_mean, near
from neural_paint.perception.timm_networks import TIMM, load_timm
from neural_paint.perception.torchvision_networks import TORCHVISION_NETWORKS, load_torchvision

# Its weights are installed with this package.
DEFAULT_NETWORK = "efficientnet-lite0"


def network_names() -> tuple[str, ...]:
    """All but those of timm, of which any is "timm/" and its name there."""
    return (*EFFICIENTNETS, *TORCHVISION_NETWORKS)


def load_network(name: str = DEFAULT_NETWORK) -> FeatureNetwork:
    """The network of that name, with its weights.

    Raises:
        ValueError: there is none.
        NetworkMissing: a package or weights are; the message says how to get them.
    """
    if name in EFFICIENTNETS:
        return EfficientNetLite.pretrained(EFFICIENTNETS.index(name))
    if name in TORCHVISION_NETWORKS:
        return load_torchvision(name)
    if name.startswith(TIMM):
        return load_timm(name)
    names = ", ".join(network_names())
    what = did_you_mean(near(name, network_names()))
    raise ValueError(f"network must be of {names} or {TIMM}<a model of timm>, got {name!r}{what}")


def network_like(network: str | FeatureNetwork, like: Tensor) -> FeatureNetwork:
    """The network, or that of the name, in the dtype and on the device of `like`; one that is given stays as it is."""
    if isinstance(network, str):
        return load_network(network).to(like.device, like.dtype)
    tensors = chain(network.parameters(), network.buffers())
    if all((x.dtype, x.device) == (like.dtype, like.device) for x in tensors if x.is_floating_point()):
        return network
    return copy.deepcopy(network).to(like.device, like.dtype)
