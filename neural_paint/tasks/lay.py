"""How strokes of any kind come on a canvas."""

from __future__ import annotations

from torch import Tensor

from neural_paint.action_strokes import ActionStrokes, AnyStrokes
from neural_paint.ops.composite_patches import composite_patches
from neural_paint.ops.paint import paint
from neural_paint.painters.base import NeuralPainter
from neural_paint.stamps import Stamps

# Strokes of a neural painter whose masks are held at a time.
_RUN = 64
# Sides of masks in texels, powers of two: at least one to a pixel up to the greatest, beyond which they are no longer
# seen, as the finest stroke is an eighth of a mask's side in width there.
_TEXELS = (32, 512)


def lay(strokes: AnyStrokes, background: Tensor, painter: NeuralPainter | None = None) -> Tensor:
    """(B, C, H, W) painting of B canvases over the (B or 1, C, H, W) background, differentiable in both.

    Actions are shown by the painter, in masks as fine as the canvas, so many at a time that memory is bounded.

    Raises:
        ValueError: there are actions, and no painter.
    """
    if isinstance(strokes, ActionStrokes):
        return _lay_actions(strokes, background, painter)
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


def texels_for(painter: NeuralPainter, side: float) -> int:
    """Side of the mask in which the painter shows a square of `side` pixels."""
    if not painter.any_size:
        return painter.stroke_size
    least, most = _TEXELS
    texels = least
    while texels < min(side, most):
        texels *= 2
    return texels


def _lay_actions(strokes: ActionStrokes, background: Tensor, painter: NeuralPainter | None) -> Tensor:
    if painter is None:
        raise ValueError("painter must be given for strokes that are actions")
    canvas = background.expand(strokes.batch_size, *background.shape[1:])
    # Two strokes next to each other are much of a size: the broad ones come first.
    for begin in range(0, strokes.num_strokes, _RUN):
        run = strokes[:, begin : begin + _RUN]
        largest = float(run.place[..., 2].detach().amax()) if run.batch_size else 0.0
        canvas = lay(run.to_stamps(painter, texels_for(painter, largest)), canvas)
    return canvas
