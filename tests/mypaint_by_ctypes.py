"""Strokes by libmypaint's own fixed surface, driven through ctypes: what `neural_paint.mypaint` is compared with."""

from __future__ import annotations

import colorsys
import ctypes
import math
from ctypes import POINTER, c_double, c_float, c_int, c_uint16, c_void_p
from pathlib import Path

import mypaint_engine
import numpy as np
from numpy.typing import NDArray

from neural_paint.mypaint import require

ONE, SIDE = 1 << 15, 64


class TileRequest(ctypes.Structure):
    _fields_ = (
        ("tx", c_int),
        ("ty", c_int),
        ("readonly", c_int),
        ("buffer", POINTER(c_uint16)),
        ("context", c_void_p),
        ("thread_id", c_int),
        ("mipmap_level", c_int),
    )


def events(action: NDArray[np.float64]) -> list[tuple[float, float, float]]:
    """x, y and pressure of the 103 events of a stroke."""
    start, end = action[9:11] * SIDE, action[4:6] * SIDE
    points = mypaint_engine.curve(action)
    way = points[0] - start
    down = start + 0.25 * way / math.hypot(*way)
    found = [(*start, 0.0), (*down, 0.8 * action[11])]
    found += [(*point, p) for point, p in zip(points, mypaint_engine.pressures(action), strict=True)]
    return [*found, (*end, 0.0)]


class Painter:
    """One 64 x 64 surface and one brush."""

    def __init__(self, brush: Path) -> None:
        self.mypaint = library = ctypes.CDLL(require().path)
        for name in ("brush_new", "fixed_tiled_surface_new", "fixed_tiled_surface_interface"):
            getattr(library, f"mypaint_{name}").restype = c_void_p
        self.brush = c_void_p(library.mypaint_brush_new())
        assert library.mypaint_brush_from_string(self.brush, brush.read_bytes())
        surface = c_void_p(library.mypaint_fixed_tiled_surface_new(SIDE, SIDE))
        self.surface = c_void_p(library.mypaint_fixed_tiled_surface_interface(surface))
        library.mypaint_brush_stroke_to.argtypes = [c_void_p, c_void_p, *[c_float] * 5, c_double]
        library.mypaint_brush_set_base_value.argtypes = [c_void_p, c_int, c_float]
        self.tile()[:] = ONE

    def tile(self) -> NDArray[np.uint16]:
        """(64, 64, 4), the surface's memory."""
        request = TileRequest()
        self.mypaint.mypaint_tile_request_init(ctypes.byref(request), 0, 0, 0, 0)
        self.mypaint.mypaint_tiled_surface_tile_request_start(self.surface, ctypes.byref(request))
        self.mypaint.mypaint_tiled_surface_tile_request_end(self.surface, ctypes.byref(request))
        return np.ctypeslib.as_array(request.buffer, (SIDE, SIDE, 4))

    def set(self, name: bytes, value: float) -> None:
        number = self.mypaint.mypaint_brush_setting_from_cname(name)
        self.mypaint.mypaint_brush_set_base_value(self.brush, number, value)

    def draw(self, action: NDArray[np.float64]) -> None:
        self.set(b"radius_logarithmic", 2 * action[1])
        for name, value in zip((b"color_h", b"color_s", b"color_v"), colorsys.rgb_to_hsv(*action[6:9]), strict=True):
            self.set(name, value)
        for x, y, pressure in events(action):
            self.mypaint.mypaint_surface_begin_atomic(self.surface)
            self.mypaint.mypaint_brush_stroke_to(self.brush, self.surface, x, y, pressure, 0, 0, 0.1)
            self.mypaint.mypaint_surface_end_atomic(self.surface, None)

    def image(self) -> NDArray[np.uint8]:
        """(64, 64, 3)."""
        return np.rint(self.tile()[..., :3] * (255 / ONE)).astype(np.uint8)
