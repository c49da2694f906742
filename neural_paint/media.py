"""Media: what a picture is painted with, and on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import torch

from neural_paint.brushes import BRUSHES, BitmapBrush, Brush
from neural_paint.painters.actions import STROKE_SIZE
from neural_paint.painters.base import DEFAULT_PAINTER, NeuralPainter
from neural_paint.painters.canvas import Order
from neural_paint.painters.pretrained import load_pretrained

_WHITE = 1.0
# Pixels that neighbouring blocks have in common, of 64, where neural painters painted photographs.
_OVERLAP = 32


@dataclass(frozen=True, eq=False)
class Medium:
    """What the strokes of a picture have in common.

    Attributes:
        brush: of curves or of bitmaps; or a neural painter, frozen.
        paper: grey level in [0, 1] of what is below the first stroke; None: the mean colour of the photograph, or grey.
        block: a neural painter's strokes come in blocks of so many pixels a side, laid on a grid that fills the canvas
            ("Neural Painters", arXiv:1904.08410); None: anywhere, at any size.
        overlap: pixels that neighbouring blocks have in common, in [0, block - 1]; about, as blocks fill the canvas.
        order: "blocks" paints one block after the other, row by row; "alternating" gives each a stroke in turn.
        connected: each stroke of a block begins where the one before it ended; needs the order "blocks".
        noise: a neural painter's strokes have noise, drawn anew in each step, as those of stochastic painters had where
            they were published; without it they are as they are on average.

    Raises:
        ValueError: a number is out of range, or `block` is given for a brush.
    """

    brush: Brush | BitmapBrush | NeuralPainter
    paper: float | None = None
    block: int | None = None
    overlap: int = 0
    order: Order = "blocks"
    connected: bool = False
    noise: bool = False

    def __post_init__(self) -> None:
        if self.paper is not None and not 0 <= self.paper <= 1:
            raise ValueError(f"paper must be in [0, 1], got {self.paper}")
        if not isinstance(self.brush, NeuralPainter):
            if self.block is not None or self.noise:
                raise ValueError("block and noise are for a neural painter, and brush is none")
        elif self.noise and not self.brush.noise_size:
            raise ValueError("noise needs a painter that has some, and brush has none")
        self._check_blocks()

    def _check_blocks(self) -> None:
        if self.order not in get_args(Order):
            raise ValueError(f"order must be one of {', '.join(get_args(Order))}, got {self.order!r}")
        if self.connected and self.order == "alternating":
            raise ValueError("connected strokes need the order 'blocks', got 'alternating'")
        if self.block is None:
            if self.overlap or self.connected:
                raise ValueError("overlap and connected are for strokes in blocks, and block is None")
            return
        if self.block < 1:
            raise ValueError(f"block must be at least 1, got {self.block}")
        if not 0 <= self.overlap < self.block:
            raise ValueError(f"overlap must be in [0, {self.block - 1}], got {self.overlap}")


_OF_BRUSHES = {
    "oil": Medium(BRUSHES["oil"]),
    "marker": Medium(BRUSHES["marker"], _WHITE),
    "watercolour": Medium(BRUSHES["watercolour"], _WHITE),
    "dry-brush": Medium(BRUSHES["dry"]),
    "round": Medium(BRUSHES["round"]),
}
NEURAL = "neural"
# The names that `named_medium` knows.
MEDIA = (*_OF_BRUSHES, NEURAL)


def neural_medium(painter: NeuralPainter) -> Medium:
    """A neural painter's strokes as they were published, in blocks of 64 pixels that overlap by half, on white."""
    return Medium(painter, _WHITE, block=STROKE_SIZE, overlap=_OVERLAP)


def named_medium(name: str, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32) -> Medium:
    """A medium of `MEDIA`: strokes of the brush of that name, or, "neural", those of the neural painter that comes with
    the package, on that device, of that dtype.

    Raises:
        ValueError: there is no medium of that name.
    """
    if name == NEURAL:
        return neural_medium(load_pretrained(DEFAULT_PAINTER).to(device, dtype))
    if name not in _OF_BRUSHES:
        raise ValueError(f"medium must be one of {', '.join(MEDIA)}, or a Medium, got {name!r}")
    return _OF_BRUSHES[name]
