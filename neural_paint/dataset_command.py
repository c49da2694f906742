"""`neural-paint dataset`: strokes of the real MyPaint, for neural painters to learn from."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from neural_paint.cli_options import within
from neural_paint.mypaint import DEFAULT_BRUSH
from neural_paint.mypaint.dataset import DEFAULT_SHARD, MAX_SHARD, Recipe, make_dataset
from neural_paint.progress import Progress, reason, say
from neural_paint.stop_signals import Terminated, terminable


def dataset(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="The folder to write to.", show_default=False)
    ],
    strokes: Annotated[
        int, typer.Option(metavar="N", help="Number of strokes.", callback=within(1, 1_000_000_000))
    ] = 100_000,
    brush: Annotated[
        str, typer.Option(metavar="NAME", help="One of MyPaint's brushes, or a .myb file.")
    ] = DEFAULT_BRUSH,
    shard: Annotated[
        int, typer.Option(metavar="N", help="Strokes of a file.", callback=within(1, MAX_SHARD))
    ] = DEFAULT_SHARD,
    seed: Annotated[
        int,
        typer.Option(
            metavar="N", help="Of the actions: equal seeds give equal strokes.", callback=within(0, 2**63 - 1)
        ),
    ] = 0,
    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Threads that paint. [default: one for each core]",
            callback=within(1, 1024),
            show_default=False,
        ),
    ] = None,
) -> int:
    """Paint random strokes with the real MyPaint, for neural painters to learn from.

    Stopped by Ctrl-C or killed, the same command goes on after the last file that was finished.
    """
    recipe = Recipe(strokes, brush, seed, shard)
    try:
        with terminable():
            return _make(output, recipe, jobs)
    except (OSError, ValueError, MemoryError) as error:
        say(reason(error))
        return 1
    except KeyboardInterrupt as interrupt:
        say(f"interrupted; the same command goes on after the last whole file in {output}")
        return 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)


def _make(folder: Path, recipe: Recipe, jobs: int | None) -> int:
    begun = time.perf_counter()
    steps = make_dataset(folder, recipe, jobs=jobs)
    with contextlib.closing(steps), Progress(sys.stderr) as progress:
        there = done = next(steps)
        for done in steps:
            progress.show(done / recipe.strokes, partial(_state, done, done - there, begun))
    holds = f"{recipe.strokes:,} strokes of {recipe.brush}, {recipe.shards:,} x {recipe.shard:,}"
    if there == done:
        print(f"{folder}: complete already, {holds}")
        return 0
    seconds = time.perf_counter() - begun
    print(f"{folder}: {holds}, {(done - there) / seconds:,.0f} strokes/s, {seconds:.1f} s")
    return 0


def _state(done: int, painted: int, begun: float) -> str:
    return f"{done:,} strokes, {painted / (time.perf_counter() - begun):,.0f} strokes/s"
