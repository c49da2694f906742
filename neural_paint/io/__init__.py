"""Files in and out: photographs, paintings, videos and stroke files."""

from neural_paint.io.brushes import load_brush
from neural_paint.io.images import ImageError, demo_photo, load_image
from neural_paint.io.paintings import save_bands, save_image
from neural_paint.io.strokes import StrokeFile, load_strokes, save_strokes
from neural_paint.io.video import save_video

__all__ = [
    "ImageError",
    "StrokeFile",
    "demo_photo",
    "load_brush",
    "load_image",
    "load_strokes",
    "save_bands",
    "save_image",
    "save_strokes",
    "save_video",
]
