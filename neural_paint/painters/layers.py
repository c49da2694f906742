"""What the networks of several painters share."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def full_precision(x: Tensor) -> Tensor:
    """`x`, in float32 where it is of a half type.

    For what comes before the last activation of a painter: a bfloat16 near 1 is 1/256 from the next, so that paper
    that is to be white would be off by more than an 8-bit image can show.
    """
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


class PointDeconvolution(nn.ConvTranspose2d):
    """The transposed convolution, without padding, of an image of one pixel: (M, C) -> (M, C', k, k).

    Nothing overlaps there, so it is one matrix product, several times as fast as the convolution on the CPU. The result
    is in the memory format of the weight, which is that of a `ConvTranspose2d` in name and shape.
    """

    def __init__(self, inputs: int, outputs: int, size: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, size, bias=bias)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        outputs, size = self.weight.shape[1:3]
        if self.weight.is_contiguous():
            y = (x @ self.weight.flatten(1)).unflatten(1, (outputs, size, size))
        else:
            # Channels last, of which this is a view.
            weight = self.weight.permute(0, 2, 3, 1).flatten(1)
            y = (x @ weight).unflatten(1, (size, size, outputs)).permute(0, 3, 1, 2)
        return y if self.bias is None else y + self.bias[:, None, None]
