"""What SIGINT and SIGTERM do: a wish to stop, which long work looks at where it can stop, or an exception."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

Handler = Callable[[int, FrameType | None], None]


class Terminated(KeyboardInterrupt):
    """By SIGTERM, which leaves no unfinished file either."""


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """A list that takes up the first SIGINT or SIGTERM; a second one acts as it does otherwise."""
    received: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        restored.close()

    with contextlib.ExitStack() as restored:
        _handle(restored, (signal.SIGINT, signal.SIGTERM), stop)
        yield received


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM raises `Terminated`, as Ctrl-C does KeyboardInterrupt."""

    def terminate(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    with contextlib.ExitStack() as restored:
        _handle(restored, (signal.SIGTERM,), terminate)
        yield


def _handle(restored: contextlib.ExitStack, numbers: Sequence[int], handler: Handler) -> None:
    """Until `restored` is closed."""
    for number in numbers:
        restored.callback(signal.signal, number, signal.signal(number, handler))
