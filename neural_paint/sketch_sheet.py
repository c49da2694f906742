"""The contact sheet of drawings: a row for each picture, of the drawing after each stroke and of MyPaint's."""

from __future__ import annotations

import math
from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor

from neural_paint import mypaint
from neural_paint.action_strokes import ActionStrokes
from neural_paint.chosen_painter import recorded_brush
from neural_paint.contact_sheet import contact_sheet, image_band
from neural_paint.mypaint_painting import paint_in_mypaint
from neural_paint.painting_files import Painting, scaled
from neural_paint.tasks.render import render

# Side of a panel, and the most drawings of a row.
_PANEL, _DRAWINGS = 192, 8
# Pictures that a sheet has room for: what is held of them is 80 MB.
MOST_PICTURES = 64
_WHITE = 1.0


class SketchSheet:
    """Takes up drawings of equal numbers of strokes, one after the other.

    Attributes:
        names: of the pictures.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._panels: list[Tensor] = []
        self._titles: list[str] = []
        self._columns = 1

    def __bool__(self) -> bool:
        return bool(self.names)

    def add(self, name: str, photo: Tensor, painting: Painting, steps: int) -> None:
        """A row for the picture (1, 3, H, W) of that name, and its drawing in so many steps.

        Raises:
            BrushError: MyPaint is installed without the brush of the painter.
        """
        size = scaled(painting.canvas, _PANEL)
        shown = replace(painting, size=size)
        panels = [(name, F.interpolate(photo, size, mode="bilinear", antialias=True))]
        each = painting.strokes.num_strokes // steps
        for count in _spread(steps, _DRAWINGS):
            strokes = painting.strokes[:, : count * each]
            picture = render(strokes, painting.canvas, painting.background, size, painter=painting.painter)
            panels.append(("1 stroke" if count == 1 else f"{count} strokes", picture))
        if isinstance(painting.strokes, ActionStrokes) and mypaint.available():
            brush = recorded_brush(painting.metadata) or mypaint.DEFAULT_BRUSH
            panels.append(("MyPaint", image_band(paint_in_mypaint(shown, brush))))
        self.names.append(name)
        self._titles += [title for title, _ in panels]
        self._panels += [_squared(panel.detach().cpu().float()) for _, panel in panels]
        self._columns = len(panels)

    def picture(self) -> Tensor:
        """(1, 3, h, w) of all of them."""
        return contact_sheet(self._panels, self._titles, self._columns)


def _spread(count: int, most: int) -> list[int]:
    """Numbers up to `count`, evenly, `most` of them at most."""
    step = max(1.0, count / most)
    return [math.ceil(count - step * index) for index in reversed(range(min(count, most)))]


def _squared(panel: Tensor) -> Tensor:
    """In the middle of a square of white."""
    down, right = (_PANEL - side for side in panel.shape[2:])
    return F.pad(panel, (right // 2, right - right // 2, down // 2, down - down // 2), value=_WHITE)
