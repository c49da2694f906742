"""Files that are either the old one or the new one, whole, whatever happens while they are written."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def check_writable(path: str | os.PathLike[str]) -> Path:
    """The real file behind `path`, or OSError where it could not be written: worth a call before long work."""
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise OSError(errno.EISDIR, f"cannot write {path}: it is a folder")
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, f"cannot write {path}: it is not a regular file")
    if not target.parent.is_dir():
        raise OSError(errno.ENOENT, f"cannot write {path}: there is no folder {target.parent}")
    if not os.access(target.parent, os.W_OK):
        raise OSError(errno.EACCES, f"cannot write {path}: no permission to write in {target.parent}")
    return target


def write_atomic(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path`, as `open_atomic` does."""
    with open_atomic(path) as file:
        file.write(data)


@contextlib.contextmanager
def open_atomic(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` where the block ends: a temporary one in the same folder until then.

    It is open for writing and reading, synced, and renamed. A failed or interrupted block leaves the old file as it was
    and no temporary file. A symbolic link is followed.

    Raises:
        OSError: of the subclass that fits, also where the block raised one; `strerror` is one sentence naming the path
            and the reason.
    """
    target = check_writable(path)
    temporary = target.with_name(f".neural-paint-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        _remove(temporary)
        raise OSError(error.errno or errno.EIO, f"cannot write {path}: {error.strerror or error}") from error
    except BaseException:
        _remove(temporary)
        raise
    _sync_folder(target.parent)


def remove_unfinished(folder: str | os.PathLike[str]) -> None:
    """Remove the temporary files of processes that were killed while they wrote; no other may be writing there."""
    for temporary in Path(folder).glob(".neural-paint-*.tmp"):
        temporary.unlink()


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _sync_folder(folder: Path) -> None:
    """Make the rename durable where folders can be synced; the file is whole either way."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
