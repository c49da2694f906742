"""The discrete actions of "Neural Painters" (R. Nakano, arXiv:1904.08410, section 3.1): levels of size and
pressure, and a lift of the pen.

They are actions of 12 numbers as any other, in black ink. That leaves the entries of `COLOR` free, and the lift rides
in the first of them: 1 where the pen goes its way above the paper. The other two are 0. What becomes of such actions is
in docs/discrete_actions.md. The codes of SPIRAL are another space (`SpiralEncoding`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from neural_paint import mypaint
from neural_paint.painters.actions import (
    ACTION_SIZE,
    COLOR,
    ENTRY_PRESSURE,
    PRESSURE,
    SIZE,
    STROKE_SIZE,
    ActionField,
)

LIFT = ActionField("lift", COLOR.start, 1, 1.0, "1: the pen is lifted, and leaves no ink")


@dataclass(frozen=True)
class DiscreteActions:
    """Which sizes and pressures there are; positions are any.

    Attributes:
        levels: of the size, evenly from 0 to 1, and of the pressures, evenly up to 1 without 0, as SPIRAL has them: a
            stroke that ends without pressure is not painted, which would be a second way to lift the pen.
    """

    levels: int = 10

    def __post_init__(self) -> None:
        if self.levels < 2:
            raise ValueError(f"levels must be at least 2, got {self.levels}")

    @property
    def sizes(self) -> Tensor:
        """(levels,) rising; entries of an action."""
        return torch.arange(self.levels) / (self.levels - 1)

    @property
    def pressures(self) -> Tensor:
        """(levels,) rising; entries of an action."""
        return (torch.arange(self.levels) + 1) / self.levels

    def quantise(self, actions: Tensor) -> Tensor:
        """The nearest actions of the space to actions (..., 12): what an environment of it can execute. They have no
        gradient, and to ask for one raises."""
        return self._chosen(actions, lambda entries, levels: (entries - levels).abs().argmin(-1, keepdim=True))

    def spread(self, numbers: Tensor) -> Tensor:
        """Actions of numbers (..., 12) uniform in [0, 1): every level, and the pen up or down, is equally probable."""
        return self._chosen(numbers, lambda entries, levels: (entries * len(levels)).long().clamp(max=len(levels) - 1))

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Random actions (count, 12)."""
        return self.spread(torch.rand(count, ACTION_SIZE, generator=generator))

    @torch.no_grad()
    def _chosen(self, actions: Tensor, choose: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Actions with a level for each entry that has levels; `choose` gives its number."""
        pressures = self.pressures
        for field, levels in (
            (SIZE, self.sizes),
            (PRESSURE, pressures),
            (ENTRY_PRESSURE, pressures),
            (LIFT, torch.arange(2)),
        ):
            levels = levels.to(actions)
            actions = field.replaced(actions, levels[choose(actions[..., field.slice], levels)])
        return with_lift(actions, actions[..., LIFT.slice])


def with_lift(actions: Tensor, lift: Tensor | float) -> Tensor:
    """Actions (..., 12) in black ink with a lift (..., 1), or one for all; differentiable in both."""
    first = actions[..., LIFT.slice]
    lift = lift.expand_as(first) if isinstance(lift, Tensor) else torch.full_like(first, lift)
    return COLOR.replaced(actions, torch.cat([lift, *[torch.zeros_like(first)] * (COLOR.size - LIFT.size)], -1))


def is_lifted(actions: Tensor) -> Tensor:
    """(...) bool, for actions (..., 12): whether the lift is nearer to 1 than to 0."""
    return actions[..., LIFT.start] > 0.5


def draw_with_lift(actions: Tensor, brush: str | os.PathLike[str] = mypaint.DEFAULT_BRUSH) -> Tensor:
    """Drawings uint8 (B, 3, 64, 64) by the real MyPaint of actions (B, T, 12), in black ink on white paper.

    Lifted strokes are left out; sizes and pressures are those of the actions, on a level or not. Strokes begin where
    their actions say: those of `draw` and `connect` are connected already, over lifted ones too.

    Raises:
        MyPaintMissing: it is not installed.
    """
    canvas = mypaint.Canvas(brush=brush, mode="jump")
    images = np.empty((len(actions), STROKE_SIZE, STROKE_SIZE, 3), np.uint8)
    actions, lifted = with_lift(actions.detach(), 0.0).double().cpu().clamp(0, 1), is_lifted(actions).cpu()
    for image, strokes, up in zip(images, actions, lifted, strict=True):
        canvas.reset()
        canvas.draw(strokes[~up].numpy())
        image[:] = canvas.image()
    return torch.from_numpy(images).permute(0, 3, 1, 2)
