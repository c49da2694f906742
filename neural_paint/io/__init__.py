"""Files in and out: photographs and stroke files."""

from neural_paint.io.images import ImageError, demo_photo, load_image, save_image
from neural_paint.io.strokes import StrokeFile, load_strokes, save_strokes

__all__ = ["ImageError", "StrokeFile", "demo_photo", "load_image", "load_strokes", "save_image", "save_strokes"]
