"""Pictures of the experiment on discrete actions: three plots, and three contact sheets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import torch
import torch.nn.functional as F
from discrete_training import SPACE
from matplotlib import pyplot as plt
from torch import Tensor

from neural_paint.agents.discrete import draw_with_lift, with_lift
from neural_paint.contact_sheet import contact_sheet
from neural_paint.io import save_image
from neural_paint.painters import NeuralPainter
from neural_paint.painters.actions import SIZE

# Pictures (n, 3, 64, 64) in [0, 1], by what is said of them.
Shown = dict[str, Tensor]
# Strokes that fade, at these lifts; and strokes of sizes from a level over another to a third.
_FADING, _GROWING, _LEVELS = 5, 2, (5, 7)
_LIFTS = (0.0, 0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.75, 1.0)
_PANEL = 96


def draw_pictures(
    folder: Path, report: dict[str, Any], painters: dict[str, NeuralPainter], actions: Tensor, drawn: Shown
) -> None:
    """Write them all, as discrete_lift, discrete_size and discrete_agents, .png and .jpg.

    Args:
        actions: strokes to show, of which those with more ink than three quarters of them are.
        drawn: drawings of agents.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plot_lift(report["lift"], folder / "discrete_lift.png")
    plot_size(report["size"], folder / "discrete_size.png")
    plot_agents(report["agents"]["runs"], folder / "discrete_agents.png")
    ink = (255 - draw_with_lift(actions[:, None]).float()).mean((1, 2, 3))
    actions = actions[ink.argsort(descending=True)[: len(actions) // 4]]
    with torch.no_grad():
        save_image(folder / "discrete_lift.jpg", fading(painters["discrete"], actions[-_FADING:]))
        save_image(folder / "discrete_size.jpg", growing(painters, actions[-_GROWING:]))
    titles = [title if not column else "" for title, row in drawn.items() for column in range(len(row))]
    columns = len(next(iter(drawn.values())))
    save_image(folder / "discrete_agents.jpg", contact_sheet(enlarged(drawn.values()), titles, columns))


def fading(painter: NeuralPainter, actions: Tensor) -> Tensor:
    """A row for each stroke, a column for each lift."""
    lifts = torch.tensor(_LIFTS)[:, None]
    rows = [painter(with_lift(action.expand(len(lifts), -1), lifts)) for action in actions]
    titles = [f"{lift:g}" for lift in _LIFTS] + [""] * (len(lifts) * (len(rows) - 1))
    return contact_sheet(enlarged(rows), titles, len(lifts))


def growing(painters: dict[str, NeuralPainter], actions: Tensor) -> Tensor:
    """Rows for each stroke, MyPaint's and the painters'; a column for each quarter of the way to the next level."""
    sizes = torch.arange(4 * _LEVELS[0], 4 * _LEVELS[1] + 1)[:, None] / 4
    rows: list[Tensor] = []
    for action in actions:
        sized = SIZE.replaced(action.expand(len(sizes), -1), sizes / (SPACE.levels - 1))
        rows += [draw_with_lift(each[:, None]) / 255 for each in (sized, SPACE.quantise(sized))]
        rows += [painter(sized) for painter in painters.values()]
    names = ["MyPaint", "executed", *painters] * len(actions)
    titles = [f"{name}, {float(size):g}" for name in names for size in sizes]
    return contact_sheet(enlarged(rows), titles, len(sizes))


def enlarged(rows: Sequence[Tensor]) -> list[Tensor]:
    return [F.interpolate(picture[None].clamp(0, 1), size=_PANEL, mode="bilinear") for row in rows for picture in row]


def plot_lift(lift: dict[str, Any], path: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
    low, _, high = zip(*lift["quartiles"], strict=True)
    left.fill_between(lift["lift"], low, high, alpha=0.25, label="middle half of the strokes")
    left.plot(lift["lift"], lift["ink"], label="painter")
    left.plot([0, 0.5, 0.5, 1], [1, 1, 0, 0], "k:", label="MyPaint")
    left.set(xlabel="lift", ylabel="ink, next to lift 0", ylim=(-0.05, 1.5))
    right.semilogy(lift["lift"], lift["slope"], label="of the ink, by the lift")
    right.semilogy(lift["lift"], lift["pull"], label="of the pixels, by the points; next to lift 0")
    right.set(xlabel="lift", ylabel="gradient")
    finished(figure, path)


def plot_size(size: dict[str, Any], path: Path) -> None:
    figure, axes = plt.subplots(2, 2, figsize=(9, 5.6), sharex=True, sharey="row")
    for row, (errors, what) in zip(
        axes, ((size, "of pixels"), (size["coarse"], "of squares of 8 pixels")), strict=True
    ):
        for axis, painter in zip(row, ("discrete", "continuous"), strict=True):
            axis.plot(size["size"], errors[f"{painter} of_size"], label=f"{painter} painter, MyPaint at that size")
            axis.plot(size["size"], errors[f"{painter} executed"], label=f"{painter} painter, MyPaint at a level")
            axis.plot(size["size"], errors["rounding"], "k:", label="MyPaint at that size and at a level")
            for level in SPACE.sizes.tolist():
                axis.axvline(level, color="0.9", zorder=0)
        row[0].set(ylabel=f"mean squared error\n{what}")
    for axis in axes[1]:
        axis.set(xlabel="size")
    finished(figure, path, axes[0])


def plot_agents(runs: list[dict[str, Any]], path: Path) -> None:
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.4))
    names = list(dict.fromkeys(run["agent"] for run in runs))
    for run in runs:
        way, color = run["way"], f"C{names.index(run['agent'])}"
        # A legend of one line for all seeds.
        label = run["agent"] if run["seed"] == 0 else None
        for axis, key in zip(axes, ("lift", "ink", "mse"), strict=True):
            axis.plot(way["share of steps"], way[key], color=color, label=label, alpha=0.8)
    for axis, title in zip(axes, ("mean lift", "ink, next to the picture's", "mean squared error"), strict=True):
        axis.set(xlabel="share of the training", title=title)
    axes[2].set(yscale="log")
    finished(figure, path, axes[:1])


def finished(figure: plt.Figure, path: Path, with_legend: Sequence[plt.Axes] | None = None) -> None:
    for axis in with_legend if with_legend is not None else figure.axes:
        axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
