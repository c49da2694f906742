"""What a training leaves to look at: a log of its losses, and TensorBoard where that is installed."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from neural_paint.io.atomic import write_atomic
from neural_paint.progress import reason, say


class Log:
    """`log.jsonl`: a line for each time that losses were looked at. It is a function of config and data alone.

    Args:
        folder: of the training.
        step: from which it goes on; lines of later steps, which will come again, are removed.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._path = folder / "log.jsonl"
        write_atomic(self._path, b"".join(_lines(self._path, step)))
        with self._named():
            self._file = self._path.open("ab", buffering=0)

    def write(self, step: int, values: Mapping[str, float | None]) -> None:
        line = json.dumps({"step": step, **values}).encode() + b"\n"
        with self._named():
            while line:
                line = line[self._file.write(line) :]

    def sync(self) -> None:
        with self._named():
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(error.errno or errno.EIO, f"cannot write {self._path}: {error.strerror}") from error


def _lines(path: Path, step: int) -> Iterator[bytes]:
    """Those up to a step and to the first that is damaged, as the last one of a process that was killed may be."""
    for line in path.read_bytes().splitlines(keepends=True) if path.exists() else []:
        try:
            if not line.endswith(b"\n") or json.loads(line)["step"] > step:
                return
        except (ValueError, TypeError, KeyError):
            return
        yield line


class Board:
    """TensorBoard, or nothing and one sentence where its package is missing or it cannot write.

    Args:
        folder: of the training.
        step: from which it goes on; what was shown of later steps is hidden.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._writer: Any = None
        self._hook: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            say("TensorBoard shows nothing of this, as it is not installed: pip install 'neural-paint[train]'")
            return
        self._folder = folder / "tensorboard"
        # The package writes in a thread of its own, whose error would be printed there and raised here.
        self._hook, threading.excepthook = threading.excepthook, self._see_thread
        with self._switched_off_by_errors():
            self._writer = SummaryWriter(str(self._folder), purge_step=step + 1)

    @property
    def shows(self) -> bool:
        return self._writer is not None

    def scalars(self, step: int, group: str, values: Mapping[str, float | None]) -> None:
        """Those that are not None."""
        if self._writer is not None:
            with self._switched_off_by_errors():
                for name, value in values.items():
                    if value is not None:
                        self._writer.add_scalar(f"{group}/{name}", value, step)

    def picture(self, step: int, title: str, sheet: Tensor) -> None:
        """A sheet (3, H, W) in [0, 1]."""
        if self._writer is not None:
            with self._switched_off_by_errors():
                self._writer.add_image(title, sheet.cpu(), step)

    def close(self) -> None:
        if self._writer is not None:
            with self._switched_off_by_errors():
                self._writer.close()
        if self._hook is not None:
            threading.excepthook = self._hook

    @contextlib.contextmanager
    def _switched_off_by_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._writer = None
            say(f"TensorBoard shows no more of this: cannot write {self._folder}: {reason(error)}")

    def _see_thread(self, failure: threading.ExceptHookArgs) -> None:
        if not type(failure.thread).__module__.startswith("tensorboard."):
            self._hook(failure)
