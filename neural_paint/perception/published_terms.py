"""What "The Joy of Neural Painting" (NPX, arXiv:2111.10283) compares strokes and pictures by, and its like."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class FeatureTerms(NamedTuple):
    """A network's activations of a fourth, an eighth and a sixteenth of the picture's size, and what these, and their
    Gram matrices, count for next to pixels; see `FeatureLoss`."""

    layers: tuple[str, str, str]
    weights: tuple[float, float, float]
    gram_weight: float


# By the network. VGG16's are layers 22, 32 and 42, as published; VGG19's the activations before a picture is halved as
# well, with which a course project (SORO) repeated it. Those of the default network were chosen to weigh about as much.
NPX_TERMS: Mapping[str, FeatureTerms] = MappingProxyType(
    {
        "efficientnet-lite0": FeatureTerms(("expand3", "expand5", "expand9"), (0.5, 1.5, 0.2), 50.0),
        "vgg16_bn": FeatureTerms(("relu3_3", "relu4_3", "relu5_3"), (5.0, 15.0, 2.0), 5_000.0),
        "vgg19_bn": FeatureTerms(("relu3_4", "relu4_4", "relu5_4"), (5.0, 15.0, 2.0), 5_000.0),
    }
)
