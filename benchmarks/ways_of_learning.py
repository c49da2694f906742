"""One agent that learns to draw in one of the ways that three_ways.py compares, looked at as time goes by.

A process of its own, so that it has its threads and its memory to itself: `python benchmarks/ways_of_learning.py RUN
FILE` with a run as JSON writes what came of it to the file, as JSON: MyPaint may print whatever it likes.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from neural_paint.agents import (
    Agent,
    Draughtsman,
    FusedRenderer,
    MyPaintRenderer,
    NeuralRenderer,
    Renderer,
    draw,
    open_targets,
)
from neural_paint.agents.evaluation import evaluate_drawings
from neural_paint.agents.model_free import Pictures, train_model_free
from neural_paint.agents.training.losses import picture_error
from neural_paint.allocation import keep_freed_memory
from neural_paint.painters import NeuralPainter
from neural_paint.training import ValidationData

RENDERERS: dict[str, Callable[[], Renderer]] = {
    "fused": FusedRenderer,
    "neural": lambda: NeuralRenderer(NeuralPainter.pretrained().freeze()),
    "ppo": FusedRenderer,
    "ppo-mypaint": lambda: MyPaintRenderer(threads=torch.get_num_threads()),
}
WITHOUT_GRADIENTS = ("ppo", "ppo-mypaint")
BATCH, LEARNING_RATE, WARM_UP = 32, 1e-3, 100
# What all ways lower; the last squares are 16 pixels wide.
drawing_error = partial(picture_error, doublings=4)
# The error of white paper next to a digit is about 1 of these, and 100 of those that gradients are taken of.
STEEPNESS = 100
# Part of the time after which the first look is taken.
FIRST = 0.01


@dataclass(frozen=True)
class Run:
    """What is learned, and how it is looked at.

    Attributes:
        way: one of `RENDERERS`.
        seed: of the weights, of the order of the pictures, and of what an agent tries.
        data: as `open_targets` knows it.
        seconds: of learning.
        threads: of torch and of MyPaint.
        strokes: of a drawing, connected and black.
        pictures: held out, that are drawn in a look; the first `in_mypaint` of them in MyPaint too.
        looks: evenly spaced in the logarithm of time.
        agent: further arguments of `Agent`.
    """

    way: str
    seed: int
    data: str = "mnist"
    seconds: float = 300.0
    threads: int = 1
    strokes: int = 8
    pictures: int = 1000
    in_mypaint: int = 200
    looks: int = 20
    agent: dict[str, Any] = field(default_factory=dict)


class State(NamedTuple):
    """An agent, and what it took so far: the time of looking at it is not counted."""

    agent: Draughtsman
    iterations: int
    drawings: int
    seconds: float


def learn(run: Run, training: Pictures, held_out: ValidationData) -> list[dict[str, Any]]:
    """The looks at one run, which learns from pictures and is looked at with others."""
    way = model_free if run.way in WITHOUT_GRADIENTS else differentiable
    renderer = RENDERERS[run.way]()
    marks = np.geomspace(FIRST * run.seconds, run.seconds, run.looks).tolist()
    records: list[dict[str, Any]] = []
    for state in way(run, training, renderer):
        passed = [mark for mark in marks if mark <= state.seconds]
        if passed:
            marks = marks[len(passed) :]
            drawn = partial(draw, state.agent, renderer)
            seen = evaluate_drawings(drawn, state.agent.mode, held_out, torch.empty(0), run.pictures, run.in_mypaint)
            known = {"mark": passed[-1], **state._asdict(), "mse": seen.mse, "mypaint_mse": seen.mypaint_mse}
            records.append({key: value for key, value in known.items() if key != "agent"})
    return records


def differentiable(run: Run, training: Pictures, renderer: Renderer) -> Iterator[State]:
    """Down the gradient that comes through the renderer."""
    torch.manual_seed(run.seed)
    agent = Agent(run.strokes, **run.agent).use_channels_last()
    optimizer = torch.optim.Adam(agent.parameters(), LEARNING_RATE)
    batches, spent = training.batches(BATCH, seed=run.seed), 0.0
    for iteration in itertools.count(1):
        begun = time.perf_counter()
        target = next(batches)[0].float() / 255
        rate = LEARNING_RATE * min(1, iteration / WARM_UP) * (1 + math.cos(math.pi * spent / run.seconds)) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        (STEEPNESS * drawing_error(draw(agent, renderer, target).canvas, target).mean()).backward()
        torch.nn.utils.clip_grad_norm_(agent.parameters(), 1.0)
        optimizer.step()
        spent += time.perf_counter() - begun
        yield State(agent, iteration, iteration * BATCH, spent)
        if spent >= run.seconds:
            return


def model_free(run: Run, training: Pictures, renderer: Renderer) -> Iterator[State]:
    """By trial: a stroke's reward is by how much it lowers the error that the other ways have gradients of."""
    learning = train_model_free(
        training,
        run.strokes,
        renderer=renderer,
        error=drawing_error,
        seconds=run.seconds,
        seed=run.seed,
        perception=run.agent,
    )
    return (State(step.agent, step.iterations, step.drawings, step.seconds) for step in learning)


def main(arguments: list[str]) -> None:
    run = Run(**json.loads(arguments[0]))
    torch.set_num_threads(run.threads)
    keep_freed_memory()
    training, held_out = open_targets(run.data)
    records = learn(run, training, held_out)
    first, _ = next(iter(held_out.once(run.pictures)))
    blank = float((1 - first.float() / 255).square().mean())
    result = {**dataclasses.asdict(run), "targets": training.digest, "blank": blank, "records": records}
    Path(arguments[1]).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
