"""Frozen classifiers, their features, and the feature loss."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neural_paint.io import demo_photo, load_image
from neural_paint.perception import EfficientNetLite, FeatureLoss, FeatureNetwork

# Of ImageNet: tabby, tiger cat, Egyptian cat.
CATS = {281, 282, 285}


@pytest.fixture(scope="module")
def network() -> EfficientNetLite:
    return EfficientNetLite.pretrained()


@pytest.fixture(scope="module")
def cat() -> torch.Tensor:
    return F.interpolate(load_image(demo_photo()), (224, 224), mode="bilinear", antialias=True)


def test_classifier_knows_a_cat(network, cat):
    assert set(network(cat).topk(2).indices[0].tolist()) <= CATS
    # Any size: half of it is known as well.
    assert network(F.avg_pool2d(cat, 2)).argmax().item() in CATS


@pytest.mark.parametrize("size", [224, 64, 63, 17])
def test_sizes_of_features(network, size):
    features = network.features(torch.rand(1, 3, size, size), network.layers)
    half, quarter, eighth, sixteenth, last = (-(-size // 2**power) for power in range(1, 6))
    widths = [half] * 2 + [quarter] * 2 + [eighth] * 2 + [sixteenth] * 6 + [last] * 4
    assert [tuple(feature.shape[2:]) for feature in features] == [(width, width) for width in widths]
    assert all((feature >= 0).all() and (feature <= 6).all() for feature in features)


def test_features_come_in_the_order_asked_for(network, cat):
    late, early = network.features(cat, ["expand5", "stem"])
    assert late.shape[1] == 240 and early.shape[1] == 32
    with pytest.raises(ValueError, match=r"layers must be of stem, expand1, .*, got 'expand16'"):
        network.features(cat, ["expand16"])


def test_networks_stay_frozen(network):
    parent = nn.Sequential(network)
    parent.train()
    assert not any(module.training for module in network.modules())
    assert not any(weight.requires_grad for weight in network.parameters())


def test_gradients_reach_the_picture(network):
    image = torch.rand(1, 3, 64, 64, requires_grad=True)
    network.features(image, ["expand3"])[0].sum().backward()
    assert image.grad.isfinite().all() and image.grad.any()


class _Twice(FeatureNetwork):
    layers = ("one", "two")

    def features(self, images, layers):
        self._check_layers(layers)
        return [{"one": images, "two": 2 * images[:, :2]}[layer] for layer in layers]


def test_feature_loss_is_pixels_features_and_grams():
    x, y = torch.rand(2, 2, 3, 4, 5, dtype=torch.float64)
    loss = FeatureLoss(_Twice(), ["one", "two"], [5.0, 2.0], gram_weight=100.0)

    def gram(z):
        return torch.einsum("nchw,ndhw->ncd", z, z) / (z.shape[1] * 20)

    expected = (x - y).abs().mean()
    for weight, a, b in ((5.0, x, y), (2.0, 2 * x[:, :2], 2 * y[:, :2])):
        expected = expected + weight * (a - b).abs().mean() + weight**2 * 100 * (gram(a) - gram(b)).abs().mean()
    assert loss(x, y).item() == pytest.approx(expected.item(), rel=1e-5)
    assert loss(x, x).item() == 0
    with pytest.raises(ValueError, match="a weight for each of 2 layers, got 1"):
        FeatureLoss(_Twice(), ["one", "two"], [5.0])
