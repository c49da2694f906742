"""The reference against hand-computed values, brute force and finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from neural_paint import reference
from neural_paint.strokes import Strokes

F64 = torch.float64


def one(points, radius=(1.0, 1.0), opacity=1.0, color=(1.0,), feather=1.0, **texture) -> Strokes:
    """One stroke on one canvas, from plain numbers."""
    values = {"points": points, "radius": radius, "opacity": opacity, "color": color, "feather": feather}
    return Strokes(**{name: torch.tensor([[value]], dtype=F64) for name, value in values.items()}, **texture)


def scene(d: int, n: int = 4, size: int = 10, seed: int = 0, b: int = 2, c: int = 2) -> tuple[Strokes, Tensor]:
    """Random float64 strokes with ramps and textures, opacity 0 and 1 among them, and a background; all with gradients."""
    random = torch.Generator().manual_seed(seed)

    def rand(*shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand(*shape, dtype=F64, generator=random)

    opacity = rand(b, n, 2, low=0.2)
    opacity[:, -1], opacity[:, 1] = 1.0, 0.0
    strokes = Strokes(
        points=rand(b, n, d, 2, low=-0.2 * size, high=1.2 * size),
        radius=rand(b, n, 2, low=0.5, high=2.5),
        color=rand(b, n, 2, c),
        opacity=opacity,
        feather=rand(b, n, low=1.0, high=2.0),
        texture=rand(2, 3, 4, low=0.3),
        texture_id=(torch.arange(b * n).reshape(b, n) % 3) - 1,
    )
    background = rand(b, c, size, size).requires_grad_()
    for field in strokes.fields().values():
        field.requires_grad_(field.is_floating_point())
    return strokes, background


def gradients(strokes: Strokes, background: Tensor, **options: float) -> dict[str, Tensor]:
    """The painting and the gradient of a weighted sum of it for every field."""
    inputs = {**strokes.fields(), "background": background}
    inputs = {name: tensor for name, tensor in inputs.items() if tensor.is_floating_point()}
    out = reference.paint(strokes, background, **options)
    weight = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).reshape(out.shape)
    return {"out": out, **dict(zip(inputs, torch.autograd.grad((out * weight).sum(), inputs.values()), strict=True))}


def functional(strokes: Strokes, background: Tensor):
    """`paint` as a function of its differentiable tensors, and those tensors, for gradcheck."""
    fields = {name: field for name, field in strokes.fields().items() if field.is_floating_point()}

    def function(background: Tensor, *values: Tensor) -> Tensor:
        return reference.paint(strokes.replace(**dict(zip(fields, values, strict=True))), background)

    return function, (background, *fields.values())


def test_line_has_exact_coverage():
    strokes = one([[0.5, 5.5], [9.5, 5.5]], radius=(2.0, 2.0), feather=4.0)
    column = reference.paint(strokes, torch.zeros(1, 1, 11, 10, dtype=F64))[0, 0, :, 4]
    half = torch.tensor([0, 0, 0.15625, 0.5, 0.84375, 1], dtype=F64)  # S at 4, 3, 2, 1, 0 px from the axis
    half = torch.cat([half[1:5], half[5:]])
    torch.testing.assert_close(column[1:6], half, atol=1e-6, rtol=0)
    torch.testing.assert_close(column, column.flip(0))


@pytest.mark.parametrize("radius", [(1.0, 3.0), (3.0, 1.0)])
@pytest.mark.parametrize("d", [1, 2, 4])
def test_dab_takes_the_larger_end(radius, d):
    strokes = one([[5.5, 5.5]] * d, radius=radius, feather=2.0, color=[[0.0], [1.0]], opacity=[1.0, 1.0])
    row = reference.paint(strokes, torch.full((1, 1, 11, 11), 0.5, dtype=F64))[0, 0, 5]
    assert row[5] == (1.0 if radius[1] > radius[0] else 0.0)
    torch.testing.assert_close((row[2] - 0.5).abs(), torch.tensor(0.25, dtype=F64), atol=1e-5, rtol=0)
    assert row[1] == 0.5


def test_hairline_peaks_at_one_half():
    out = reference.paint(one([[0.5, 1.5], [4.5, 1.5]], radius=(0.0, 0.0)), torch.zeros(1, 1, 3, 5, dtype=F64))
    torch.testing.assert_close(out[0, 0, 1], torch.full((5,), 0.5, dtype=F64), atol=1e-5, rtol=0)
    assert not out[0, 0, 0].any()
