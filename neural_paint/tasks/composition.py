"""Strokes of one medium on canvases, moved towards whatever an objective asks of the picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from neural_paint.action_strokes import ActionStrokes, AnyStrokes
from neural_paint.constraints import Constraints
from neural_paint.media import Medium
from neural_paint.painters.actions import COLOR
from neural_paint.painters.base import NeuralPainter
from neural_paint.tasks.brush_parameters import AnyParameters, finest_radius, parameters_of, spacing_of
from neural_paint.tasks.grid_parameters import GridParameters
from neural_paint.tasks.lay import lay
from neural_paint.tasks.parameters import MIN_RADIUS
from neural_paint.tasks.placement import Placement, place
from neural_paint.tasks.schedule import waves

# Colours of strokes that are placed at random: a little about grey, from where every colour is near.
_GREY, _SPREAD = 0.5, 0.2
# Half length of such strokes in radii, and radius of the finest ones in spacings: nothing says where finer ones belong.
_HALF_LENGTH, _FINEST = 2.0, 0.45


@dataclass(frozen=True)
class CompositionStep:
    """Strokes before a step, detached, and what the objective said of them; no later step changes it.

    Attributes:
        strokes: (B, N) in pixels of the canvas, within the constraints.
        canvas: (B, 3, H, W) these strokes over the background.
        loss: () what the objective gave.
    """

    strokes: AnyStrokes
    canvas: Tensor
    loss: Tensor


class Composition:
    """N strokes of a medium on each of B canvases, the only thing that an objective can change.

    Args:
        batch: B.
        size: (H, W) of the canvases.
        strokes: N.
        medium: what they are painted with; a neural painter in the dtype and on the device of `like`.
        constraints: what they are held to.
        photo: (B, 3, H, W) in whose shapes and colours they begin, coarse ones first; without one, and in a neural
            painter's blocks, they begin at random places.
        generator: of that, and of the medium's noise, on the CPU.
        like: gives the dtype and the device.

    Attributes:
        shape: (B, N) of the strokes.
        background: (B, 3) colour of the paper.
    """

    def __init__(
        self,
        batch: int,
        size: Sequence[int],
        strokes: int,
        medium: Medium,
        *,
        constraints: Constraints | None = None,
        photo: Tensor | None = None,
        generator: torch.Generator,
        like: Tensor,
    ) -> None:
        self.shape = (batch, strokes)
        self._constraints = constraints or Constraints()
        self._generator = generator if medium.noise else None
        self._painter = medium.brush if isinstance(medium.brush, NeuralPainter) else None
        self.background = self._paper(batch, medium, photo, like)
        self._under = self.background[:, :, None, None].expand(-1, -1, *size).contiguous()
        self._parameters: AnyParameters | GridParameters
        if medium.block is not None:
            self._parameters = GridParameters(batch, size, strokes, medium, like)
            self._parameters.begin(photo, generator)
            return
        spacing = spacing_of(size, strokes)
        self._parameters = parameters_of(medium.brush, batch, COLOR.size, strokes, spacing, like)
        canvas = self._under
        for wave in waves(strokes, _FINEST if photo is None else finest_radius(medium.brush)):
            count = wave.total - self._parameters.count
            if count == 0:
                break
            radius = max(wave.radius * spacing, MIN_RADIUS)
            if photo is None:
                self._parameters.append(_scatter(canvas, count, radius, generator), radius, generator)
                continue
            self._parameters.append(place(photo, canvas, count, radius, generator), radius, generator)
            with torch.no_grad():
                canvas = lay(self._parameters.shown(self._strokes()), self._under)

    def _paper(self, batch: int, medium: Medium, photo: Tensor | None, like: Tensor) -> Tensor:
        if medium.paper is None and photo is not None:
            color = photo.mean((2, 3))
        else:
            color = like.new_full((batch, COLOR.size), _GREY if medium.paper is None else medium.paper)
        # Paper of a colour that no stroke may have would show between strokes.
        return self._constraints.color(color) if medium.paper is None else color

    def _strokes(self, rows: Tensor | None = None) -> AnyStrokes:
        return self._constraints(self._parameters.strokes(rows))

    def _noisy(self, strokes: AnyStrokes) -> AnyStrokes:
        if self._generator is None:
            return strokes
        assert isinstance(strokes, ActionStrokes)
        return strokes.seeded(int(torch.randint(1 << 62, (), generator=self._generator)))

    def step(
        self,
        objective: Callable[[Tensor], Tensor],
        rate: float,
        *,
        kept: Tensor | None = None,
        is_last: bool = False,
    ) -> CompositionStep:
        """Move the strokes one step of Adam of size `rate` to where the objective is less.

        Args:
            objective: (B, 3, H, W) canvases, differentiable, in about [0, 1] -> () loss. Canvases do not depend on
                each other where it is a sum over them.
            rate: 1 is full.
            kept: (B, N) mask of the strokes that are on the canvases which the objective is given, by default all; what
                is handed out has all.
            is_last: the strokes are handed out at full resolution, which bitmap brushes and neural painters need not
                have while they are optimised, and the canvas is that.
        """
        parameters = self._parameters
        with torch.enable_grad():
            rows = parameters.rows.detach().requires_grad_()
            strokes = self._noisy(self._strokes(rows))
            laid = parameters.shown(strokes)
            canvas = lay(laid if kept is None else laid.masked(kept.to(self._under.device)), self._under)
            loss = objective(canvas)
            (grad,) = torch.autograd.grad(loss, rows)
        parameters.update(grad, loss.new_tensor(rate))
        fields = strokes.fields()
        painted: AnyStrokes = parameters.painted([fields[name].detach() for name in parameters.MOVING])
        if "seed" in fields:
            painted = painted.replace(seed=fields["seed"])
        canvas = canvas.detach()
        with torch.no_grad():
            if is_last and parameters.is_reduced:
                canvas = lay(painted, self._under, self._painter)
            elif kept is not None:
                canvas = lay(laid, self._under)
        return CompositionStep(painted, canvas, loss.detach())


def _scatter(canvas: Tensor, count: int, radius: float, generator: torch.Generator) -> Placement:
    """Strokes anywhere, of any direction, in greyish colours, on every canvas others."""
    batch, channels, height, width = canvas.shape
    center, angle, color = torch.rand(batch, count, 3 + channels, generator=generator).split([2, 1, channels], -1)
    direction = torch.cat([(2 * math.pi * angle).cos(), (2 * math.pi * angle).sin()], -1)
    placement = Placement(
        center * center.new_tensor([width, height]),
        _HALF_LENGTH * radius * F.normalize(direction, dim=-1),
        _GREY + _SPREAD * (2 * color - 1),
    )
    return Placement(*(x.to(canvas) for x in (placement.center, placement.half, placement.color)))
