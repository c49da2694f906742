"""MyPaint's brushes: the .myb files that are installed, by name, and reading one."""

from __future__ import annotations

import json
import math
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

from neural_paint.mypaint.library import missing, require

# Within a folder of shared data: a user's own, then those of the package mypaint-brushes, the newer edition first.
_BRUSHES = ("mypaint/brushes", "mypaint-data/2.0/brushes", "mypaint-data/1.0/brushes")
_ENDING = ".myb"
# Of the format that libmypaint reads.
_VERSION = 3
# Of a curve.
_MAX_POINTS = 64
# Of a curve's x: no input goes so far.
_MAX_INPUT = 1000
# Rounding of the ranges, which are of float32.
_SLACK = 1e-6
# Inputs in some brushes that libmypaint does not know: it says so each time it reads one, and goes on without.
_UNKNOWN_INPUTS = ("surfacemap_x", "surfacemap_y")


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
    """What libmypaint takes of a brush's file, as JSON.

    Raises:
        MyPaintMissing: MyPaint is not installed; or a name, and no brushes are.
        BrushError: there is no such brush, or its file is no brush.
    """
    path = find_brush(name_or_path)
    try:
        brush = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BrushError(f"cannot read brush {path}: {getattr(error, 'strerror', None) or 'it is not JSON'}") from error
    if fault := _fault(brush):
        raise BrushError(f"cannot read brush {path}: {fault}")
    for setting in brush["settings"].values():
        for name in _UNKNOWN_INPUTS:
            setting["inputs"].pop(name, None)
    return json.dumps({"version": _VERSION, "settings": brush["settings"]})


def _fault(brush: Any) -> str | None:
    """What is wrong with it, in words; over some of it libmypaint would end the process."""
    if not isinstance(brush, dict) or not isinstance(brush.get("settings"), dict) or not brush["settings"]:
        return "it has no settings"
    if brush.get("version") != _VERSION:
        return f"its version must be {_VERSION}, got {brush.get('version')}"
    for name, setting in brush["settings"].items():
        if not isinstance(setting, dict) or not isinstance(setting.get("inputs"), dict):
            return f"its setting {name} must have a base_value and inputs"
        if not _is_number(setting.get("base_value")):
            return f"the base_value of its setting {name} must be a number"
        if not all(map(_is_curve, setting["inputs"].values())):
            return f"the inputs of its setting {name} must be curves of 2 to {_MAX_POINTS} points [x, y], x in order"
        if fault := _out_of_range(name, setting["base_value"], setting["inputs"]):
            return fault
    return None


def _out_of_range(name: str, base_value: float, inputs: dict[str, list[list[float]]]) -> str | None:
    """libmypaint takes any number, and over some it paints dabs without end."""
    ends = require().range(name)
    # One that libmypaint does not know: it leaves it out.
    if ends is None:
        return None
    least, most = ends
    if not least - _SLACK <= base_value <= most + _SLACK:
        return f"the base_value of its setting {name} must be in [{least:g}, {most:g}], got {base_value:g}"
    # Curves are added to it: as far as that goes from one end of the range to the other.
    reach = most - least
    for points in inputs.values():
        for x, y in points:
            if abs(x) > _MAX_INPUT or abs(y) > reach + _SLACK:
                return (
                    f"the inputs of its setting {name} must be curves of x within {_MAX_INPUT} and y within {reach:g} "
                    f"of 0, got [{x:g}, {y:g}]"
                )
    return None


def _is_curve(points: Any) -> bool:
    if not isinstance(points, list) or not (not points or 2 <= len(points) <= _MAX_POINTS):
        return False
    if not all(isinstance(point, list) and len(point) == 2 and all(map(_is_number, point)) for point in points):
        return False
    return all(before[0] <= after[0] for before, after in pairwise(points))


def _is_number(value: Any) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _folders() -> list[Path]:
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share:/opt/homebrew/share"
    return [Path(data) / brushes for data in (home, *shared.split(":")) for brushes in _BRUSHES]
