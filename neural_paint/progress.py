"""How far a painter has come: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from typing import TextIO

import rich.progress
from rich.console import Console

from neural_paint.tasks import Step

# Seconds between two lines where there is no terminal.
_LINE_EVERY = 5.0


class Progress:
    """A context in which `show` tells of each step."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun = self._told = time.perf_counter()
        console = Console(file=stream)
        self._bar = rich.progress.Progress(
            rich.progress.BarColumn(),
            rich.progress.TaskProgressColumn(),
            rich.progress.TextColumn("{task.description}"),
            rich.progress.TimeElapsedColumn(),
            rich.progress.TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=1.0)

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, step: Step) -> None:
        description = f"step {step.index + 1}, {step.strokes.num_strokes} strokes, {step.psnr:.2f} dB"
        self._bar.update(self._task, completed=step.progress, description=description)
        now = time.perf_counter()
        if self._bar.disable and now - self._told >= _LINE_EVERY:
            self._told = now
            print(f"{step.progress:4.0%}  {description}, {now - self._begun:.0f} s", file=self._stream, flush=True)
