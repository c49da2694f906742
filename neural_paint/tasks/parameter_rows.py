"""The free numbers that a painter optimises, a row for each stroke, and the Adam that moves them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from neural_paint.stamps import Stamps
from neural_paint.strokes import Strokes

# How far one step of Adam at rate 1 moves a colour.
COLOR_STEP = 0.05

_BETA1, _BETA2, _EPSILON = 0.9, 0.98, 1e-12


class ParameterRows:
    """N rows on each of B canvases, of which the first `count` hold a stroke; the last columns are its colour.

    Each column is measured in its own steps, so that one rate suits them all. Adam's moments are kept with the rows:
    `torch.optim.Adam` would have to start anew whenever strokes come or go, which costs half a decibel.

    There are rows for all strokes from the beginning, and every change is made in place, on the device: a step that was
    captured in a CUDA graph stays valid.

    Args:
        batch, channels: B and C.
        capacity: strokes that there is room for on each canvas.
        steps: how far one step of Adam at rate 1 moves each column before the colour.
        like: gives the dtype and the device.

    Attributes:
        count: strokes on each canvas.
        rows: (B, capacity, columns) what is optimised.
        is_reduced: whether `strokes`, which are optimised, show less than `painted`, which are handed out.
    """

    is_reduced = False

    def __init__(self, batch: int, channels: int, capacity: int, steps: Sequence[float], like: Tensor) -> None:
        self._color = slice(len(steps), None)
        self._steps = like.new_tensor([*steps, *[COLOR_STEP] * channels])
        self.count = 0
        self.rows = like.new_zeros(batch, capacity, len(self._steps))
        self._mean = torch.zeros_like(self.rows)
        self._square = torch.zeros_like(self.rows)
        self._betas = torch.tensor([_BETA1, _BETA2], dtype=torch.float64, device=like.device)
        # What is left of the moments' first values, which were zero: the betas to the power of the number of updates.
        self._bias = torch.ones_like(self._betas)

    def _add(self, values: Tensor) -> slice:
        """Append the values (B, n, columns) of n strokes, at rest; returns where they are."""
        added = slice(self.count, self.count + values.shape[1])
        self.count = added.stop
        self.rows[:, added] = values / self._steps
        self._mean[:, added] = 0
        self._square[:, added] = 0
        return added

    def _values(self, rows: Tensor | None) -> Tensor:
        """What `rows`, by default the first `count`, stand for."""
        return (self.rows[:, : self.count] if rows is None else rows) * self._steps

    def shown(self, strokes: Any) -> Strokes | Stamps:
        """The strokes as they are laid in the optimisation."""
        laid: Strokes | Stamps = strokes
        return laid

    def keep(self, index: Tensor) -> None:
        """Drop all strokes but those at `index` (B, n)."""
        self.count = index.shape[1]
        for x in (self.rows, self._mean, self._square):
            x[:, : self.count] = x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))

    def update(self, grad: Tensor, rate: Tensor) -> None:
        """One step of Adam, its `rate` a number on the device; a gradient that is not finite counts as none."""
        mean_bias, square_bias = (1 - self._bias.mul_(self._betas)).unbind()
        grad = grad.nan_to_num(0.0, 0.0, 0.0)
        self._mean.lerp_(grad, 1 - _BETA1)
        self._square.lerp_(grad.square(), 1 - _BETA2)
        size = self._square.sqrt().mul_(square_bias.rsqrt()).add_(_EPSILON)
        self.rows.addcdiv_(self._mean * (rate / mean_bias), size, value=-1)
        self.rows[..., self._color].clamp_(0, 1 / COLOR_STEP)
