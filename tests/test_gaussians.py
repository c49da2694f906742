"""The benchmarks' opponent that splats Gaussians: right, or beating it is worth nothing.

Under Triton's interpreter where there is no GPU.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from neural_paint import paint
from neural_paint.testing import brush_strokes

pytest.importorskip("triton")
import gaussians

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SAMPLES = 6
HEIGHT, WIDTH = 20, 37  # six tiles, four of them cut off


def scene(strokes: int, **options: object) -> tuple[list[Tensor], Tensor]:
    """The Gaussians of two canvases as leaves, and a background."""
    size = {"height": HEIGHT, "width": WIDTH, "length": 14.0, "radius": 3.0}
    drawn = brush_strokes(batch=2, strokes=strokes, opacity_ends=2, **{**size, **options})
    placed = [x.detach().requires_grad_() for x in gaussians.place(drawn.to(DEVICE), SAMPLES)]
    return placed, torch.rand(2, 3, HEIGHT, WIDTH, device=DEVICE)


def composite(
    centres: Tensor, conics: Tensor, opacities: Tensor, colors: Tensor, background: Tensor
) -> tuple[Tensor, bool]:
    """The same Gaussians one by one at every pixel, the front one first, by autograd and without lists; and whether any
    pixel was closed before it had seen all."""
    batch, _, height, width = background.shape
    x, y = torch.arange(width) + 0.5, (torch.arange(height) + 0.5)[:, None]
    images, any_closed = [], False
    for canvas, rows in enumerate(torch.arange(len(centres)).chunk(batch)):
        image, above = torch.zeros(3, height, width), torch.ones(height, width)
        closed = torch.zeros(height, width, dtype=torch.bool)
        for row in rows.flip(0):
            dx, dy = centres[row, 0] - x, centres[row, 1] - y
            xx, xy, yy = conics[row]
            alpha = opacities[row] * torch.exp(-(xx * dx**2 + yy * dy**2) / 2 - xy * dx * dy)
            alpha = alpha.clamp(max=0.99)
            below = above * (1 - torch.where(alpha < 1 / 255, 0, alpha))
            closed = closed | (below < 1e-4)
            shown = ~closed & (alpha >= 1 / 255)
            image = image + torch.where(shown, above * alpha, 0) * colors[row, :, None, None]
            above = torch.where(shown, below, above)
        images.append(image + above * background[canvas])
        any_closed |= bool(closed.any())
    return torch.stack(images), any_closed


@pytest.mark.parametrize(
    ("strokes", "opacity"), [(3, (0.5, 1.0)), (12, (1.0, 1.0)), (1, (0.0, 0.01))], ids=["few", "opaque", "faint"]
)
def test_image_and_gradients_are_those_of_compositing_one_by_one(strokes: int, opacity: tuple[float, float]) -> None:
    placed, background = scene(strokes, opacity=opacity)
    image = gaussians.Rasterise.apply(*placed, background)
    expected, any_closed = composite(*(x.cpu() for x in placed), background.cpu())
    assert any_closed == (opacity[0] == 1)
    torch.testing.assert_close(image.cpu(), expected, rtol=0, atol=1e-5)
    grad = torch.randn(image.shape)
    found = torch.autograd.grad(image, placed, grad.to(DEVICE))
    for gradient, wanted in zip(found, torch.autograd.grad(expected, placed, grad), strict=True):
        torch.testing.assert_close(gradient.cpu(), wanted.cpu(), rtol=1e-3, atol=1e-3 * float(wanted.abs().max()))


def test_paints_about_the_picture_that_paint_does() -> None:
    strokes = brush_strokes(strokes=10, height=64, width=64, opacity_ends=2).to(DEVICE)
    white = torch.ones(1, 3, 64, 64, device=DEVICE)
    painted = paint(strokes, white)

    def error(image: Tensor) -> float:
        return float((image - painted).square().mean().sqrt())

    splatted = gaussians.paint(strokes, white, samples=9)
    assert error(splatted) < error(white) / 3


def test_gradients_reach_the_strokes() -> None:
    """Down the gradient the picture comes nearer, in all that the samples are made of."""
    strokes = brush_strokes(strokes=3, height=HEIGHT, width=WIDTH, length=14.0, radius=3.0, opacity_ends=2).to(DEVICE)
    white = torch.ones(1, 3, HEIGHT, WIDTH, device=DEVICE)
    target = gaussians.paint(strokes, white, samples=SAMPLES)
    names = ("points", "radius", "color", "opacity")
    for name in names:
        field = (strokes.fields()[name] * 0.95).requires_grad_()
        loss = (gaussians.paint(strokes.replace(**{name: field}), white, samples=SAMPLES) - target).square().sum()
        (gradient,) = torch.autograd.grad(loss, field)
        # Half of the loss, if it were linear.
        moved = field.detach() - gradient * (0.5 * loss.detach() / gradient.square().sum())
        after = (gaussians.paint(strokes.replace(**{name: moved}), white, samples=SAMPLES) - target).square().sum()
        assert 0 < after < 0.9 * loss, name
