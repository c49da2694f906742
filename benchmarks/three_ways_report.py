"""What came of three_ways.py, as a table in Markdown and as a plot of error against time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter
from table import markdown, number

THRESHOLDS = (0.07, 0.05, 0.03, 0.02)
NAMES = {
    "fused": "through the fused renderer",
    "neural": "through a neural painter",
    "ppo": "PPO, fused renderer",
    "ppo-mypaint": "PPO, MyPaint",
}
# Of Okabe and Ito: told apart by every eye.
COLORS = {"fused": "#0072B2", "neural": "#009E73", "ppo": "#D55E00", "ppo-mypaint": "#CC79A7"}
# Where the axes get numbers.
TIMES = tuple(first * 10**power for power in range(-2, 6) for first in (1, 3))
ERRORS = (0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.15, 0.2)

# A run of a way with a seed, as ways_of_learning.py prints it, and one look at it.
Result = dict[str, Any]
Look = dict[str, Any]


def table(runs: Sequence[Result]) -> str:
    """A row of each way: means over its seeds; the least error and its range, and the seconds to reach others."""
    head = ["way", "seeds", "drawings", "best MSE", "in MyPaint", *(f"s to {threshold}" for threshold in THRESHOLDS)]
    rows = []
    for way, members in _ways(runs):
        last = [run["records"][-1] for run in members]
        best, in_mypaint = (
            [min(values) for run in members if (values := _values(run, key))] for key in ("mse", "mypaint_mse")
        )
        times = [_reached([_seconds_to(run, threshold) for run in members]) for threshold in THRESHOLDS]
        drawings = f"{fmean(look['drawings'] for look in last):,.0f}"
        rows.append([NAMES[way], str(len(members)), drawings, _span(best), _span(in_mypaint), *times])
    return markdown(head, rows, numeric=len(head) - 1) + "\n"


def plot(runs: Sequence[Result], path: Path) -> None:
    """Mean and range over the seeds of each way: in its own renderer, and dashed in MyPaint."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot(xscale="log", yscale="log", xlabel="seconds of training", ylabel="mean squared error")
    for way, members in _ways(runs):
        _line(axes, members, "mse", color=COLORS[way], label=NAMES[way])
        if all(_values(run, "mypaint_mse") for run in members):
            _line(axes, members, "mypaint_mse", color=COLORS[way], linestyle="--")
    axes.plot([], [], color="grey", linestyle="--", label="the same strokes in MyPaint")
    axes.axhline(runs[0]["blank"], color="grey", linestyle=":", label="white paper")
    for axis, ticks, (low, high) in ((axes.xaxis, TIMES, axes.get_xlim()), (axes.yaxis, ERRORS, axes.get_ylim())):
        axis.set_ticks([tick for tick in ticks if low <= tick <= high])
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _line(axes: Axes, runs: Sequence[Result], key: str, *, color: str, **style: Any) -> None:
    # A slow iteration passes a mark by: what all seeds were looked at for is comparable.
    looks = [{look["mark"]: look for look in run["records"]} for run in runs]
    marks = sorted(set.intersection(*(set(by_mark) for by_mark in looks)))

    def each(reduce: Callable[[list[float]], float], name: str) -> list[float]:
        return [reduce([by_mark[mark][name] for by_mark in looks]) for mark in marks]

    seconds = each(fmean, "seconds")
    axes.plot(seconds, each(fmean, key), color=color, **style)
    axes.fill_between(seconds, each(min, key), each(max, key), color=color, alpha=0.15, linewidth=0)


def _ways(runs: Sequence[Result]) -> list[tuple[str, list[Result]]]:
    ordered = sorted(runs, key=lambda run: list(NAMES).index(run["way"]))
    return [(way, list(members)) for way, members in groupby(ordered, key=lambda run: run["way"])]


def _values(run: Result, key: str) -> list[float]:
    return [look[key] for look in run["records"] if look[key] is not None]


def _seconds_to(run: Result, threshold: float) -> float | None:
    return next((look["seconds"] for look in run["records"] if look["mse"] <= threshold), None)


def _span(values: Sequence[float]) -> str:
    if len(values) < 2:
        return "".join(f"{value:.4f}" for value in values)
    return f"{fmean(values):.4f} ({min(values):.4f} to {max(values):.4f})"


def _reached(seconds: Sequence[float | None]) -> str:
    """The mean of those that got there, and how many did where not all."""
    known = [value for value in seconds if value is not None]
    if not known:
        return "never"
    return number(fmean(known)) + (f" ({len(known)} of {len(seconds)})" if len(known) < len(seconds) else "")
