"""What the experiment on discrete actions measures of painters: lifts between 0 and 1, sizes between two levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from neural_paint.agents.discrete import LIFT, DiscreteActions, draw_with_lift, with_lift
from neural_paint.painters import NeuralPainter
from neural_paint.painters.actions import CONTROL, END, SIZE, START, STROKE_SIZE

# Slopes below this share of the steepest one, or of the first, count as none.
FLAT = 0.01
_SQUARE = 8


def sweep_lift(painter: NeuralPainter, actions: Tensor, lifts: Tensor) -> dict[str, Any]:
    """What a painter makes of strokes (n, 12) at every lift, and what gradients are left.

    Returns:
        lists over the lifts: `ink`, darkness of all strokes next to that at the first lift, and its `quartiles` over
        strokes; `slope`, mean size of the derivative of a stroke's ink by the lift; `pull`, mean size of the gradient
        of random sums of pixels by the stroke's three points, next to that at the first lift; `drift`, mean distance of
        the ink's centre from where it was at the first lift, in pixels. And three lifts: `half`, where half of the ink
        is gone; `slope_is_flat` and `pull_is_flat`, from which on less than 1 % is left of the steepest slope, of the
        first pull.
    """
    probes = torch.randn(len(actions), 3, STROKE_SIZE, STROKE_SIZE, generator=torch.Generator().manual_seed(0))
    looks = [_look(painter, with_lift(actions, float(lift)), probes) for lift in lifts]
    inks, slopes, pulls, centres = (torch.stack(each) for each in zip(*looks, strict=True))
    ink, slope, pull = inks.sum(1) / inks[0].sum(), slopes.mean(1) / inks[0].mean(), pulls.mean(1) / pulls[0].mean()
    drift = (centres - centres[0]).norm(dim=2).mean(1)
    quartiles = torch.quantile(inks / inks[0], torch.tensor([0.25, 0.5, 0.75]), dim=1).T
    lists = {"lift": lifts, "ink": ink, "quartiles": quartiles, "slope": slope, "pull": pull, "drift": drift}
    return {
        **{name: rounded(values) for name, values in lists.items()},
        "half": crossing(lifts, ink, 0.5),
        "slope_is_flat": flat_from(lifts, slope, FLAT * float(slope.max())),
        "pull_is_flat": flat_from(lifts, pull, FLAT),
    }


def _look(painter: NeuralPainter, actions: Tensor, probes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of each stroke: ink, size of its slope, size of the pull on its points, centre of its ink."""
    actions = actions.clone().requires_grad_()
    dark = 1 - painter(actions)
    ink = dark.mean((1, 2, 3))
    (by_ink,) = torch.autograd.grad(ink.sum(), actions, retain_graph=True)
    (by_probe,) = torch.autograd.grad((probes * dark).sum(), actions)
    points = torch.cat([by_probe[:, field.slice] for field in (CONTROL, END, START)], 1)
    dark, pixel = dark.detach().mean(1), torch.arange(STROKE_SIZE) + 0.5
    centre = (
        torch.stack([(dark.sum(1) * pixel).sum(1), (dark.sum(2) * pixel).sum(1)], 1)
        / dark.sum((1, 2)).clamp(min=1e-6)[:, None]
    )
    return ink.detach(), by_ink[:, LIFT.start].abs(), points.norm(dim=1), centre


def crossing(places: Tensor, values: Tensor, level: float) -> float | None:
    """Where values first fall to a level, in a straight line from one place to the next; None: nowhere."""
    below = (values <= level).nonzero()
    if not len(below) or not below[0]:
        return None
    after = int(below[0])
    (a, b), (left, right) = values[after - 1 : after + 1].tolist(), places[after - 1 : after + 1].tolist()
    return round(left + (right - left) * (a - level) / (a - b), 4)


def flat_from(places: Tensor, values: Tensor, level: float) -> float | None:
    """The first place from which on all values are below a level; None: there is none."""
    above = (values >= level).nonzero()
    first = int(above[-1]) + 1 if len(above) else 0
    return None if first == len(places) else round(float(places[first]), 4)


@torch.no_grad()
def sweep_size(
    painters: Mapping[str, NeuralPainter], actions: Tensor, space: DiscreteActions, parts: int = 4
) -> dict[str, Any]:
    """Mean squared errors of strokes (n, 12) at sizes on and between the levels of a space.

    Args:
        parts: equal ones that the way from a level to the next is divided in.

    Returns:
        `size`, and lists over the sizes: for each painter its error next to MyPaint at that size (`of_size`) and next
        to MyPaint at the nearest level, which is what can be executed (`executed`); `rounding`, the error of MyPaint at
        the nearest level next to MyPaint at that size. `coarse` has all of them for averages of squares of 8 pixels,
        in which speckle, that no painter can know, counts less. `summary` has the means of both kinds at the levels and
        between.
    """
    count = parts * (space.levels - 1) + 1
    sizes = torch.linspace(0, 1, count)
    fine: dict[str, list[Tensor]] = {}
    coarse: dict[str, list[Tensor]] = {}
    for size in sizes:
        sized = SIZE.replaced(actions, torch.full_like(actions[:, SIZE.slice], float(size)))
        exact, executed = (draw_with_lift(each[:, None]) / 255 for each in (sized, space.quantise(sized)))
        differences = {"rounding": executed - exact}
        for name, painter in painters.items():
            painted = painter(sized)
            differences |= {f"{name} of_size": painted - exact, f"{name} executed": painted - executed}
        for name, difference in differences.items():
            fine.setdefault(name, []).append(difference.square().mean())
            coarse.setdefault(name, []).append(F.avg_pool2d(difference, _SQUARE).square().mean())
    at_level = torch.arange(count) % parts == 0
    return {"size": rounded(sizes), **_with_summary(fine, at_level), "coarse": _with_summary(coarse, at_level)}


def _with_summary(errors: Mapping[str, Sequence[Tensor]], at_level: Tensor) -> dict[str, Any]:
    lists = {name: torch.stack([*values]) for name, values in errors.items()}
    summary = {
        name: {"levels": rounded(values[at_level].mean()), "between": rounded(values[~at_level].mean())}
        for name, values in lists.items()
    }
    return {**{name: rounded(values) for name, values in lists.items()}, "summary": summary}


def rounded(values: Tensor, digits: int = 6) -> Any:
    """A number, or lists of numbers, for a file to be read."""
    return _rounded(values.tolist(), digits)


def _rounded(values: float | Sequence[Any], digits: int) -> Any:
    return round(values, digits) if isinstance(values, float) else [_rounded(value, digits) for value in values]
