"""Stroke vectors of published painters: their kinds, and the numbers that `decode_strokes` makes of each.

docs/decode_strokes.md has the formulas.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor


class Kind(NamedTuple):
    """One kind of stroke vector."""

    code: int  # the operator's argument: csrc/decode.h counts alike
    entries: int  # of a vector
    fields: dict[str, tuple[int, ...]]  # what is made of it, in this order: shape of each field of a stroke

    @property
    def numbers(self) -> int:
        """How many are made of a vector."""
        return sum(map(math.prod, self.fields.values()))

    def split(self, numbers: Tensor) -> dict[str, Tensor]:
        """The fields by name, as views of the numbers (B, N, F)."""
        parts = numbers.split([math.prod(shape) for shape in self.fields.values()], -1)
        named = zip(self.fields.items(), parts, strict=True)
        return {name: part.unflatten(-1, shape) if shape else part.squeeze(-1) for (name, shape), part in named}

    @property
    def is_curve(self) -> bool:
        """Whether it is painted along a curve; otherwise it is a bitmap, laid by a map of the unit square."""
        return "points" in self.fields


_CURVE = {"points": (3, 2), "radius": (2,), "color": (3,), "opacity": (2,), "feather": ()}

KINDS = {
    "mypaint": Kind(0, 12, _CURVE),
    "learning_to_paint": Kind(1, 13, _CURVE),
    "snp_marker": Kind(2, 12, _CURVE),
    "snp_oil": Kind(3, 12, {"transform": (2, 3), "color": (2, 3)}),
    "paint_transformer": Kind(4, 8, {"transform": (2, 3), "color": (3,)}),
}


class MyPaintBrush(NamedTuple):
    """What MyPaint's brush "classic/dry_brush" leaves on paper; its dabs are scattered around the pen's path.

    Fitted to strokes of the real program by benchmarks/fit_mypaint_strokes.py, which prints them.
    """

    spread: float = 0.6013  # of the pressures at the ends about their mean, as a straight ramp stands for the pen's
    width: float = 0.3615  # of a stroke without pressure: standard deviation of its ink across, in the brush's radii
    density: float = 3.1973  # optical density on the path for opacity 1, times the standard deviation in radii
    radius: float = 1.5238  # of the stroke, in standard deviations
    feather: float = 2.8329  # in standard deviations
    pull: float = 0.7166  # of the ends towards the middle, in standard deviations
    dot: float = 2.9161  # squared length at which a short stroke has half its density, in squared standard deviations


MYPAINT_BRUSH = MyPaintBrush()
