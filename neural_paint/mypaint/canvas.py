"""Actions drawn by libmypaint: each on a canvas of its own, or one after the other on one."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neural_paint import _mypaint
from neural_paint.mypaint.brush_files import read_brush
from neural_paint.mypaint.library import require
from neural_paint.painters.actions import ACTION_SIZE, STROKE_SIZE

# That of the strokes that neural painters were published with.
DEFAULT_BRUSH = "classic/dry_brush"
# What the canvas does at the beginning of a stroke: it is cleared; it stays; it stays, and the stroke begins where the
# one before it ended, and as hard as it ended.
MODES = {
    "strokes": {"clear": True, "connect": False},
    "jump": {"clear": False, "connect": False},
    "connected": {"clear": False, "connect": True},
}
# The widest stroke on a larger square would need a radius of more than 1000 pixels, which MyPaint paints no brush with.
MAX_SIDE = 8192
# Of a square's corner: there, float32 has positions to 1/128 pixel.
_FARTHEST = 2**16
# Strokes of 64 x 64 pixels that a thread paints at a time.
_CHUNK = 256


class Canvas:
    """Strokes drawn by MyPaint on one canvas, over a background of one colour.

    Args:
        size: height and width in pixels.
        brush: name of an installed brush, as in `brushes()`, or path of a .myb file.
        mode: "strokes" clears the canvas before each stroke, "jump" paints them over each other, and "connected" does
            that too, but each begins where the one before it ended, with its pressure.
        fresh: paint each stroke with a new brush, so that it is a function of its action alone; otherwise one brush
            goes on from stroke to stroke, with its random numbers.
        background: RGB in [0, 1].

    Raises:
        MyPaintMissing: MyPaint is not installed.
        BrushError: there is no such brush.
    """

    def __init__(
        self,
        size: tuple[int, int] = (STROKE_SIZE, STROKE_SIZE),
        brush: str | os.PathLike[str] = DEFAULT_BRUSH,
        *,
        mode: str = "strokes",
        fresh: bool = True,
        background: Sequence[float] = (1.0, 1.0, 1.0),
    ) -> None:
        if len(size) != 2 or min(size) < 1:
            raise ValueError(f"size must be a height and a width of at least 1, got {tuple(size)}")
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
        red, green, blue = map(float, background)
        if not all(0 <= value <= 1 for value in (red, green, blue)):
            raise ValueError(f"background must be in [0, 1], got {tuple(background)}")
        height, width = map(int, size)
        self.size = height, width
        self._canvas = _mypaint.Canvas(
            require(), read_brush(brush), self.size, (red, green, blue), fresh=fresh, **MODES[mode]
        )

    def draw(self, actions: ArrayLike, place: ArrayLike | None = None) -> None:
        """Draw strokes, one after the other.

        Args:
            actions: (n, 12) in [0, 1].
            place: (n, 3), or (3,) for all of them: x and y of the upper left corner and the side, in pixels of the
                canvas, of the square that an action's coordinates refer to. By default (0, 0, width).
        """
        actions = checked_actions(actions)
        self._canvas.draw(actions, _checked_places((0, 0, self.size[1]) if place is None else place, len(actions)))

    def image(self) -> NDArray[np.uint8]:
        """(H, W, 3), RGB."""
        return self._canvas.image()

    def reset(self) -> None:
        """Clear the canvas, and take a new brush."""
        self._canvas.reset()


def paint_actions(
    actions: ArrayLike,
    brush: str | os.PathLike[str] = DEFAULT_BRUSH,
    *,
    size: int = STROKE_SIZE,
    threads: int | None = None,
) -> NDArray[np.uint8]:
    """The strokes of actions (n, 12) in [0, 1], each on a white square and with a new brush: (n, size, size, 3), RGB.

    Each is a function of its action alone. A `size` other than 64 scales all of the stroke. The GIL is released;
    `threads` are by default as many as there are cores to use.

    Raises:
        MyPaintMissing: MyPaint is not installed.
        BrushError: there is no such brush.
    """
    actions = checked_actions(actions)
    if not 1 <= size <= MAX_SIDE:
        raise ValueError(f"size must be in 1 .. {MAX_SIDE}, got {size}")
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    library, brush_text = require(), read_brush(brush)
    places = _checked_places((0, 0, size), len(actions))
    images = np.empty((len(actions), size, size, 3), np.uint8)
    chunk = max(1, _CHUNK * STROKE_SIZE**2 // size**2)
    # Signals come to the main thread alone, which stops the canvases of the others.
    canvases: list[_mypaint.Canvas] = []
    stopped = threading.Event()

    def paint(start: int) -> None:
        part = slice(start, start + chunk)
        canvas = _mypaint.Canvas(library, brush_text, (size, size), (1.0, 1.0, 1.0), fresh=True, **MODES["strokes"])
        canvases.append(canvas)
        if not stopped.is_set():
            canvas.draw(actions[part], places[part], images[part])
        canvases.remove(canvas)

    def stop() -> None:
        stopped.set()
        for canvas in tuple(canvases):
            canvas.stop()

    _for_each(paint, range(0, len(actions), chunk), threads or usable_cores(), stop)
    return images


def checked_actions(actions: ArrayLike) -> NDArray[np.float64]:
    """Actions as (n, 12) float64, known to be in [0, 1]."""
    actions = np.ascontiguousarray(actions, np.float64)
    if actions.ndim != 2 or actions.shape[1] != ACTION_SIZE:
        raise ValueError(f"actions must have shape (n, {ACTION_SIZE}), got {actions.shape}")
    _refuse(actions, ~((actions >= 0) & (actions <= 1)), "actions must be in [0, 1]")
    return actions


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _checked_places(places: ArrayLike, count: int) -> NDArray[np.float64]:
    places = np.asarray(places, np.float64)
    if places.shape not in ((3,), (count, 3)):
        raise ValueError(f"place must have shape ({count}, 3) or (3,), got {places.shape}")
    places = np.ascontiguousarray(np.broadcast_to(places, (count, 3)))
    _refuse(places, ~(np.abs(places) <= _FARTHEST), f"place must be within {_FARTHEST} pixels of the canvas's corner")
    side = places[:, 2:]
    _refuse(side, ~((side >= 1) & (side <= MAX_SIDE)), f"the side of a place must be in 1 .. {MAX_SIDE}")
    return places


def _refuse(values: NDArray[np.float64], wrong: NDArray[np.bool_], rule: str) -> None:
    if wrong.any():
        stroke, entry = np.argwhere(wrong)[0]
        raise ValueError(f"{rule}, got {values[stroke, entry]} at stroke {stroke}, entry {entry}")


def _for_each(function: Callable[[int], Any], items: Sequence[int], threads: int, stop: Callable[[], None]) -> None:
    """In the calling thread where one is enough; an exception, such as Ctrl-C, leaves out what has not begun, and calls
    `stop`, which ends what has."""
    threads = min(threads, len(items))
    if threads <= 1:
        for item in items:
            function(item)
        return
    pool = ThreadPoolExecutor(threads)
    try:
        for _ in pool.map(function, items):
            pass
    except BaseException:
        stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
