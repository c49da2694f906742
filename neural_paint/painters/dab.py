"""The dab painter: a small network that says what ink a brush leaves along the pen's path, at any size.

A brush sets many dabs, scattered around the path. What the paper shows through n independent dabs of little alpha is on
average exp(-sum of their alphas), and that sum is a density of ink which is smooth: Gaussian dabs along the path make
it up. How much ink each has, how wide it is and where it lies, a network of a few thousand weights tells from what the
pen does there. Nothing of it refers to pixels, nor to a certain brush.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from neural_paint.painters.actions import (
    COLOR,
    CONTROL,
    END,
    ENTRY_PRESSURE,
    PRESSURE,
    SIZE,
    START,
    STROKE_SIZE,
)
from neural_paint.painters.base import NeuralPainter

DABS = 128
WIDTH = 32
# What the pen does at a dab; what the network says of it: the logarithm of the width, ink, offsets along the path and
# across it, opacity, and the share of the width that a single dab has, as the rest is scatter.
_INPUTS, _OUTPUTS = 12, 6
# The network begins with dabs of this width, in radii, this ink (softplus of twice the number), and full opacity.
_START = (math.log(0.8), 0.5, 0.0, 0.0, 3.0, 0.0)
# Of the first weights of its last layer, so that all strokes begin alike.
_START_SCALE = 0.1
# Dabs for each pixel along a side, and the least: where there are few pixels, fewer show the same smooth stroke.
_DABS_A_PIXEL, _LEAST_DABS = 2, 48
# Dabs lie at equal distances, but for this share of them, which lie at equal times; found on so many pieces of a path.
_EVEN_TIMES, _PIECES = 0.2, 32
# Share of the path by which the second of the pen's speeds lags: brushes react to speed with a delay.
_LAG = 1 / 12
# Keeps the logarithms finite: of pressure, of a length in radii, and of a speed in squares of the stroke's sides.
_LEAST_PRESSURE, _LEAST_LENGTH, _LEAST_SPEED = 0.02, 0.3, 1e-8
# Brings logarithms of lengths in radii into the range of the other inputs.
_LOG_LENGTH = 2.0


class Dabs(NamedTuple):
    """The ink of M strokes, lengths in sides of a stroke's square."""

    center: Tensor  # (M, K, 2), x and y
    variance: Tensor  # (M, K, 2) along x and y
    mass: Tensor  # (M, K) optical density times area
    opacity: Tensor  # (M,) that the stroke has where ink is thick


class DabPainter(NeuralPainter):
    """Actions (..., 12) -> alpha (..., size, size) of any size by `coverage`, or pictures (..., 3, 64, 64).

    The picture is `1 - coverage * (1 - color)`: the stroke in its colour on white paper. Without noise it is the mean
    of the strokes that the program might paint, smooth; noise scatters the dabs, for one of them with its speckle.

    Args:
        dabs: along the path; thin strokes and fine speckle need many.
        width: units in each of the network's two hidden layers.

    Raises:
        ValueError: `dabs` or `width` is not at least 1.
    """

    kind = "dab"
    ends_in_sigmoid = False
    any_size = True

    def __init__(self, dabs: int = DABS, width: int = WIDTH) -> None:
        for name, value in (("dabs", dabs), ("width", width)):
            if value < 1:
                raise ValueError(f"{name} must be >= 1, got {value}")
        super().__init__()
        self.dabs = dabs
        self.width = width
        self.noise_size = 2 * dabs
        last = nn.Linear(width, _OUTPUTS)
        self.network = nn.Sequential(nn.Linear(_INPUTS, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), last)
        with torch.no_grad():
            last.weight.mul_(_START_SCALE)
            last.bias.copy_(torch.tensor(_START))

    def architecture(self) -> dict[str, Any]:
        return {"dabs": self.dabs, "width": self.width}

    def coverage(
        self,
        actions: Tensor,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
        *,
        size: int = STROKE_SIZE,
        chunk: int | None = None,
    ) -> Tensor:
        """Alpha (..., size, size) in [0, 1] of the strokes, as opaque as they are; see `NeuralPainter.coverage`.

        A pixel of any size shows the ink on its area.
        """
        if size < 1:
            raise ValueError(f"size must be >= 1, got {size}")
        return self._run(lambda x, n: self._cover(x, n, size), actions, noise, generator, chunk).to(actions.dtype)

    def activate(self, x: Tensor) -> Tensor:
        # Colours of actions are not checked.
        return x.clamp(0, 1)

    def _preactivation(self, actions: Tensor, noise: Tensor | None) -> Tensor:
        alpha = self._cover(actions, noise, self.stroke_size)[:, None]
        return 1 - alpha * (1 - actions[:, COLOR.slice, None, None])

    def _cover(self, actions: Tensor, noise: Tensor | None, size: int) -> Tensor:
        # What follows takes more digits than half types have.
        with torch.autocast(actions.device.type, enabled=False):
            noise = None if noise is None else noise.to(self.dtype).unflatten(1, (self.dabs, 2))
            count = self.dabs if noise is not None else min(self.dabs, max(_LEAST_DABS, _DABS_A_PIXEL * size))
            return _expose(self._dabs(actions.to(self.dtype), count, noise), size)

    def _dabs(self, actions: Tensor, count: int, noise: Tensor | None) -> Dabs:
        """The ink of actions (M, 12) in K = `count` dabs, scattered by noise (M, K, 2)."""
        t, step = _times(actions, count)
        place, velocity = _path(actions, t)
        speed = _speed(velocity)
        radius = SIZE.values(actions).exp() / STROKE_SIZE
        outputs = self.network(_inputs(actions, t, step, speed, radius, noise is not None))
        log_width, ink, along, across, opacity, single = outputs.unbind(-1)
        width = radius * log_width.exp()
        ahead = velocity / speed[..., None]
        aside = torch.stack([-ahead[..., 1], ahead[..., 0]], -1)
        offset = along[..., None] * ahead + across[..., None] * aside
        square = width.square()
        if noise is not None:
            share = single.sigmoid()
            offset = offset + (1 - share).sqrt()[..., None] * noise
            square = share * square
        # Between two dabs there is ink as well.
        between = (velocity * step[..., None]).square() / 12
        mass = F.softplus(2 * ink) * radius * speed * step
        return Dabs(place + width[..., None] * offset, square[..., None] + between, mass, opacity.mean(1).sigmoid())


def _points(actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The control points (M, 1, 2) of the pen's path, a quadratic Bezier curve, in sides of a stroke's square."""
    start, control, end = (actions[:, None, field.slice] for field in (START, CONTROL, END))
    return start, 2 * control - (start + end) / 2, end


def _path(actions: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Places (M, K, 2) of the pen, and their derivatives, at `t` (M or 1, K) of the way."""
    start, bent, end = _points(actions)
    t = t[..., None]
    place = (1 - t) ** 2 * start + 2 * t * (1 - t) * bent + t**2 * end
    return place, 2 * (1 - t) * (bent - start) + 2 * t * (end - bent)


def _speed(velocity: Tensor) -> Tensor:
    return (velocity.square().sum(-1) + _LEAST_SPEED).sqrt()


def _times(actions: Tensor, dabs: int) -> tuple[Tensor, Tensor]:
    """When the pen is at each of the dabs (M, K), and how long for (M, K); both are shares of the way."""
    pieces = (torch.arange(_PIECES, dtype=actions.dtype, device=actions.device) + 0.5) / _PIECES
    speed = _speed(_path(actions, pieces[None])[1])
    mean = speed.mean(1, keepdim=True)
    share = _density(speed, mean) / _PIECES
    wanted = (torch.arange(dabs, dtype=actions.dtype, device=actions.device) + 0.5) / dabs
    # Of (M, K, pieces): the pieces whose dabs come before, and the one that a dab is in; sums over them are products
    # with matrices, as gradients of indices go astray in code that torch compiles with deterministic algorithms.
    before = share.detach().cumsum(1)[:, None] <= wanted[:, None]
    within = F.pad(before, (1, 0), value=True)[..., :-1] & ~before
    begin, width = (mask.to(share.dtype) @ share[..., None] for mask in (before, within))
    piece = before.sum(-1)
    t = (piece + (wanted - begin[..., 0]) / width[..., 0]) / _PIECES
    return t, 1 / (dabs * _density(_speed(_path(actions, t)[1]), mean))


def _density(speed: Tensor, mean: Tensor) -> Tensor:
    """Of dabs in time, 1 on average."""
    return (1 - _EVEN_TIMES) * speed / mean + _EVEN_TIMES


def _pressure(actions: Tensor, t: Tensor) -> Tensor:
    """Of the pen (M, K), in [0, 1]: it changes over the first and the last quarter of the way."""
    entry, last = (actions[:, field.slice] for field in (ENTRY_PRESSURE, PRESSURE))
    way = (2 * t).clamp(max=0.5) + (2 * t - 1.5).clamp(min=0)
    return (entry + (last - entry) * way).clamp(min=0)


def _inputs(actions: Tensor, t: Tensor, step: Tensor, speed: Tensor, radius: Tensor, is_noisy: bool) -> Tensor:
    """What the pen does at each dab (M, K, inputs)."""
    pressure = _pressure(actions, t)
    entry, last, size = (2 * actions[:, field.slice] - 1 for field in (ENTRY_PRESSURE, PRESSURE, SIZE))
    before = _speed(_path(actions, (t - _LAG).clamp(min=0))[1])
    way = (speed * step).cumsum(1) / radius
    length = way[:, -1:]
    lengths = (speed / radius, before / radius, way + _LEAST_LENGTH, length - way + _LEAST_LENGTH, length)
    inputs = [pressure, (pressure + _LEAST_PRESSURE).log() / 2, size, entry, last, 2 * t - 1]
    inputs += [torch.full_like(size, float(is_noisy)), *(x.log() - _LOG_LENGTH for x in lengths)]
    return torch.stack([x.expand_as(pressure) for x in inputs], -1)


class _Exposure(torch.autograd.Function):
    """Alpha (M, size, size) of centres and variances (M, K, 2), heights (M, K) of dabs' optical densities, and
    opacities (M,) of strokes, without anything of the size of (M, K, 2, size) but the Gaussians themselves.

    A Gaussian is the product of one along x and one along y, so that dabs add up by a matrix product.
    """

    @staticmethod
    def forward(ctx: Any, center: Tensor, variance: Tensor, height: Tensor, opacity: Tensor, size: int) -> Tensor:
        along = _distances(center, size).square_().mul_(-0.5 / variance[..., None]).exp_()
        x, y = along.unbind(1)
        shown = ((y * height[..., None]).transpose(1, 2) @ x).neg_().exp_()
        ctx.save_for_backward(center, variance, height, opacity, along, shown)
        return (1 - shown) * opacity[:, None, None]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        center, variance, height, opacity, along, shown = ctx.saved_tensors
        d_opacity = ((1 - shown) * grad).sum((1, 2))
        d_density = grad * shown * opacity[:, None, None]
        x, y = along.unbind(1)
        d_along = torch.stack([y @ d_density, x @ d_density.transpose(1, 2)], 1).mul_(along)
        d_height = d_along[:, 1].sum(-1)
        d_along.mul_(height[:, None, :, None])
        distance = _distances(center, along.shape[-1])
        first = d_along.mul_(distance).sum(-1)
        second = d_along.mul_(distance).sum(-1)
        return first / variance, second / (2 * variance.square()), d_height, d_opacity, None


def _distances(center: Tensor, size: int) -> Tensor:
    """From centres (M, 2, K) to the middles of pixels, (M, 2, K, size)."""
    pixel = (torch.arange(size, dtype=center.dtype, device=center.device) + 0.5) / size
    return pixel - center[..., None]


def _expose(dabs: Dabs, size: int) -> Tensor:
    """Alpha (M, size, size); a pixel, a box, widens dabs by the box's variance."""
    variance = dabs.variance + 1 / (12 * size**2)
    height = dabs.mass * variance.prod(-1).rsqrt()
    # Both axes side by side in memory for the matrix products.
    center, variance = (x.transpose(1, 2).contiguous() for x in (dabs.center, variance))
    return _Exposure.apply(center, variance, height, dabs.opacity, size)
