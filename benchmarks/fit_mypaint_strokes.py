"""Fits the constants with which `decode_strokes` makes strokes of MyPaint's actions: gradient descent through `paint`.

    python benchmarks/fit_mypaint_strokes.py

The strokes are the real MyPaint's. To uniform actions, as the published ones are, come short strokes: they are rare
among those, but a painter may well want to make a dot. Prints the constants for neural_paint/stroke_vectors.py, and
leaves errors on strokes held out in benchmarks/results/fit.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from neural_paint import Strokes, mypaint, paint, reference
from neural_paint.painters.actions import CONTROL, END, ENTRY_PRESSURE, PRESSURE, SIZE, START, STROKE_SIZE
from neural_paint.stroke_vectors import KINDS, MYPAINT_BRUSH, MyPaintBrush

RESULTS = Path(__file__).parent / "results" / "fit" / "mypaint_strokes.json"
# Greatest distance of a short stroke's points, as a share of the canvas.
SHORT = 0.25
# Short strokes for one of the others.
SHORT_SHARE = 0.125
STEP = 0.02


class Pictures(NamedTuple):
    actions: Tensor  # (n, 12)
    images: Tensor  # (n, 3, 64, 64)

    def part(self, begin: int, end: int | None = None) -> Pictures:
        return Pictures(self.actions[begin:end], self.images[begin:end])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Fit the constants of MyPaint's brush.")
    parser.add_argument("--strokes", type=int, default=800, help="to fit to")
    parser.add_argument("--held-out", type=int, default=400, help="to measure errors on")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    random = np.random.default_rng(options.seed)
    count = options.strokes + options.held_out
    uniform = painted(random.random((count, 12)))
    short_count = round(SHORT_SHARE * options.strokes)
    short = painted(short_actions(2 * short_count, random))
    brush = fit([uniform.part(0, options.strokes), short.part(0, short_count)], options.steps)
    held_out = {"uniform": uniform.part(options.strokes), "short": short.part(short_count)}
    result = {
        "strokes": mypaint.DEFAULT_BRUSH,
        "fitted to": options.strokes,
        "constants": brush._asdict(),
        "held out": {name: compare(pictures, brush) for name, pictures in held_out.items()},
    }
    text = json.dumps(result, indent=1)
    print(text, brush, sep="\n")
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(text + "\n", encoding="utf-8")


def pictures(actions: Any, strokes: Any) -> Pictures:
    images = torch.from_numpy(np.ascontiguousarray(strokes)).permute(0, 3, 1, 2) / 255
    return Pictures(torch.as_tensor(actions, dtype=torch.float32), images.contiguous())


def painted(actions: Any) -> Pictures:
    return pictures(actions, mypaint.paint_actions(actions))


def painted_again(actions: Any) -> Pictures:
    """With one brush for all of them, whose random numbers go on: other speckle."""
    canvas, images = mypaint.Canvas((STROKE_SIZE, STROKE_SIZE), fresh=False), []
    for action in actions:
        canvas.draw(action[None])
        images.append(canvas.image())
    return pictures(actions, np.stack(images))


def short_actions(count: int, random: np.random.Generator) -> Any:
    """Uniform actions whose three points lie near each other."""
    actions = random.random((count, 12))
    center, extent = 0.15 + 0.7 * random.random((count, 2)), SHORT * random.random((count, 1))
    for field in (START, CONTROL, END):
        actions[:, field.slice] = center + extent * (actions[:, field.slice] - 0.5)
    return actions


def render(actions: Tensor, brush: MyPaintBrush | Any) -> Tensor:
    """What `decode_strokes` and `paint` make of actions, each on a white canvas; the brush may be of tensors."""
    numbers = reference.decode_strokes(actions[:, None], "mypaint", (STROKE_SIZE, STROKE_SIZE), brush)
    return on_white(Strokes(**KINDS["mypaint"].split(numbers)))


def on_white(strokes: Strokes) -> Tensor:
    return paint(strokes, strokes.points.new_ones(strokes.batch_size, 3, STROKE_SIZE, STROKE_SIZE))


def plain(actions: Tensor) -> Tensor:
    """What the actions say by themselves: a stroke as wide as the brush, as opaque as the pressure."""
    numbers = reference.decode_strokes(actions[:, None], "mypaint", (STROKE_SIZE, STROKE_SIZE))
    fields = KINDS["mypaint"].split(numbers)
    start, control, end = (field.values(actions) for field in (START, CONTROL, END))
    fields["points"] = torch.stack([start, 2 * control - (start + end) / 2, end], 1)[:, None]
    fields["radius"] = SIZE.values(actions).exp().expand(-1, 2)[:, None]
    fields["opacity"] = torch.cat([ENTRY_PRESSURE.values(actions), PRESSURE.values(actions)], 1)[:, None]
    fields["feather"] = torch.ones(len(actions), 1)
    return on_white(Strokes(**fields))


def fit(parts: Sequence[Pictures], steps: int) -> MyPaintBrush:
    """The constants with the least mean squared error; each part counts by its pixels."""
    constants = MyPaintBrush(*(torch.tensor(value, requires_grad=True) for value in MYPAINT_BRUSH))
    actions, images = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    adam = torch.optim.Adam(constants, lr=STEP)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(steps):
        adam.zero_grad()
        (render(actions, constants) - images).square().mean().backward()
        adam.step()
        schedule.step()
    return MyPaintBrush(*(round(constant.item(), 4) for constant in constants))


def compare(truth: Pictures, brush: MyPaintBrush) -> dict[str, dict[str, float]]:
    """Errors of ours on strokes held out; of the plain reading; of no stroke; and of MyPaint painting them again."""
    candidates = {
        "decode_strokes": render(truth.actions, brush),
        "plain": plain(truth.actions),
        "white": torch.ones_like(truth.images),
        "MyPaint again": painted_again(truth.actions.double().numpy()).images,
    }
    return {name: errors(images, truth.images) for name, images in candidates.items()}


def errors(images: Tensor, truth: Tensor) -> dict[str, float]:
    """Mean squared error per value; mean correlation over the strokes (0 where nothing is painted); ratio of ink."""
    ink, true_ink = 1 - images.flatten(1), 1 - truth.flatten(1)
    centered, true_centered = ink - ink.mean(1, True), true_ink - true_ink.mean(1, True)
    norms = (centered.norm(dim=1) * true_centered.norm(dim=1)).clamp(min=1e-9)
    return {
        "mse": round((ink - true_ink).square().mean().item(), 6),
        "correlation": round(((centered * true_centered).sum(1) / norms).mean().item(), 4),
        "ink": round((ink.sum() / true_ink.sum()).item(), 4),
    }


if __name__ == "__main__":
    main()
