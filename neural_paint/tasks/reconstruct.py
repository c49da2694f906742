"""Paint a photograph: strokes placed where the error is, coarse to fine, all optimised together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from neural_paint.action_strokes import AnyStrokes
from neural_paint.brushes import BRUSHES, BitmapBrush, Brush
from neural_paint.painters.actions import COLOR
from neural_paint.painters.base import NeuralPainter
from neural_paint.tasks.brush_parameters import AnyBrush, finest_radius
from neural_paint.tasks.checks import check_budget, check_painter, check_photo, check_strokes
from neural_paint.tasks.painting import Painting
from neural_paint.tasks.schedule import Budget, Wave, rate, waves

DEFAULT_STEPS = 500


@dataclass(frozen=True)
class Step:
    """The painting after one step of `reconstruct`, detached; later steps do not change it.

    Attributes:
        index: steps before this one.
        progress: share of the budget that is used up, in (0, 1]; 1 in the last step.
        strokes: (B, n) strokes in pixels of the canvas, n growing to the number asked for; the broad ones come first.
            `strokes.scaled(factor)` is the painting at another size.
        canvas: (B, C, H, W) the strokes painted over `background`, to within rounding. A bitmap brush with more than 96
            texels along a side is optimised as a copy reduced to so many, and a neural painter that has masks of any
            size with few texels: there it is, but in the last step, the painting with these, whose error is a little
            lower.
        background: (B, C) colours under the first stroke.
        mse: (B,) mean squared error of each canvas.
    """

    index: int
    progress: float
    strokes: AnyStrokes
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
    brush: str | AnyBrush = "round",
    seed: int = 0,
) -> Iterator[Step]:
    """Paint photographs with brush strokes; a generator that yields the painting at every step of the optimisation.

        for step in reconstruct(photo, strokes=1000, steps=600):
            print(step.index, step.psnr)
        save_image("painting.png", step.canvas)

    The caller may stop at any time: what was yielded last is a valid painting. With `steps`, equal arguments give the
    same bits on the same CPU, and on the same GPU under `torch.use_deterministic_algorithms(True)`, without which sums
    are taken there in any order; with `seconds` they cannot. On a GPU the steps are replayed as a CUDA graph
    (docs/gpu.md).

    Args:
        photo: (B, C, H, W) floating tensor in [0, 1], on the device to work on. Each photograph of a batch gets its own
            strokes.
        strokes: strokes on each canvas, at least 1.
        steps: steps of optimisation; 500 where neither budget is given.
        seconds: time to spend in here instead, without what the caller does between steps. All strokes are placed,
            however short it is.
        fit: longest side of the canvas to optimise on; the photographs' own size by default. Finer details are lost,
            and the time taken is in proportion to the canvas.
        brush: name in `neural_paint.brushes.BRUSHES`: "round" paints plain strokes, the others textured ones. Or a
            brush itself: with a `BitmapBrush`, such as `neural_paint.io.load_brush` returns, the strokes are `Stamps`.
            Or a neural painter, such as `neural_paint.painters.load_painter` returns, for photographs in its dtype, on
            its device: the strokes are `ActionStrokes`, which the painting program can execute.
        seed: of the random numbers that spread the strokes.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range (at the call, not at the first step).
    """
    _check(photo, strokes, steps, seconds, fit)
    photo = photo.detach() if photo.dtype == torch.float64 else photo.detach().float()
    brush = _brush(brush, photo)
    if fit is not None and fit != max(photo.shape[2:]):
        photo = _resize(photo, fit)
    budget = Budget(DEFAULT_STEPS if steps is None else steps, seconds, photo.device)
    painting = Painting(photo.contiguous(), strokes, brush, torch.Generator().manual_seed(seed))
    return _optimise(painting, waves(strokes, finest_radius(brush)), budget)


def _check(photo: Tensor, strokes: int, steps: int | None, seconds: float | None, fit: int | None) -> None:
    check_photo("photo", photo)
    check_strokes(strokes)
    check_budget(steps, seconds)
    if fit is not None and fit < 1:
        raise ValueError(f"fit must be at least 1, got {fit}")


def _brush(brush: str | AnyBrush, photo: Tensor) -> AnyBrush:
    if isinstance(brush, NeuralPainter):
        if photo.shape[1] != COLOR.size:
            raise ValueError(f"photo must have {COLOR.size} channels for a neural painter, got {photo.shape[1]}")
        check_painter("brush", brush, photo)
        return brush
    if isinstance(brush, (Brush, BitmapBrush)):
        return brush
    if not isinstance(brush, str):
        kinds = "a name, a Brush, a BitmapBrush or a NeuralPainter"
        raise TypeError(f"brush must be {kinds}, got {type(brush).__name__}")
    if brush not in BRUSHES:
        names = ", ".join(BRUSHES)
        raise ValueError(f"brush must be one of {names}, or what neural_paint.io.load_brush returns, got {brush!r}")
    return BRUSHES[brush]


def _resize(photo: Tensor, longest: int) -> Tensor:
    size = [max(1, round(side * longest / max(photo.shape[2:]))) for side in photo.shape[2:]]
    return F.interpolate(photo, size, mode="bilinear", antialias=True).clamp_(0, 1)


def _optimise(painting: Painting, waves: list[Wave], budget: Budget) -> Iterator[Step]:
    while True:
        budget.begin_step()
        is_last = budget.is_last
        while waves and (is_last or budget.progress >= waves[0].begin):
            painting.begin_wave(waves.pop(0))
        strokes, mse = painting.step(rate(budget.progress), is_last=is_last)
        budget.end_step()
        progress = 1.0 if is_last else budget.progress
        yield Step(budget.index - 1, progress, strokes, painting.canvas, painting.background.flatten(1), mse)
        if is_last:
            return
