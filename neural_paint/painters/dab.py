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

DABS = 96
WIDTH = 32
# What the pen does at a dab, and what the network says of it: logarithm of the width, ink, offsets along the path and
# across it, opacity.
_INPUTS, _OUTPUTS = 11, 5
# The network begins with dabs of this width, in radii, this ink (softplus of twice the number), and full opacity.
_START_WIDTH, _START_INK, _START_OPACITY = 0.8, 0.5, 3.0
# Of the first weights of its last layer, so that all strokes begin alike.
_START_SCALE = 0.1
# Share of the path by which the second of the pen's speeds lags: brushes react to speed with a delay.
_LAG = 1 / 12
# Keeps the logarithms finite: of pressure, of a length in radii, and of a speed in squares of the stroke's sides.
_LEAST_PRESSURE, _LEAST_LENGTH, _LEAST_SPEED = 0.02, 0.3, 1e-8
# Brings logarithms of lengths in radii into the range of the other inputs.
_LOG_LENGTH = 2.0


class Dabs(NamedTuple):
    """The ink of M strokes, lengths in sides of a stroke's square."""

    center: Tensor  # (M, K, 2), x and y
    width: Tensor  # (M, K) standard deviation
    mass: Tensor  # (M, K) optical density times area
    opacity: Tensor  # (M,) that the stroke has where ink is thick


class DabPainter(NeuralPainter):
    """Actions (..., 12) -> alpha (..., size, size) of any size by `coverage`, or pictures (..., 3, 64, 64).

    The picture is `1 - coverage * (1 - color)`: the stroke in its colour on white paper. Strokes are the mean of those
    that the program might paint, without their speckle: there is no noise.

    Args:
        dabs: along the path; thin strokes need many.
        width: units in each of the network's two hidden layers.

    Raises:
        ValueError: `dabs` or `width` is not at least 1.
    """

    kind = "dab"
    noise_size = 0
    ends_in_sigmoid = False
    any_size = True

    def __init__(self, dabs: int = DABS, width: int = WIDTH) -> None:
        for name, value in (("dabs", dabs), ("width", width)):
            if value < 1:
                raise ValueError(f"{name} must be >= 1, got {value}")
        super().__init__()
        self.dabs = dabs
        self.width = width
        last = nn.Linear(width, _OUTPUTS)
        self.network = nn.Sequential(nn.Linear(_INPUTS, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), last)
        with torch.no_grad():
            last.weight.mul_(_START_SCALE)
            last.bias.copy_(torch.tensor([math.log(_START_WIDTH), _START_INK, 0, 0, _START_OPACITY]))

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
        return self._run(lambda x, _: self._cover(x, size), actions, noise, generator, chunk).to(actions.dtype)

    def activate(self, x: Tensor) -> Tensor:
        # Colours of actions are not checked.
        return x.clamp(0, 1)

    def _preactivation(self, actions: Tensor, noise: Tensor | None) -> Tensor:
        alpha = self._cover(actions, self.stroke_size)[:, None]
        return 1 - alpha * (1 - actions[:, COLOR.slice, None, None])

    def _cover(self, actions: Tensor, size: int) -> Tensor:
        # What follows takes more digits than half types have.
        with torch.autocast(actions.device.type, enabled=False):
            return _expose(self._dabs(actions.to(self.dtype)), size)

    def _dabs(self, actions: Tensor) -> Dabs:
        """The ink of actions (M, 12)."""
        t = (torch.arange(self.dabs, dtype=actions.dtype, device=actions.device) + 0.5) / self.dabs
        place, velocity = _path(actions, t)
        speed = (velocity.square().sum(-1) + _LEAST_SPEED).sqrt()
        radius = SIZE.values(actions).exp() / STROKE_SIZE
        outputs = self.network(_inputs(actions, t, speed / radius))
        log_width, ink, along, across, opacity = outputs.unbind(-1)
        width = radius * log_width.exp()
        ahead = velocity / speed[..., None]
        aside = torch.stack([-ahead[..., 1], ahead[..., 0]], -1)
        offset = along[..., None] * ahead + across[..., None] * aside
        mass = F.softplus(2 * ink) * radius * speed / self.dabs
        return Dabs(place + width[..., None] * offset, width, mass, opacity.mean(1).sigmoid())


def _path(actions: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Places (M, K, 2) of the pen, and their derivatives, at `t` (K,) of the way; in sides of a stroke's square."""
    start, control, end = (actions[:, None, field.slice] for field in (START, CONTROL, END))
    bent = 2 * control - (start + end) / 2
    t = t[:, None]
    place = (1 - t) ** 2 * start + 2 * t * (1 - t) * bent + t**2 * end
    return place, 2 * (1 - t) * (bent - start) + 2 * t * (end - bent)


def _pressure(actions: Tensor, t: Tensor) -> Tensor:
    """Of the pen (M, K), in [0, 1]: it changes over the first and the last quarter of the way."""
    entry, last = (actions[:, field.slice] for field in (ENTRY_PRESSURE, PRESSURE))
    way = (2 * t).clamp(max=0.5) + (2 * t - 1.5).clamp(min=0)
    return (entry + (last - entry) * way).clamp(min=0)


def _inputs(actions: Tensor, t: Tensor, speed: Tensor) -> Tensor:
    """What the pen does at each dab (M, K, inputs); `speed` (M, K) in radii per stroke."""
    pressure = _pressure(actions, t)
    entry, last, size = (2 * actions[:, field.slice] - 1 for field in (ENTRY_PRESSURE, PRESSURE, SIZE))
    lag = round(_LAG * len(t))
    lagging = torch.cat([speed[:, :1].expand(-1, lag), speed[:, : len(t) - lag]], 1)
    way = speed.cumsum(1) / len(t)
    length = way[:, -1:]
    logs = [x.log() - _LOG_LENGTH for x in (speed, lagging, way + _LEAST_LENGTH, length - way + _LEAST_LENGTH, length)]
    inputs = [pressure, (pressure + _LEAST_PRESSURE).log() / 2, size, entry, last, 2 * t - 1, *logs]
    return torch.stack([x.expand_as(pressure) for x in inputs], -1)


def _expose(dabs: Dabs, size: int) -> Tensor:
    """Alpha (M, size, size). A Gaussian is the product of one along x and one along y, so that dabs add up by a matrix
    product; a pixel, a box, widens it by the box's variance."""
    pixel = (torch.arange(size, dtype=dabs.width.dtype, device=dabs.width.device) + 0.5) / size
    variance = dabs.width.square() + 1 / (12 * size**2)
    slope = -0.5 / variance[..., None]
    along_x, along_y = ((slope * (pixel - center[..., None]).square()).exp() for center in dabs.center.unbind(-1))
    along_y = along_y * (dabs.mass / variance)[..., None]
    density = along_y.transpose(1, 2) @ along_x
    return -torch.expm1(-density) * dabs.opacity[:, None, None]
