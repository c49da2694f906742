"""Paint a photograph: strokes placed where the error is, coarse to fine, all optimised together."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from neural_paint.ops.paint import paint
from neural_paint.strokes import Strokes
from neural_paint.tasks.parameters import MIN_RADIUS, StrokeParameters
from neural_paint.tasks.placement import place, stroke_worth

DEFAULT_STEPS = 500


class _Wave(NamedTuple):
    begin: float  # share of the budget spent before it
    share: float  # of all strokes, placed when it has begun
    radius: float  # of its strokes, in spacings


# Three waves from coarse to fine, then more chances for the strokes that turned out to be of little use.
_WAVES = (
    _Wave(0.0, 0.1, 1.5),
    _Wave(0.07, 0.4, 0.7),
    _Wave(0.18, 1.0, 0.22),
    *(_Wave(begin, 1.0, 0.22) for begin in (0.27, 0.36, 0.45, 0.55, 0.65)),
)
# Share of the strokes that each wave takes up and places anew.
_RELOCATED = 0.1
# Steps are full until this share of the budget, then shrink to nothing.
_DECAY_FROM = 0.5
# Bounds the size of strokes and steps where there are fewer strokes than the square of this.
_MIN_STROKES_PER_SIDE = 8


@dataclass(frozen=True)
class Step:
    """The painting after one step of `reconstruct`, detached; later steps do not change it.

    Attributes:
        index: steps before this one.
        progress: share of the budget that is used up, in (0, 1]; 1 in the last step.
        strokes: (B, n) strokes in pixels of the canvas, n growing to the number asked for; the broad ones come first.
            `strokes.scaled(factor)` is the painting at another size.
        canvas: (B, C, H, W) the strokes painted over `background`.
        background: (B, C) colours under the first stroke.
        mse: (B,) mean squared error of each canvas.
    """

    index: int
    progress: float
    strokes: Strokes
    canvas: Tensor
    background: Tensor
    mse: Tensor

    @property
    def psnr(self) -> float:
        """Peak signal-to-noise ratio in dB, the mean over the batch; synchronises with the device."""
        return float(-10 * self.mse.clamp(min=1e-12).log10().mean())


def reconstruct(
    photo: Tensor,
    strokes: int = 500,
    *,
    steps: int | None = None,
    seconds: float | None = None,
    fit: int | None = None,
    seed: int = 0,
) -> Iterator[Step]:
    """Paint photographs with Bezier strokes; a generator that yields the painting at every step of the optimisation.

        for step in reconstruct(photo, strokes=1000, steps=600):
            print(step.index, step.psnr)
        save_image("painting.png", step.canvas)

    The caller may stop at any time: what was yielded last is a valid painting. With `steps`, equal arguments give the
    same bits on the same machine; with `seconds`, they cannot.

    Args:
        photo: (B, C, H, W) floating tensor in [0, 1], on the device to work on. Each photograph of a batch gets its own
            strokes.
        strokes: strokes on each canvas, at least 1.
        steps: steps of optimisation; 500 where neither budget is given.
        seconds: time to spend in here instead, without what the caller does between steps. All strokes are placed,
            however short it is.
        fit: longest side of the canvas to optimise on; the photographs' own size by default. Finer details are lost,
            and the time taken is in proportion to the canvas.
        seed: of the random numbers that spread the strokes.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range (at the call, not at the first step).
    """
    _check(photo, strokes, steps, seconds, fit)
    photo = photo.detach() if photo.dtype == torch.float64 else photo.detach().float()
    if fit is not None and fit != max(photo.shape[2:]):
        photo = _resize(photo, fit)
    return _optimise(photo.contiguous(), strokes, _Budget(steps, seconds), torch.Generator().manual_seed(seed))


def _check(photo: Tensor, strokes: int, steps: int | None, seconds: float | None, fit: int | None) -> None:
    if not isinstance(photo, Tensor) or not photo.is_floating_point():
        raise TypeError(f"photo must be a floating tensor, got {getattr(photo, 'dtype', type(photo).__name__)}")
    if photo.ndim != 4 or photo.numel() == 0:
        raise ValueError(f"photo must have shape (B, C, H, W) without an empty side, got {tuple(photo.shape)}")
    if not ((photo >= 0) & (photo <= 1)).all():
        raise ValueError("photo must be in [0, 1], got values outside or nan")
    if strokes < 1:
        raise ValueError(f"strokes must be at least 1, got {strokes}")
    if steps is not None and seconds is not None:
        raise ValueError("steps and seconds exclude each other")
    if steps is not None and steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    if seconds is not None and not 0 < seconds < math.inf:
        raise ValueError(f"seconds must be > 0 and finite, got {seconds}")
    if fit is not None and fit < 1:
        raise ValueError(f"fit must be at least 1, got {fit}")


def _resize(photo: Tensor, longest: int) -> Tensor:
    size = [max(1, round(side * longest / max(photo.shape[2:]))) for side in photo.shape[2:]]
    return F.interpolate(photo, size, mode="bilinear", antialias=True).clamp_(0, 1)


class _Budget:
    """Steps or seconds, and how much of them is used up."""

    def __init__(self, steps: int | None, seconds: float | None) -> None:
        self._steps = DEFAULT_STEPS if steps is None else steps
        self._seconds = seconds
        self._begun = time.perf_counter()
        self._duration = 0.0
        self.spent = 0.0
        self.index = 0

    def begin_step(self) -> None:
        self._begun = time.perf_counter()

    def end_step(self) -> None:
        self._duration = time.perf_counter() - self._begun
        self.spent += self._duration
        self.index += 1

    @property
    def progress(self) -> float:
        """Share used up by the steps that have ended."""
        return self.index / self._steps if self._seconds is None else min(self.spent / self._seconds, 1.0)

    @property
    def is_last(self) -> bool:
        """Whether only one more step fits, if it takes as long as the one before."""
        if self._seconds is None:
            return self.index + 1 >= self._steps
        return self.spent + self._duration >= self._seconds


class _Painting:
    """Photographs, the strokes that paint them so far, and the canvas with these strokes on it."""

    def __init__(self, photo: Tensor, strokes: int, generator: torch.Generator) -> None:
        batch, channels, height, width = photo.shape
        side = math.sqrt(height * width)
        # A few strokes do not each get the whole width that is theirs: one of that size fits no picture.
        self._spacing = side / max(math.sqrt(strokes), _MIN_STROKES_PER_SIDE)
        self._photo = photo
        self._strokes = strokes
        self._generator = generator
        self._moved = False
        self.background = photo.mean((2, 3), keepdim=True).clamp(0, 1)
        self._under = self.background.expand_as(photo).contiguous()
        self.canvas = self._under
        self.parameters = StrokeParameters(batch, channels, self._spacing, photo)

    def begin_wave(self, wave: _Wave) -> None:
        """Take up the strokes that are worth least, and place these and the wave's own where the error is."""
        if self._moved:
            self._take_up(int(_RELOCATED * self.parameters.count))
        missing = max(round(wave.share * self._strokes), 1) - self.parameters.count
        if missing == 0:
            return
        radius = max(wave.radius * self._spacing, MIN_RADIUS)
        placement = place(self._photo, self.canvas, missing, radius, self._generator)
        self.parameters.append(placement.points, placement.color, radius)
        self.canvas = paint(self.parameters.strokes(), self._under)
        self._moved = False

    def _take_up(self, count: int) -> None:
        worth = stroke_worth(self.parameters.strokes(), self._under, self._photo, self._generator)
        self.parameters.keep(worth.argsort(1)[:, count:].sort(1).values)
        self.canvas = paint(self.parameters.strokes(), self._under)

    @torch.enable_grad()
    def evaluate(self) -> tuple[Strokes, Tensor, Tensor]:
        """The strokes, the mean squared error of each canvas, and the gradient with respect to the parameters."""
        rows = self.parameters.rows.clone().requires_grad_()
        strokes = self.parameters.strokes(rows)
        canvas = paint(strokes, self._under)
        error = (canvas - self._photo).square()
        # The sum, not the mean: Adam does not mind, and gradients stay far above its epsilon.
        (grad,) = torch.autograd.grad(error.sum(), rows)
        self.canvas = canvas.detach()
        return strokes.detach(), error.detach().mean((1, 2, 3)), grad

    def update(self, grad: Tensor, rate: float) -> None:
        self.parameters.update(grad, rate)
        self._moved = True


def _optimise(photo: Tensor, strokes: int, budget: _Budget, generator: torch.Generator) -> Iterator[Step]:
    painting = _Painting(photo, strokes, generator)
    waves = list(_WAVES)
    while True:
        is_last = budget.is_last
        while waves and (is_last or budget.progress >= waves[0].begin):
            painting.begin_wave(waves.pop(0))
        painted, mse, grad = painting.evaluate()
        budget.end_step()
        progress = 1.0 if is_last else budget.progress
        yield Step(budget.index - 1, progress, painted, painting.canvas, painting.background.flatten(1), mse)
        if is_last:
            return
        budget.begin_step()
        painting.update(grad, _rate(progress))


def _rate(progress: float) -> float:
    """Size of the steps: full at first, then along half a cosine to nothing."""
    decay = max(0.0, progress - _DECAY_FROM) / (1 - _DECAY_FROM)
    return (1 + math.cos(math.pi * decay)) / 2
