"""MyPaint's brushes: the .myb files that are installed, by name, and reading one."""

from __future__ import annotations

import json
import os
from pathlib import Path

from neural_paint.mypaint.library import missing

# Within a folder of shared data: a user's own, then those of the package mypaint-brushes, the newer edition first.
_BRUSHES = ("mypaint/brushes", "mypaint-data/2.0/brushes", "mypaint-data/1.0/brushes")
_ENDING = ".myb"
# Of the format that libmypaint reads.
_VERSION = 3


class BrushError(OSError):
    """A brush that is not there or cannot be read; the message is one sentence naming it."""


def brushes() -> list[str]:
    """Names of all installed brushes, such as "classic/dry_brush"."""
    names = {path.relative_to(folder).with_suffix("") for folder in _folders() for path in folder.rglob(f"*{_ENDING}")}
    return sorted(name.as_posix() for name in names)


def find_brush(name_or_path: str | os.PathLike[str]) -> Path:
    """The .myb file of an installed brush, by its name as in `brushes()`, or of any other, by its path.

    Raises:
        MyPaintMissing: a name, and no brushes are installed.
        BrushError: there is no such brush.
    """
    path = Path(name_or_path)
    if path.suffix == _ENDING:
        if not path.is_file():
            raise BrushError(f"there is no brush file {path}")
        return path
    for folder in _folders():
        found = folder / f"{path}{_ENDING}"
        if found.is_file():
            return found
    installed = len(brushes())
    if not installed:
        raise missing(f"there is no brush {path}, as none are installed")
    raise BrushError(f"there is no brush {path} among the {installed} that are installed")


def read_brush(name_or_path: str | os.PathLike[str]) -> str:
    """The content of a brush's file, which is known to be one.

    Raises:
        MyPaintMissing: a name, and no brushes are installed.
        BrushError: there is no such brush, or its file is no brush.
    """
    path = find_brush(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
        brush = json.loads(text)
    except (OSError, ValueError) as error:
        raise BrushError(f"cannot read brush {path}: {getattr(error, 'strerror', None) or 'it is not JSON'}") from error
    if not isinstance(brush, dict) or not isinstance(brush.get("settings"), dict):
        raise BrushError(f"cannot read brush {path}: it has no settings")
    if brush.get("version") != _VERSION:
        raise BrushError(f"cannot read brush {path}: its version must be {_VERSION}, got {brush.get('version')}")
    return text


def _folders() -> list[Path]:
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share:/opt/homebrew/share"
    return [Path(data) / brushes for data in (home, *shared.split(":")) for brushes in _BRUSHES]
