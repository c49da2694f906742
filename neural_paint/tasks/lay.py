"""How strokes of any kind come on a canvas."""

from __future__ import annotations

import torch
from torch import Tensor

from neural_paint.action_strokes import ActionStrokes, AnyStrokes
from neural_paint.ops.composite_patches import composite_patches
from neural_paint.ops.paint import paint
from neural_paint.painters.base import NeuralPainter
from neural_paint.stamps import Stamps

# Strokes of a neural painter whose masks are held at a time.
_RUN = 32
# Sides of masks in texels, powers of two: at least one to a pixel up to the greatest. There the finest stroke is 16
# texels wide, and soft, so that they are not seen at any size.
_TEXELS = (32, 512)


def lay(
    strokes: AnyStrokes, background: Tensor, painter: NeuralPainter | None = None, sizes: Tensor | None = None
) -> Tensor:
    """(B, C, H, W) painting of B canvases over the (B or 1, C, H, W) background, differentiable in both.

    Actions are shown by the painter, so many at a time that memory is bounded, in masks of `sizes`, which are by
    default those of `mask_sizes`.

    Raises:
        ValueError: there are actions, and no painter.
    """
    if isinstance(strokes, ActionStrokes):
        return _lay_actions(strokes, background, painter, sizes)
    if isinstance(strokes, Stamps):
        return composite_patches(
            strokes.patches,
            strokes.transform,
            background,
            color=strokes.color,
            opacity=strokes.opacity,
            patch_id=strokes.patch_id,
        )
    return paint(strokes, background)


def mask_sizes(strokes: AnyStrokes, painter: NeuralPainter | None) -> Tensor | None:
    """Sides (N,) on the CPU of the masks in which each stroke is shown; None for strokes that are no actions.

    The same number for all strokes of a run, as broad strokes come first and those next to each other are much of a
    size; and for parts of a painting, so that these fit together.

    Raises:
        ValueError: there are actions, and no painter.
    """
    return _mask_sizes(strokes, _required(painter)) if isinstance(strokes, ActionStrokes) else None


def _required(painter: NeuralPainter | None) -> NeuralPainter:
    if painter is None:
        raise ValueError("painter must be given for strokes that are actions")
    return painter


def _mask_sizes(strokes: ActionStrokes, painter: NeuralPainter) -> Tensor:
    sides = strokes.place[..., 2].detach().cpu()
    sides = sides.amax(0) if len(sides) else sides.new_zeros(strokes.num_strokes)
    runs = [run.new_full(run.shape, texels_for(painter, float(run.max()))) for run in sides.split(_RUN) if len(run)]
    return torch.cat([sides[:0], *runs]).long()


def texels_for(painter: NeuralPainter, side: float) -> int:
    """Side of the mask in which the painter shows a square of `side` pixels."""
    if not painter.any_size:
        return painter.stroke_size
    least, most = _TEXELS
    texels = least
    while texels < min(side, most):
        texels *= 2
    return texels


def _lay_actions(
    strokes: ActionStrokes, background: Tensor, painter: NeuralPainter | None, sizes: Tensor | None
) -> Tensor:
    painter = _required(painter)
    sizes = _mask_sizes(strokes, painter) if sizes is None else sizes
    canvas = background.expand(strokes.batch_size, *background.shape[1:])
    texels, counts = (x.tolist() for x in torch.unique_consecutive(sizes, return_counts=True))
    end = 0
    for size, count in zip(texels, counts, strict=True):
        begin, end = end, end + count
        for first in range(begin, end, _RUN):
            canvas = lay(strokes[:, first : min(first + _RUN, end)].to_stamps(painter, size), canvas)
    return canvas
