"""Paintings whose strokes are actions, painted by the real MyPaint."""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
from numpy.typing import NDArray

from neural_paint import mypaint
from neural_paint.action_strokes import ActionStrokes
from neural_paint.painting_files import Painting
from neural_paint.progress import Progress
from neural_paint.tasks.render import resized

# Strokes painted between two looks at the clock.
_RUN = 16


def paint_in_mypaint(painting: Painting, brush: str, fresh: bool = True) -> NDArray[np.uint8]:
    """(H, W, 3) of a painting whose strokes are actions; each with a new brush, or all with one.

    Raises:
        MyPaintMissing, BrushError: it is not installed, or there is no such brush.
    """
    strokes = resized(painting.strokes.double(), painting.canvas, painting.size)
    assert isinstance(strokes, ActionStrokes)
    actions, place = (field[0].cpu().numpy() for field in (strokes.actions, strokes.place))
    canvas = mypaint.Canvas(painting.size, brush, mode="jump", fresh=fresh, background=tuple(painting.background))
    with Progress(sys.stderr, f"MyPaint, {brush}") as progress:
        for begin in range(0, len(actions), _RUN):
            run = slice(begin, begin + _RUN)
            canvas.draw(actions[run], place[run])
            progress.show(min(run.stop / len(actions), 1.0), partial("{} strokes".format, begin))
    return canvas.image()
