"""Where libmypaint is, and the one sentence where it is not."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from neural_paint import _mypaint

# As the loader knows it: Debian's and its kin's, others', Homebrew's.
NAMES = {
    "linux": ("libmypaint-1.5.so.1", "libmypaint.so.0"),
    "darwin": ("libmypaint.0.dylib", "/opt/homebrew/lib/libmypaint.0.dylib"),
}.get(sys.platform, ("libmypaint",))
PACKAGES = "libmypaint-1.5-1 and mypaint-brushes"


class MyPaintMissing(OSError):
    """MyPaint is not installed; the message is one sentence naming the packages."""


def missing(what: str) -> MyPaintMissing:
    return MyPaintMissing(f"{what}: install the Debian packages {PACKAGES}, or what your system calls them")


def available() -> bool:
    """Whether libmypaint is installed and can be opened."""
    try:
        require()
    except MyPaintMissing:
        return False
    return True


def require() -> _mypaint.Library:
    """Open libmypaint.

    Raises:
        MyPaintMissing: it is not installed, or cannot be opened.
    """
    return _opened(NAMES)


def about() -> str:
    """What `neural-paint info` says of it; libmypaint does not know its own version, but the file's name tells."""
    try:
        return str(Path(require().path).resolve())
    except MyPaintMissing as error:
        return f"none, as {error}"


@cache
def _opened(names: tuple[str, ...]) -> _mypaint.Library:
    why = []
    for name in names:
        try:
            return _mypaint.Library(name)
        except OSError as error:
            why.append(str(error))
    raise missing(f"MyPaint cannot be opened ({why[0]})")
