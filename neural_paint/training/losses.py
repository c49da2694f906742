"""Losses that trainings of several kinds have."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, made: Tensor, epsilon: Tensor) -> Tensor:
    """Mean of (norm - 1)^2 of the critic's gradient between real and made pictures (M, C, H, W); it is differentiable.

    Args:
        critic: pictures -> scores (M,).
        epsilon: (M, 1, 1, 1), or one for all, in [0, 1]: share of the real picture.
    """
    between = torch.lerp(made, real, epsilon).requires_grad_()
    (d_between,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (d_between.flatten(1).norm(dim=1) - 1).square().mean()
