"""A painting in the making: photographs, the strokes that paint them so far, and what the next step changes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from neural_paint.brushes import Brush
from neural_paint.ops.paint import paint
from neural_paint.strokes import Strokes
from neural_paint.tasks.parameters import MIN_RADIUS, StrokeParameters
from neural_paint.tasks.placement import place, stroke_worth
from neural_paint.tasks.schedule import Wave

# Share of the strokes that each wave takes up and places anew.
_RELOCATED = 0.1
# Bounds the size of strokes and steps where there are fewer strokes than the square of this.
_MIN_STROKES_PER_SIDE = 8
# The shortest prefix of the strokes that is to be a good painting of its own.
_FIRST_PREFIX = 8
# What the logarithm of a prefix's error counts for, next to the whole painting's, per doubling of the prefix.
_PREFIX_WEIGHT = 0.1
# Multiples of this spread evenly over [0, 1) modulo 1, however many there are.
_GOLDEN = (math.sqrt(5) - 1) / 2


class Painting:
    """Strokes of one brush on B canvases, which are optimised and join in waves.

    Every step looks at the error of the whole painting and of one prefix, the painting of the first n strokes, with n
    going through all lengths. Relative errors are what counts, so that no prefix outweighs the others.

    Attributes:
        background: (B, C, 1, 1) mean colours of the photographs.
        canvas: (B, C, H, W) the strokes over the background.
    """

    def __init__(self, photo: Tensor, strokes: int, brush: Brush, generator: torch.Generator) -> None:
        batch, channels, height, width = photo.shape
        side = math.sqrt(height * width)
        # A few strokes do not each get the whole width that is theirs: one of that size fits no picture.
        self._spacing = side / max(math.sqrt(strokes), _MIN_STROKES_PER_SIDE)
        self._photo = photo
        self._generator = generator
        self._turn = 0.0
        self._moved = False
        self.background = photo.mean((2, 3), keepdim=True).clamp(0, 1)
        self._under = self.background.expand_as(photo).contiguous()
        self.canvas = self._under
        self.parameters = StrokeParameters(batch, channels, self._spacing, brush, photo)

    def begin_wave(self, wave: Wave) -> None:
        """Take up the strokes that are worth least, and place these and the wave's own where the error is."""
        if self._moved:
            self._take_up(int(_RELOCATED * self.parameters.count))
        missing = wave.total - self.parameters.count
        if missing == 0:
            return
        radius = max(wave.radius * self._spacing, MIN_RADIUS)
        placement = place(self._photo, self.canvas, missing, radius, self._generator)
        self.parameters.append(placement.points, placement.color, radius, self._generator)
        self.canvas = paint(self.parameters.strokes(), self._under)
        self._moved = False

    def _take_up(self, count: int) -> None:
        worth = stroke_worth(self.parameters.strokes(), self._under, self._photo, self._generator)
        self.parameters.keep(worth.argsort(1)[:, count:].sort(1).values)
        self.canvas = paint(self.parameters.strokes(), self._under)

    @torch.enable_grad()
    def evaluate(self) -> tuple[Strokes, Tensor, Tensor]:
        """The strokes, the mean squared error of each canvas, and the gradient with respect to the parameters."""
        rows = self.parameters.rows.clone().requires_grad_()
        strokes = self.parameters.strokes(rows)
        first = self._next_prefix()
        below, above = _split(strokes, first)
        sketch = paint(below, self._under) if first else self._under
        canvas = paint(above, sketch)
        # Sums, not means: Adam does not mind, and gradients stay far above its epsilon.
        error = (canvas - self._photo).square().sum((1, 2, 3))
        loss = error
        if first:
            sketch_error = (sketch - self._photo).square().sum((1, 2, 3))
            octaves = math.log2(strokes.num_strokes / _FIRST_PREFIX)
            ratio = (error / sketch_error.clamp(min=1e-9)).detach()
            loss = loss + _PREFIX_WEIGHT * octaves * ratio * sketch_error
        (grad,) = torch.autograd.grad(loss.sum(), rows)
        self.canvas = canvas.detach()
        return strokes.detach(), error.detach() / self._photo[0].numel(), grad

    def _next_prefix(self) -> int:
        """A length between the shortest prefix and the whole, all doublings equally often; 0 with too few strokes."""
        count = self.parameters.count
        if count <= _FIRST_PREFIX:
            return 0
        self._turn = (self._turn + _GOLDEN) % 1
        return round(_FIRST_PREFIX * (count / _FIRST_PREFIX) ** self._turn)

    def update(self, grad: Tensor, rate: float) -> None:
        self.parameters.update(grad, rate)
        self._moved = True


def _split(strokes: Strokes, first: int) -> tuple[Strokes, Strokes]:
    """The first strokes and the others, by a split: its gradient costs less than that of two slices."""
    fields = strokes.fields()
    texture = fields.pop("texture", None)
    parts = {name: tensor.split([first, strokes.num_strokes - first], 1) for name, tensor in fields.items()}
    below, above = (Strokes(texture=texture, **{name: part[i] for name, part in parts.items()}) for i in (0, 1))
    return below, above
