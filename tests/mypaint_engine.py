"""One stroke of MyPaint's brush "classic/dry_brush" from a neural painter's action, in NumPy.

Written from the equations of libmypaint 1.3 and of the environment in which the published strokes were made (Nakano,
"Neural Painters", arXiv:1904.08410): what those pictures look like, for `decode_strokes` to be fitted to. The
random numbers are NumPy's, so the speckle of a stroke differs from that of the program's.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neural_paint.painters.actions import COLOR, CONTROL, END, ENTRY_PRESSURE, PRESSURE, SIZE, START, STROKE_SIZE

Array = NDArray[np.float64]

# Points at which the pen is told of the curve, a tenth of a second apart; pressure changes over the first and the last
# quarter of them.
SAMPLES = 100
QUARTER = SAMPLES // 4
EVENT_SECONDS = 0.1
# How far the pen follows the hand within one event.
TRACKING = 1 - math.exp(-100 * EVENT_SECONDS / 2.0)
# The brush's settings.
DABS_PER_RADIUS = 6.0  # of both radii, the one at rest and the actual one
SCATTER = 1.4  # of dabs, in radii at full pressure
RADIUS_SPREAD = 0.1  # standard deviation of a dab's logarithm of the radius
SPEED_SECONDS = 0.8
CORE = 0.2  # hardness: the share of a dab's area inside its bend
MIN_RADIUS, MAX_RADIUS = 0.2, 1000.0
# Dabs below are anti-aliased; a pixel's half width, as of a disc of its area.
SMOOTH_BELOW, PIXEL_RADIUS = 3.0, math.sqrt(1 / math.pi)
ONE = 1 << 15  # of libmypaint's fixed point
# The input "speed2" is slope * ln(offset + speed) + constant.
SPEED_OFFSET = math.exp(4.0)
SPEED_SLOPE = 0.015 * (45 + SPEED_OFFSET)
SPEED_CONSTANT = 0.5 - SPEED_SLOPE * math.log(45 + SPEED_OFFSET)


class Stroke(NamedTuple):
    image: NDArray[np.uint8]  # (64, 64, 3)
    dabs: int


class Brush:
    """State of the brush and the canvas that it paints on."""

    def __init__(self, log_radius: float, color: Array, random: np.random.Generator) -> None:
        self.log_radius, self.base, self.random = log_radius, math.exp(log_radius), random
        self.color = np.floor(color * ONE).astype(np.int64)
        self.canvas = np.full((STROKE_SIZE, STROKE_SIZE, 3), ONE, np.int64)
        self.place, self.pressure, self.speed, self.moved = np.zeros(2), 0.0, 0.0, 0.0
        self.actual_log = log_radius
        self.actual = self.base
        self.dabs = 0

    def start(self, place: Array) -> None:
        """The first event moves the pen without painting."""
        self.place = TRACKING * place

    def move(self, place: Array, pressure: float) -> None:
        """One event: dabs on the line from where the pen is to where the hand is by now."""
        target = self.place + TRACKING * (place - self.place)
        seconds, todo = EVENT_SECONDS, self._dabs_to(target)
        while self.moved + todo >= 1:
            share = min((1 - self.moved) / todo, 1.0)
            self.moved = 0.0
            self._step(share * (target - self.place), share * (pressure - self.pressure), share * seconds)
            seconds *= 1 - share
            self._dab()
            todo = self._dabs_to(target)
        self._step(target - self.place, pressure - self.pressure, seconds)
        self.moved += todo

    def _dabs_to(self, target: Array) -> float:
        distance = math.dist(target, self.place)
        return distance * (DABS_PER_RADIUS / self.actual + DABS_PER_RADIUS / self.base)

    def _step(self, way: Array, pressure: float, seconds: float) -> None:
        self.place = self.place + way
        self.pressure += pressure
        speed_input = SPEED_SLOPE * math.log(SPEED_OFFSET + self.speed) + SPEED_CONSTANT
        self.actual_log = self.log_radius + 0.042857 - 0.08571425 * speed_input
        self.actual = min(max(math.exp(self.actual_log), MIN_RADIUS), MAX_RADIUS)
        if seconds > 0:
            speed = math.hypot(*way) / (seconds * self.base)
            self.speed += (speed - self.speed) * (1 - math.exp(-seconds / SPEED_SECONDS))

    def _normal(self) -> float:
        """libmypaint's: four uniform numbers."""
        return float(self.random.random(4).sum() * math.sqrt(3) - 2 * math.sqrt(3))

    def _dab(self) -> None:
        self.dabs += 1
        pressure = self.pressure
        opacity = min(max((0.8 + 0.2 * pressure) * pressure, 0.0), 1.0)
        scatter = SCATTER * pressure * self.base
        x, y = self.place[0] + scatter * self._normal(), self.place[1] + scatter * self._normal()
        radius = math.exp(self.actual_log + RADIUS_SPREAD * self._normal())
        radius = min(max(radius, MIN_RADIUS), MAX_RADIUS)
        opacity *= min((self.actual / radius) ** 2, 1.0)
        reach = radius + 1
        left, right = max(math.floor(x - reach), 0), min(math.ceil(x + reach) + 1, STROKE_SIZE)
        top, bottom = max(math.floor(y - reach), 0), min(math.ceil(y + reach) + 1, STROKE_SIZE)
        if opacity <= 0 or left >= right or top >= bottom:
            return
        square = _square_distance(np.arange(left, right) + 0.5 - x, np.arange(top, bottom)[:, None] + 0.5 - y, radius)
        mask = np.where(square <= CORE, 1 - 4 * square, np.where(square <= 1, 0.25 * (1 - square), 0))
        alpha = np.floor(mask * math.floor(opacity * ONE)).astype(np.int64)[..., None]
        tile = self.canvas[top:bottom, left:right]
        tile[...] = (alpha * self.color + (ONE - alpha) * tile) // ONE


def _square_distance(x: Array, y: Array, radius: float) -> Array:
    """Squared distance of pixels from a dab's centre, in its radii; x a row and y a column of their centres."""
    x, y = np.broadcast_arrays(x, y)
    if radius >= SMOOTH_BELOW:
        return (x * x + y * y) / radius**2
    near_x = np.maximum(np.abs(x) - 0.5, 0)
    holds = (np.abs(x) < 0.5) & (np.abs(y) < 0.5)
    near = np.where(holds, 0, near_x**2 + y * y)
    far = np.where(holds, 0, near_x) + PIXEL_RADIUS
    far = far**2 + np.where(holds, 0, y * y)
    inner = max(radius - 1, 0.0) ** 2
    middle = (near + far) / 2 / radius**2
    near, far_in = near / radius**2, far / radius**2
    return np.where(near > 1, near, np.where(far < inner, middle, 1 - (1 - near) / (1 + far_in - near)))


def curve(action: Array) -> Array:
    """(SAMPLES, 2) points of the stroke, in pixels: it passes the control point half way."""
    start, control, end = (action[field.slice] * field.scale for field in (START, CONTROL, END))
    middle = (start + end) / 2
    bent = middle + 2 * (control - middle)
    t = np.arange(1, SAMPLES + 1)[:, None] / SAMPLES
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * bent + t**2 * end


def pressures(action: Array) -> Array:
    """(SAMPLES,) of the pen: from the first to the mean, then constant, then to the last."""
    first, last = action[ENTRY_PRESSURE.start] * ENTRY_PRESSURE.scale, action[PRESSURE.start] * PRESSURE.scale
    mean = (first + last) / 2
    knots = ([0, QUARTER, SAMPLES - QUARTER, SAMPLES], [first, mean, mean, last])
    return np.interp(np.arange(1, SAMPLES + 1), *knots)


def render(action: Array, random: np.random.Generator) -> Stroke:
    """The stroke of one action (12,) in [0, 1] on a white canvas."""
    action = np.asarray(action, np.float64)
    brush = Brush(action[SIZE.start] * SIZE.scale, action[COLOR.slice], random)
    start, end = (action[field.slice] * field.scale for field in (START, END))
    if action[PRESSURE.start] > 0:
        points = curve(action)
        first = points[0] - start
        brush.start(start)
        brush.move(start + 0.25 * first / max(math.hypot(*first), 1e-12), action[ENTRY_PRESSURE.start] * 0.8)
        for point, pressure in zip(points, pressures(action), strict=True):
            brush.move(point, float(pressure))
        brush.move(end, 0.0)
    return Stroke(np.rint(brush.canvas * (255 / ONE)).astype(np.uint8), brush.dabs)
