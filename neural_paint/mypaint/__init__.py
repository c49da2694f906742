"""The real MyPaint: strokes of actions, drawn by libmypaint, which is opened when it is first needed."""

from neural_paint.mypaint.brush_files import BrushError, brushes, find_brush
from neural_paint.mypaint.canvas import DEFAULT_BRUSH, MODES, Canvas, paint_actions
from neural_paint.mypaint.library import MyPaintMissing, available, require

__all__ = [
    "DEFAULT_BRUSH",
    "MODES",
    "BrushError",
    "Canvas",
    "MyPaintMissing",
    "available",
    "brushes",
    "find_brush",
    "paint_actions",
    "require",
]
