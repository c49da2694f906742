"""Losses of a style: Gram matrices, and transport of features."""

from __future__ import annotations

import sys

import ot
import pytest
import torch
import torch.nn.functional as F

from neural_paint.perception import FeatureNetwork, GramStyleLoss, StyleMissing, TransportStyleLoss, load_network


class _Blurred(FeatureNetwork):
    """The picture, and products of its channels at half its size."""

    layers = ("colors", "products")

    def features(self, images, layers):
        self.check_layers(layers)
        small = F.avg_pool2d(images, 2)
        products = torch.cat([small * small.roll(1, 1), small], 1)
        return [{"colors": images, "products": products}[layer] for layer in layers]


def picture(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def losses(**options):
    network = _Blurred()
    return GramStyleLoss(network, network.layers), TransportStyleLoss(network, network.layers, samples=16, **options)


def test_gram_loss_is_a_share_of_the_style():
    style, images = picture(1, 3, 6, 8), picture(2, 3, 4, 4, seed=1)
    loss, _ = losses()
    loss.set_style(style)

    def gram(z):
        return torch.einsum("nchw,ndhw->ncd", z, z) / z[0].numel()

    expected = 0.0
    for layer in ("colors", "products"):
        (found,), (wanted,) = (_Blurred().features(x, [layer]) for x in (images, style))
        difference = gram(found) - gram(wanted)
        expected += (difference.square().sum((1, 2)).mean() / gram(wanted).square().sum()).item() / 2
    assert loss(images).item() == pytest.approx(expected)
    assert loss(style).item() == 0
    assert loss(torch.zeros(1, 3, 4, 4, dtype=torch.float64)).item() == pytest.approx(1)


def test_transport_loss_is_near_the_exact_one():
    style, image = picture(1, 3, 16, 24), picture(1, 3, 20, 20, seed=1) ** 3
    exact, near = (
        TransportStyleLoss(
            _Blurred(), ["colors", "products"], samples=64, entropy=entropy, iterations=2000, color_weight=0
        )
        for entropy in (1.0, 0.002)
    )
    exact._sinkhorn = lambda rows, columns, cost, *_, **__: ot.emd(rows, columns, cost)
    found = []
    for loss in (exact, near):
        places = torch.Generator().manual_seed(2)
        found.append(loss.set_style(style, places)(image, places).item())
    assert 0.01 < found[0] <= found[1] + 1e-6 and found[1] == pytest.approx(found[0], rel=0.05)


def test_transport_loss_counts_colours():
    with_colors, without = losses(entropy=0.05)[1], losses(entropy=0.05, color_weight=0)[1]
    style, images = picture(1, 3, 6, 8), picture(2, 3, 4, 4, seed=1)
    found = []
    for loss in (with_colors, without):
        places = torch.Generator().manual_seed(2)
        found.append(loss.set_style(style, places)(images, places).item())
    means = (images.mean((2, 3)) - style.mean((2, 3))).abs().mean()
    covariances = [torch.stack([x.flatten(1).cov(correction=0) for x in pictures]) for pictures in (images, style)]
    expected = means + (covariances[0] - covariances[1]).abs().mean()
    assert found[0] - found[1] == pytest.approx(expected.item())


def test_gradcheck():
    images = picture(2, 3, 4, 4, seed=1).requires_grad_()
    gram, transport = (loss.set_style(picture(1, 3, 6, 8)) for loss in losses())
    assert torch.autograd.gradcheck(gram, images)
    # That of transport is meant for the plan as it is.
    transport._sinkhorn = lambda rows, columns, *_, **__: rows[:, None] * columns
    assert torch.autograd.gradcheck(lambda x: transport(x, torch.Generator().manual_seed(3)), images)


@pytest.mark.parametrize("which", [0, 1])
def test_an_image_takes_on_the_style(which):
    network = load_network()
    layers = ["stem", "expand1", "expand3"]
    loss = (GramStyleLoss(network, layers), TransportStyleLoss(network, layers, samples=128))[which]
    # Stripes, and colours of their own.
    style = (torch.arange(48).remainder(8) < 4).float().expand(1, 3, 40, -1) * torch.tensor([0.9, 0.5, 0.1])[
        :, None, None
    ]
    loss.set_style(style)
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, 32, 32, generator=generator).requires_grad_()
    optimizer = torch.optim.Adam([image], 0.03)
    first = loss(image).item()
    for _ in range(30):
        optimizer.zero_grad()
        loss(image).backward()
        optimizer.step()
    assert loss(image).item() < 0.5 * first


def test_rejects_bad_input(monkeypatch):
    network = _Blurred()
    for loss in losses():
        with pytest.raises(StyleMissing, match=r"set_style\(image\)"):
            loss(picture(1, 3, 4, 4))
        with pytest.raises(ValueError, match=r"style must be \(1, 3, H, W\), got \(2, 3, 4, 4\)"):
            loss.set_style(picture(2, 3, 4, 4))
    with pytest.raises(ValueError, match="a weight for each of 2 layers, got 1"):
        GramStyleLoss(network, network.layers, [1.0])
    with pytest.raises(ValueError, match="samples must be at least 1, got 0"):
        TransportStyleLoss(network, network.layers, samples=0)
    with pytest.raises(ValueError, match="entropy must be above 0, got 0"):
        TransportStyleLoss(network, network.layers, entropy=0)
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(ImportError, match=r"^transport of a style needs POT: pip install POT$"):
        TransportStyleLoss(network, network.layers)
