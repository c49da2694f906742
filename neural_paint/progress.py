"""What the program says while it works: lines, and how far it has come as a bar on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TextIO

import rich.progress
from rich.console import Console

# Seconds between two lines where there is no terminal, and between two states of the bar.
_LINE_EVERY = 5.0
_BAR_EVERY = 0.1


def say(message: str) -> None:
    """One line on standard error."""
    print(f"neural-paint: {' '.join(message.split())}", file=sys.stderr)


def reason(error: BaseException) -> str:
    """Why something failed, in one line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.splitlines()[0]


def listed(things: Sequence[object]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *others, last = map(str, things)
    return f"{', '.join(others)} and {last}" if others else last


class Progress:
    """A context in which `show` tells of one piece of work, called `title` where it is one of several."""

    def __init__(self, stream: TextIO, title: str = "") -> None:
        self._stream = stream
        self._title = f"{title}: " if title else ""
        self._begun = self._told = time.perf_counter()
        console = Console(file=stream)
        self._bar = rich.progress.Progress(
            rich.progress.BarColumn(),
            rich.progress.TaskProgressColumn(),
            rich.progress.TextColumn("{task.description}", markup=False),
            rich.progress.TimeElapsedColumn(),
            rich.progress.TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task(f"{self._title}starting", total=1.0)

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, share: float, describe: Callable[[], str]) -> None:
        """`share` of the work, in [0, 1], is done; what to say of it is asked for when there is something to say."""
        now = time.perf_counter()
        if now - self._told < (_LINE_EVERY if self._bar.disable else _BAR_EVERY):
            return
        self._told = now
        description = f"{self._title}{describe()}"
        self._bar.update(self._task, completed=share, description=description)
        if self._bar.disable:
            print(f"{share:4.0%}  {description}, {now - self._begun:.0f} s", file=self._stream, flush=True)
