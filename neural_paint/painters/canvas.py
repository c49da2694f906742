"""Canvases of neural painters: all strokes decoded in one call of the network, and laid on the canvas in another.

What is published (Nakano, "Neural Painters", arXiv:1904.08410) decodes and blends one stroke after the other, each
padded to the whole canvas; these give the same pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from neural_paint.colors import mean_color, nearest_color
from neural_paint.ops.composite_patches import composite_patches
from neural_paint.ops.stroke_mask import stroke_mask
from neural_paint.painters.actions import (
    ACTION_SIZE,
    COLOR,
    END,
    ENTRY_PRESSURE,
    PRESSURE,
    SIZE,
    START,
    STROKE_SIZE,
)
from neural_paint.painters.base import NeuralPainter

Order = Literal["blocks", "alternating"]
Paint = Literal["action", "darkest"]
Preprocessor = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Grid:
    """Blocks of 64 x 64 pixels, side by side, each with strokes of its own: `Grid()` is a single block.

    Attributes:
        rows, columns: blocks, at least 1 each way.
        overlap: pixels that neighbours have in common, in [0, 63]; later strokes cover earlier ones there.
        strokes_per_block: at least 1.
        order: "blocks" finishes one block after the other, row by row; "alternating" gives each a stroke in turn.
    """

    rows: int = 1
    columns: int = 1
    overlap: int = 10
    strokes_per_block: int = 1
    order: Order = "blocks"

    def __post_init__(self) -> None:
        for name in ("rows", "columns", "strokes_per_block"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.overlap < STROKE_SIZE:
            raise ValueError(f"overlap must be in [0, {STROKE_SIZE - 1}], got {self.overlap}")
        if self.order not in get_args(Order):
            raise ValueError(f"order must be one of {', '.join(get_args(Order))}, got {self.order!r}")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the canvas in pixels."""
        height, width = (STROKE_SIZE * n - self.overlap * (n - 1) for n in (self.rows, self.columns))
        return height, width

    @property
    def num_strokes(self) -> int:
        return self.rows * self.columns * self.strokes_per_block

    def transform(self, like: Tensor) -> Tensor:
        """(N, 2, 3) maps from each stroke's pixels to the canvas's, in the dtype and on the device of `like`."""
        step = STROKE_SIZE - self.overlap
        row, column = (step * torch.arange(n) for n in (self.rows, self.columns))
        corner = torch.cartesian_prod(row, column).flip(-1)
        if self.order == "blocks":
            corner = corner.repeat_interleave(self.strokes_per_block, 0)
        else:
            corner = corner.repeat(self.strokes_per_block, 1)
        matrix = torch.eye(2).expand(self.num_strokes, 2, 2)
        return torch.cat([matrix, corner[..., None]], -1).to(like)


def place_strokes(center: Tensor, size: Tensor | float = STROKE_SIZE, angle: Tensor | float = 0.0) -> Tensor:
    """Maps (..., 2, 3) that lay strokes anywhere on a canvas, for `composite_patches`; differentiable.

    Args:
        center: (..., 2) where the middle of a stroke's picture comes to lie, x and y in pixels.
        size: (...) side of the picture on the canvas in pixels.
        angle: (...) by which it is turned, in radians, from the x axis towards the y axis.
    """
    scale = torch.as_tensor(size, dtype=center.dtype, device=center.device) / STROKE_SIZE
    angle = torch.as_tensor(angle, dtype=center.dtype, device=center.device)
    x, y = (part.expand(center.shape[:-1]) for part in (scale * angle.cos(), scale * angle.sin()))
    matrix = torch.stack([x, -y, y, x], -1).unflatten(-1, (2, 2))
    middle = center.new_full((2, 1), STROKE_SIZE / 2)
    return torch.cat([matrix, center[..., None] - matrix @ middle], -1)


def connect(actions: Tensor, every: int | None = None, *, first: Tensor | None = None) -> Tensor:
    """Let each stroke begin where the one before it ended, with its pressure there: (..., N, 12), differentiable.

    Args:
        actions: (..., N, 12); the start and the entry pressure of all but the first are not used.
        every: strokes that hang together, for instance those of a block; by default all of them.
        first: (N,) bool, the strokes that begin anew, where they are not at equal distances.
    """
    count = actions.shape[-2]
    if first is None:
        first = torch.arange(count, device=actions.device) % (every or max(count, 1)) == 0
    before = actions.roll(1, -2)
    start = torch.where(first[:, None], actions[..., START.slice], before[..., END.slice])
    pressure = torch.where(first[:, None], actions[..., ENTRY_PRESSURE.slice], before[..., PRESSURE.slice])
    return ENTRY_PRESSURE.replaced(START.replaced(actions, start), pressure)


def grey(actions: Tensor) -> Tensor:
    """Colours become the mean of their channels."""
    return COLOR.replaced(actions, mean_color(actions[..., COLOR.slice]))


def palette(colors: Tensor) -> Preprocessor:
    """A preprocessor that paints in the colours (K, 3) alone, each stroke in the nearest one; see `nearest_color`."""
    if colors.ndim != 2 or colors.shape[1] != COLOR.size or not len(colors):
        raise ValueError(f"colors must have shape (K, {COLOR.size}) with K at least 1, got {tuple(colors.shape)}")
    return lambda actions: COLOR.replaced(actions, nearest_color(actions[..., COLOR.slice], colors))


def thin(most: float) -> Preprocessor:
    """A preprocessor that brings sizes from [0, 1] to [0, most]."""
    if not 0 <= most <= 1:
        raise ValueError(f"most must be in [0, 1], got {most}")
    return lambda actions: SIZE.replaced(actions, most * actions[..., SIZE.slice])


def opaque(actions: Tensor) -> Tensor:
    """Full pressure from start to end."""
    for field in (PRESSURE, ENTRY_PRESSURE):
        actions = field.replaced(actions, torch.ones_like(actions[..., field.slice]))
    return actions


class NeuralCanvas:
    """Paints actions on a canvas with a neural painter.

        canvas = NeuralCanvas(load_painter("gan.safetensors"), Grid(8, 8, strokes_per_block=5))
        image = canvas(torch.rand(1, canvas.num_strokes, 12, requires_grad=True))

    Args:
        painter: decodes the strokes; all of them in one call.
        grid: where they go.
        preprocess: applied to the actions one after the other, such as `grey` or `thin(0.3)`.
        connected: each stroke of a block begins where the one before it ended.
        paint: what colour a stroke is laid in: that of its "action", or the "darkest" of its picture, channel by
            channel, as in "The Joy of Neural Painting" (arXiv:2111.10283).
    """

    def __init__(
        self,
        painter: NeuralPainter,
        grid: Grid | None = None,
        *,
        preprocess: Sequence[Preprocessor] = (),
        connected: bool = False,
        paint: Paint = "action",
    ) -> None:
        self.painter = painter
        self.grid = grid or Grid()
        if connected and self.grid.order == "alternating" and self.grid.strokes_per_block > 1:
            raise ValueError("connected strokes need the order 'blocks', got 'alternating'")
        if paint not in get_args(Paint):
            raise ValueError(f"paint must be one of {', '.join(get_args(Paint))}, got {paint!r}")
        self.preprocess = tuple(preprocess)
        self.connected = connected
        self.paint = paint

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.grid.size

    @property
    def num_strokes(self) -> int:
        return self.grid.num_strokes

    def __call__(
        self,
        actions: Tensor,
        background: Tensor | None = None,
        *,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
        chunk: int | None = None,
    ) -> Tensor:
        """The painting, differentiable in the actions and the background.

        Args:
            actions: (B, num_strokes, 12) in [0, 1], those of a grid in its order; the first is painted first.
            background: (B or 1, 3, H, W) of the canvas's size, by default white.
            noise, generator, chunk: see `NeuralPainter.forward`.

        Returns:
            (B, 3, H, W) image in [0, 1].

        Raises:
            ValueError: a shape is wrong.
        """
        transform = self.grid.transform(actions).expand(len(actions), -1, -1, -1)
        masks, colors = self.decode(actions, noise=noise, generator=generator, chunk=chunk)
        return composite_patches(masks, transform, self._under(actions, background), color=colors)

    def steps(
        self, actions: Tensor, background: Tensor | None = None, *, every: int = 1, noise: Tensor | None = None
    ) -> Iterator[Tensor]:
        """The canvas (B, 3, H, W) after every so many strokes, and after the last; without gradients."""
        if every < 1:
            raise ValueError(f"every must be at least 1, got {every}")
        with torch.no_grad():
            transform = self.grid.transform(actions).expand(len(actions), -1, -1, -1)
            masks, colors = self.decode(actions, noise=noise)
            canvas = self._under(actions, background)
        for first in range(0, self.num_strokes, every):
            part = slice(first, first + every)
            with torch.no_grad():
                canvas = composite_patches(masks[:, part], transform[:, part], canvas, color=colors[:, part])
            yield canvas

    def decode(
        self,
        actions: Tensor,
        *,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
        chunk: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Masks (B, N, 64, 64) and colours (B, N, 3) of actions (B, N, 12), for `composite_patches` with other maps."""
        if actions.ndim != 3 or actions.shape[1:] != (self.num_strokes, ACTION_SIZE):
            rule = f"(B, {self.num_strokes}, {ACTION_SIZE})"
            raise ValueError(f"actions must have shape {rule}, got {tuple(actions.shape)}")
        for preprocess in self.preprocess:
            actions = preprocess(actions)
        if self.connected:
            actions = connect(actions, self.grid.strokes_per_block)
        if self.paint == "action":
            masks = self.painter.coverage(actions, noise, generator, chunk=chunk)
            return masks, actions[..., COLOR.slice]
        strokes = self.painter(actions, noise, generator, chunk=chunk)
        return stroke_mask(strokes), strokes.amin((-2, -1))

    def _under(self, actions: Tensor, background: Tensor | None) -> Tensor:
        size = (COLOR.size, *self.size)
        if background is None:
            return actions.new_ones(1, *size)
        if background.shape[1:] != size:
            rule = f"(B or 1, {', '.join(map(str, size))})"
            raise ValueError(f"background must have shape {rule}, got {tuple(background.shape)}")
        return background
