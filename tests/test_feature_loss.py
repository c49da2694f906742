"""The feature loss."""

from __future__ import annotations

import pytest
import torch

from neural_paint.perception import FeatureLoss, FeatureNetwork


class _Twice(FeatureNetwork):
    layers = ("one", "two")

    def features(self, images, layers):
        self.check_layers(layers)
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
    with pytest.raises(ValueError, match="norm must be 'l1' or 'l2', got 'l3'"):
        FeatureLoss(_Twice(), ["one"], [5.0], norm="l3")


def test_feature_loss_of_content_is_one_layer():
    x, y = torch.rand(2, 2, 3, 4, 5, dtype=torch.float64)
    loss = FeatureLoss(_Twice(), ["two"], [100.0], gram_weight=0, pixel_weight=0)
    assert loss(x, y).item() == pytest.approx(200 * (x - y)[:, :2].abs().mean().item())
    squared = FeatureLoss(_Twice(), ["two"], [100.0], gram_weight=0, pixel_weight=0, norm="l2")
    assert squared(x, y).item() == pytest.approx(400 * (x - y)[:, :2].square().mean().item())


def test_targets_are_seen_once():
    x, y = torch.rand(2, 2, 3, 4, 5, dtype=torch.float64)
    y.requires_grad_()
    loss = FeatureLoss(_Twice(), ["one", "two"], [5.0, 2.0], norm="l2", pixel_weight=0.5)
    targets = loss.targets(y)
    assert loss.compare(x, targets).item() == loss(x, y).item()
    assert not any(features.requires_grad for features in (*targets.features, *targets.grams))
