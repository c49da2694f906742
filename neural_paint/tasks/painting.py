"""A painting in the making: photographs, the strokes that paint them so far, and what the next step changes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from neural_paint.action_strokes import AnyStrokes
from neural_paint.painters.base import NeuralPainter
from neural_paint.stamps import Stamps
from neural_paint.strokes import Strokes
from neural_paint.tasks.brush_parameters import AnyBrush, parameters_of, spacing_of
from neural_paint.tasks.lay import lay
from neural_paint.tasks.parameters import MIN_RADIUS
from neural_paint.tasks.placement import place, stroke_worth
from neural_paint.tasks.schedule import Wave
from neural_paint.tasks.step_graph import StepGraph

# Share of the strokes that each wave takes up and places anew.
_RELOCATED = 0.1
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

    def __init__(self, photo: Tensor, strokes: int, brush: AnyBrush, generator: torch.Generator) -> None:
        batch, channels, height, width = photo.shape
        self._spacing = spacing_of((height, width), strokes)
        self._photo = photo
        self._generator = generator
        self._moved = False
        self.background = photo.mean((2, 3), keepdim=True).clamp(0, 1)
        self._under = self.background.expand_as(photo).contiguous()
        self.canvas = self._under
        self._painter = brush if isinstance(brush, NeuralPainter) else None
        self.parameters = parameters_of(brush, batch, channels, strokes, self._spacing, photo)
        # Where each stroke comes in the painting, in octaves from the end of the shortest prefix.
        self._octave = ((torch.arange(strokes, dtype=torch.float64) + 0.5) / _FIRST_PREFIX).log2().to(photo.device)
        # What changes between steps, on the device, where a captured step finds it: the size of the step, how far
        # prefixes have gone through the lengths, where the last stroke that is placed comes.
        self._rate, self._turn, self._octaves = self._octave.new_zeros(3).unbind()
        self._graph = StepGraph(photo.device)

    def begin_wave(self, wave: Wave) -> None:
        """Take up the strokes that are worth least, and place these and the wave's own where the error is."""
        if self._moved:
            self._take_up(int(_RELOCATED * self.parameters.count))
        missing = wave.total - self.parameters.count
        if missing == 0:
            return
        radius = max(wave.radius * self._spacing, MIN_RADIUS)
        placement = place(self._photo, self.canvas, missing, radius, self._generator)
        self.parameters.append(placement, radius, self._generator)
        self._octaves.fill_(math.log2(wave.total / _FIRST_PREFIX))
        self.canvas = lay(self._shown(), self._under)
        self._moved = False

    def _take_up(self, count: int) -> None:
        worth = stroke_worth(self._shown(), self._under, self._photo, self._generator)
        self.parameters.keep(worth.argsort(1)[:, count:].sort(1).values)
        self.canvas = lay(self._shown(), self._under)

    @torch.no_grad()
    def _shown(self) -> Strokes | Stamps:
        return self.parameters.shown(self.parameters.strokes())

    def step(self, rate: float, *, is_last: bool = False) -> tuple[AnyStrokes, Tensor]:
        """Move the strokes one step of size `rate`; returns what they were before, and their canvases' mean squared
        errors, which like `canvas` no later step changes."""
        self._rate.fill_(rate)
        *moving, self.canvas, mse = self._graph.run(self._advance)
        self._moved = True
        strokes = self.parameters.painted(moving)
        if is_last and self.parameters.is_reduced:
            self.canvas = lay(strokes, self._under, self._painter)
            mse = (self.canvas - self._photo).square().mean((1, 2, 3))
        return strokes, mse

    @torch.enable_grad()
    def _advance(self) -> tuple[Tensor, ...]:
        """The whole of a step on the device, for `StepGraph`."""
        rows = self.parameters.rows.detach().requires_grad_()
        strokes = self.parameters.strokes(rows)
        first, others = self._next_parts()
        shown = self.parameters.shown(strokes)
        sketch = lay(shown.masked(first), self._under)
        canvas = lay(shown.masked(others), sketch)
        # Sums, not means: Adam does not mind, and gradients stay far above its epsilon.
        error = (canvas - self._photo).square().sum((1, 2, 3))
        sketch_error = (sketch - self._photo).square().sum((1, 2, 3))
        ratio = (error / sketch_error.clamp(min=1e-9)).detach()
        loss = error + _PREFIX_WEIGHT * self._octaves.clamp(min=0) * ratio * sketch_error
        (grad,) = torch.autograd.grad(loss.sum(), rows)
        self.parameters.update(grad, self._rate)
        fields = strokes.fields()
        moving = (fields[name] for name in self.parameters.MOVING)
        return tuple(x.detach() for x in (*moving, canvas, error / self._photo[0].numel()))

    def _next_parts(self) -> tuple[Tensor, Tensor]:
        """Masks of the next prefix, between the shortest one and the whole, all doublings equally often, and of the
        others. With slices in their place, shapes would change from step to step."""
        self._turn.add_(_GOLDEN).frac_()
        # Where there are fewer strokes than in the shortest prefix, it is the whole.
        length = torch.minimum(self._turn * self._octaves, self._octaves)
        placed, first = self._octave < self._octaves, self._octave < length
        return first, placed & ~first
