"""Folders that one process at a time writes to."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from neural_paint.io.atomic import remove_unfinished


@contextlib.contextmanager
def locked_folder(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Make a folder and keep other runs from writing to it; what a killed one left unfinished is removed.

    Windows has no such locks: nothing is kept from writing there.

    Raises:
        OSError: naming the folder: it cannot be made or locked, or another run writes to it.
    """
    with contextlib.ExitStack() as stack:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            if sys.platform != "win32":
                import fcntl

                descriptor = os.open(folder, os.O_RDONLY)
                stack.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_unfinished(folder)
        except BlockingIOError as error:
            raise OSError(error.errno, f"cannot write {folder}: another run is writing to it") from error
        except OSError as error:
            raise OSError(error.errno or errno.EIO, f"cannot write {folder}: {error.strerror}") from error
        yield
