"""The container of a painting program's strokes: actions, and the squares of the canvas that they refer to."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from neural_paint.stamps import Stamps
from neural_paint.stroke_batch import StrokeBatch, check_joinable, require_same
from neural_paint.stroke_rules import FINITE, UNIT, check_values, shape_error
from neural_paint.strokes import Strokes

if TYPE_CHECKING:
    from neural_paint.painters.base import NeuralPainter

_PLACE_SIZE = 3
# Fewest texels of a patch that bounds allow for: interpolation reaches half a texel beyond it.
_LEAST_TEXELS = 32
# Seeds are drawn below this: more digits than these do not count (`NeuralPainter.seeded_noise`).
_SEEDS = 1 << 32


class ActionStrokes(StrokeBatch):
    """A batch of B canvases with N strokes each, painted in order: stroke 0 first.

    An action says what the pen of a painting program does (`neural_paint.painters.actions`), in a square of 64 pixels.
    Its place says where on the canvas that square is and how large: side / 64 is the scale of all of it, of points and
    of the brush's radius.

    A neural painter shows these strokes (`to_stamps`), and so does the program itself (`neural_paint.mypaint`).

    Args:
        actions: (B, N, 12) in [0, 1], float32 or float64.
        place: (B, N, 3) x and y of the upper left corner of the square and its side > 0, in pixels of the canvas.
        seed: (B, N) int64 >= 0, of each stroke's noise, where a neural painter shows them with noise; see `seeded`.

    The tensors are kept as given, with their autograd graph, and nothing here synchronises: values are checked by
    `validate()` alone.

    Raises:
        TypeError: a field is not a tensor or has an unsupported dtype.
        ValueError: a field has the wrong shape or is on another device than `actions`.
    """

    FIELDS = ("actions", "place", "seed")
    REQUIRED = ("actions", "place")

    def __init__(self, *, actions: Tensor, place: Tensor, seed: Tensor | None = None) -> None:
        _check_layout(actions, place)
        _check_seed(seed, actions)
        self.actions = actions
        self.place = place
        self.seed = seed

    @property
    def shared(self) -> tuple[str, ...]:
        return ()

    @property
    def channels(self) -> int:
        return 3

    def _described(self) -> str:
        return f"C={self.channels}"

    def to_stamps(self, painter: NeuralPainter, texels: int = 64, *, chunk: int | None = None) -> Stamps:
        """What the painter makes of the strokes: a mask each, laid over its square in the colour of its action.

        Differentiable. Ink that would leave the square ends at it. Without seeds the painter has no noise; with them
        each stroke has that of its own seed, the same in masks of any size. Painters without noise ignore seeds.

        Args:
            painter: in the dtype and on the device of the strokes.
            texels: side of the masks; painters without `any_size` have 64 alone.
            chunk: masks made at a time, see `NeuralPainter.forward`.

        Raises:
            TypeError, ValueError: the painter has another dtype, or no masks of that size.
        """
        from neural_paint.painters.actions import COLOR

        x, y, side = self.place.unbind(-1)
        scale, none = side / texels, torch.zeros_like(side)
        transform = torch.stack([scale, none, x, none, scale, y], -1).unflatten(-1, (2, 3))
        noise = None if self.seed is None else painter.seeded_noise(self.seed)
        masks = painter.coverage(self.actions, noise, size=texels, chunk=chunk)
        return Stamps(patches=masks, transform=transform, color=self.actions[..., COLOR.slice])

    def seeded(self, seed: int) -> ActionStrokes:
        """The same strokes, each with a seed of its own, which are drawn by `seed`: a painter with noise shows one of
        the strokes that the program might paint, with its speckle, and not their smooth mean."""
        drawn = torch.randint(_SEEDS, self.shape, generator=torch.Generator().manual_seed(seed))
        return self.replace(seed=drawn.to(self.device))

    def _scaled(self, factor: builtins.float) -> ActionStrokes:
        return self.replace(place=self.place * factor)

    def stretched(self, x: builtins.float, y: builtins.float) -> ActionStrokes:
        """The same painting on a canvas `x` times as wide and `y` times as high. Squares stay squares: their centres
        move along, and their sides grow as the root of the canvas's area."""
        corner, side = self.place.split([2, 1], -1)
        broader = side * math.sqrt(x * y)
        center = (corner + side / 2) * self.place.new_tensor([x, y])
        return self.replace(place=torch.cat([center - broader / 2, broader], -1))

    def shifted(self, x: builtins.float, y: builtins.float) -> ActionStrokes:
        """The same strokes farther to the right and down, in pixels."""
        return self.replace(place=self.place + self.place.new_tensor([x, y, 0]))

    def masked(self, mask: Tensor) -> ActionStrokes:
        """The same strokes, of which all but those in `mask`, (B, N) or (N,), leave no paint: their squares have no
        side. No shape changes."""
        corner, side = self.place.split([2, 1], -1)
        return self.replace(place=torch.cat([corner, torch.where(mask[..., None], side, 0.0)], -1))

    def bounds(self) -> Tensor:
        """(B, N, 4) boxes (x0, y0, x1, y1) in pixels, outside which a painter's mask of 32 texels or more leaves no
        paint; not differentiable. The empty box, (inf, inf, -inf, -inf), for a place not finite or without a side.

        They are the squares and a little more; the ink of a painting program may go farther."""
        corner, side = self.place.detach().split([2, 1], -1)
        beyond = side / (2 * _LEAST_TEXELS) + 0.5
        shown = self.place.detach().isfinite().all(-1, keepdim=True) & (side > 0)
        low = torch.where(shown, corner - beyond, math.inf)
        return torch.cat([low, torch.where(shown, corner + side + beyond, -math.inf)], -1)

    @staticmethod
    def cat(strokes: Sequence[ActionStrokes], dim: int = 1) -> ActionStrokes:
        """Join along the strokes (dim=1, later ones are painted over earlier ones) or along the batch (dim=0).

        Raises:
            ValueError: nothing to join, the dtypes or devices differ, or only some have seeds.
        """
        check_joinable(strokes, dim)
        require_same("fields", ["/".join(s.fields()) for s in strokes])
        return ActionStrokes(
            **{name: torch.cat([s.fields()[name] for s in strokes], dim) for name in strokes[0].fields()}
        )

    def validate(self) -> ActionStrokes:
        """Check the values of every field, with one synchronisation, and return self.

        Raises:
            ValueError: naming the field, the rule, the value and the index of the first offender.
        """
        side = ("finite and > 0", lambda x: x.isfinite() & (x > 0))
        fields = {**self.fields(), "side of place": self.place[..., 2]}
        rules = {"actions": UNIT, "place": FINITE, "seed": (">= 0", lambda x: x >= 0), "side of place": side}
        check_values(fields, rules)
        return self


# Every kind of strokes.
AnyStrokes = Strokes | Stamps | ActionStrokes


def _check_layout(actions: Tensor, place: Tensor) -> None:
    # Here, as painters import what reads stroke files, which imports this.
    from neural_paint.painters.actions import ACTION_SIZE

    for name, tensor in {"actions": actions, "place": place}.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name} must be a tensor, got {type(tensor).__name__}")
        if tensor.dtype not in (torch.float32, torch.float64):
            raise TypeError(f"{name} must be float32 or float64, got {str(tensor.dtype).removeprefix('torch.')}")
    if actions.ndim != 3 or actions.shape[2] != ACTION_SIZE:
        raise shape_error("actions", f"(B, N, {ACTION_SIZE})", actions)
    b, n, _ = actions.shape
    if place.shape != (b, n, _PLACE_SIZE):
        raise shape_error("place", f"({b}, {n}, {_PLACE_SIZE})", place)
    if place.dtype != actions.dtype:
        raise TypeError(f"place must have the dtype of actions, {actions.dtype}, got {place.dtype}")
    if place.device != actions.device:
        raise ValueError(f"place must be on the device of actions, {actions.device}, got {place.device}")


def _check_seed(seed: Tensor | None, actions: Tensor) -> None:
    if seed is None:
        return
    if not isinstance(seed, Tensor) or seed.dtype != torch.int64:
        raise TypeError(f"seed must be an int64 tensor, got {getattr(seed, 'dtype', type(seed).__name__)}")
    if seed.shape != actions.shape[:2]:
        raise shape_error("seed", "({}, {})".format(*actions.shape), seed)
    if seed.device != actions.device:
        raise ValueError(f"seed must be on the device of actions, {actions.device}, got {seed.device}")
