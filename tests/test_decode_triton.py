"""The Triton backend of `decode_strokes`: on a GPU where there is one, else under Triton's interpreter."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from test_decode_strokes import F64, brush_for, random_vectors

from neural_paint import decode_strokes, reference
from neural_paint.stroke_vectors import KINDS, MYPAINT_BRUSH

pytest.importorskip("triton")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
OPS = torch.ops.neural_paint
BRUSH = list(MYPAINT_BRUSH)


@pytest.mark.parametrize("shape", [(2, 70), (0, 3), (2, 0), (1, 1)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_matches_reference(kind: str, shape: tuple[int, int]) -> None:
    """Values and gradient; vectors and gradients in any strides."""
    size = (40, 90)
    vectors = random_vectors(kind, *shape)
    expected = vectors.requires_grad_()
    numbers = reference.decode_strokes(expected, kind, size)
    grad = torch.linspace(-1, 1, numbers.numel(), dtype=F64).view_as(numbers)
    (d_expected,) = torch.autograd.grad(numbers, expected, grad)
    strided = vectors.detach().float().to(DEVICE).transpose(0, 1).contiguous().transpose(0, 1).requires_grad_()
    found = OPS.decode_strokes_triton(strided, KINDS[kind].code, *size, BRUSH)
    (d_found,) = torch.autograd.grad(found, strided, grad.float().to(DEVICE).mT.contiguous().mT)
    for actual, exact in ((found, numbers), (d_found, d_expected)):
        torch.testing.assert_close(actual.cpu().double(), exact, rtol=1e-5, atol=1e-5 * max(size))


@pytest.mark.parametrize("kind", KINDS)
def test_public_function(kind: str) -> None:
    vectors, patches = random_vectors(kind).float().to(DEVICE), brush_for(kind)
    patches = None if patches is None else patches.float().to(DEVICE)
    fields = [
        decode_strokes(vectors, kind, (30, 50), patches=patches, backend=backend).fields()
        for backend in ("triton", "reference")
    ]
    for name, field in fields[1].items():
        torch.testing.assert_close(fields[0][name], field, rtol=1e-5, atol=1e-3)


def test_opcheck(opcheck: Callable[..., object]) -> None:
    vectors = random_vectors("mypaint", 1, 3).float().to(DEVICE)
    options = (KINDS["mypaint"].code, 30, 50, BRUSH)
    opcheck(OPS.decode_strokes_triton.default, (vectors.requires_grad_(), *options))
    grad = torch.rand(1, 3, 14, device=DEVICE)
    opcheck(OPS.decode_strokes_triton_backward.default, (grad, vectors.detach(), *options))


def test_rejects_bad_input() -> None:
    vectors = torch.rand(1, 3, 12, device=DEVICE)
    with pytest.raises(TypeError, match=r"vectors must be float32 for backend 'triton', got torch\.float64"):
        OPS.decode_strokes_triton(vectors.double(), 0, 8, 8, BRUSH)
    with pytest.raises(ValueError, match=r"vectors must have shape \(B, N, 13\), got \(1, 3, 12\)"):
        OPS.decode_strokes_triton(vectors, 1, 8, 8, BRUSH)
    with pytest.raises(ValueError, match=r"kind must be in 0 \.\. 4, got 7"):
        OPS.decode_strokes_triton(vectors, 7, 8, 8, BRUSH)
    with pytest.raises(ValueError, match="brush must have 7 numbers, got 2"):
        OPS.decode_strokes_triton(vectors, 0, 8, 8, BRUSH[:2])
    with pytest.raises(ValueError, match=r"grad must have shape \(1, 3, 14\), got \(1, 3, 13\)"):
        OPS.decode_strokes_triton_backward(torch.rand(1, 3, 13, device=DEVICE), vectors, 0, 8, 8, BRUSH)
