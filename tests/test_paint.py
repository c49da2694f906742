"""The five laws of `paint`: parity with the reference, gradients, dispatcher contracts, odd shapes, bad input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from neural_paint import Strokes, backends, paint, reference
from neural_paint.ops.paint import _canonical
from neural_paint.testing import TOLERANCES, assert_gradient_close, assert_image_close, brush_strokes

F32, F64 = torch.float32, torch.float64
# Those that compute in float64, too; Triton's is tested in test_paint_triton.py.
FUSED = [name for name in backends.available("cpu", dtype=F64) if name != "reference"]

KINDS: dict[str, dict[str, Any]] = {
    "dab": {"control_points": 1, "textures": 2},
    "line": {"control_points": 2, "taper": 0.3, "color_ends": 2},
    "quadratic": {"control_points": 3, "opacity_ends": 2},
    "quadratic-textured": {"control_points": 3, "textures": 2, "color_ends": 2, "opacity_ends": 2, "taper": 0.5},
    # Gently bent and thin: a stroke that covers its own centres of curvature has no stable gradient of t* there.
    "cubic": {"control_points": 4, "taper": 1.5, "color_ends": 2, "radius": 4.0, "bend": 0.05},
    "opaque": {"opacity": (1.0, 1.0), "opacity_ends": 2},
    "hairline": {"radius": 0.0, "feather": 1.0},
}


def with_gradients(strokes: Strokes, background: Tensor, **options: Any) -> dict[str, Tensor]:
    """The image and the gradient of a weighted sum of it in every differentiable input."""
    inputs = {name: x.detach().requires_grad_(x.is_floating_point()) for name, x in strokes.fields().items()}
    background = background.detach().requires_grad_()
    image = options.pop("paint", paint)(Strokes(**inputs), background, **options)
    weight = torch.linspace(-1, 1, max(image.numel(), 1), dtype=F64)[: image.numel()].reshape(image.shape)
    wanted = {**{name: x for name, x in inputs.items() if x.requires_grad}, "background": background}
    total = (image * weight.to(image.dtype)).sum()
    gradients = torch.autograd.grad(total, list(wanted.values()), allow_unused=True, materialize_grads=True)
    return {"image": image, **dict(zip(wanted, gradients, strict=True))}


def assert_matches_reference(strokes: Strokes, background: Tensor, kind: str, **options: Any) -> None:
    tolerance = TOLERANCES[strokes.dtype, kind]
    actual = with_gradients(strokes, background, **options)
    options.pop("backend", None)
    expected = with_gradients(strokes.double(), background.double(), **{**options, "paint": reference.paint})
    assert_image_close(actual.pop("image"), expected.pop("image"), tolerance)
    for name, gradient in actual.items():
        assert gradient.dtype == strokes.dtype
        assert_gradient_close(gradient, expected[name], tolerance, name)


@pytest.mark.parametrize("dtype", [F32, F64], ids=["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", FUSED)
def test_matches_reference(backend: str, kind: str, dtype: torch.dtype) -> None:
    strokes = brush_strokes(batch=2, dtype=dtype, **KINDS[kind])
    background = torch.rand(2, 3, 63, 100, dtype=dtype)
    assert_matches_reference(strokes, background, "hairline" if kind == "hairline" else "brush", backend=backend)


@pytest.mark.parametrize("kind", KINDS)
def test_every_instruction_set_matches_reference(instruction_set: str, kind: str) -> None:
    strokes = brush_strokes(batch=2, height=40, width=50, **KINDS[kind])
    assert_matches_reference(strokes, torch.rand(2, 3, 40, 50), "hairline" if kind == "hairline" else "brush")


@pytest.mark.parametrize("dtype", [F32, F64], ids=["float32", "float64"])
@pytest.mark.parametrize("control_points", [3, 4])
@pytest.mark.parametrize("backend", FUSED)
def test_matches_reference_on_random_control_points(backend: str, control_points: int, dtype: torch.dtype) -> None:
    strokes = brush_strokes(control_points=control_points, radius=3.0, strokes=60, dtype=dtype)
    strokes = strokes.replace(points=torch.rand_like(strokes.points) * 100)
    background = torch.rand(1, 3, 100, 100, dtype=dtype)
    assert_matches_reference(strokes, background, "random", backend=backend)


@pytest.mark.parametrize("kind", ["line", "quadratic-textured", "cubic"])
@pytest.mark.parametrize("t_min", [0.05, 0.5])
@pytest.mark.parametrize("backend", FUSED)
def test_t_min_matches_reference(backend: str, t_min: float, kind: str) -> None:
    """The approximation, too, is the same everywhere: where a pixel closes and which strokes get a gradient."""
    strokes = brush_strokes(strokes=80, height=40, width=40, dtype=F64, **KINDS[kind])
    assert_matches_reference(strokes, torch.rand(1, 3, 40, 40, dtype=F64), "brush", t_min=t_min, backend=backend)


@pytest.mark.parametrize("strokes", [64, 65, 1500])
@pytest.mark.parametrize("backend", FUSED)
def test_deep_tiles_match_reference(backend: str, strokes: int) -> None:
    """Enough strokes on one tile for several segments, and for segments that are replayed in several chunks."""
    scene = brush_strokes(strokes=strokes, height=20, width=24, length=8, radius=2.0, opacity=(0.0, 0.2), dtype=F64)
    assert_matches_reference(scene, torch.rand(1, 3, 20, 24, dtype=F64), "brush", backend=backend)


def tiny(control_points: int, textures: int = 2, **options: Any) -> tuple[Strokes, Tensor]:
    """Three strokes in float64, the lowest fully transparent and the top one opaque, on two canvases of 6 x 7."""
    strokes = brush_strokes(
        batch=2, strokes=3, height=6, width=7, channels=2, control_points=control_points, color_ends=2, opacity_ends=2,
        textures=textures, length=5, radius=1.5, taper=0.6, dtype=F64, **options,
    )  # fmt: skip
    strokes.opacity[:, 0], strokes.opacity[:, 2] = 0.0, 1.0
    return strokes, torch.rand(2, 2, 6, 7, dtype=F64)


@pytest.mark.parametrize("control_points", [1, 2, 3, 4])
@pytest.mark.parametrize("backend", FUSED)
def test_gradcheck(backend: str, control_points: int) -> None:
    """Every field against finite differences; opaque strokes and fully transparent ones among them."""
    strokes, background = tiny(control_points)
    names = [name for name, x in strokes.fields().items() if x.is_floating_point()]
    inputs = [strokes.fields()[name].requires_grad_() for name in names]

    def function(*tensors: Tensor) -> Tensor:
        *fields, background = tensors
        return paint(strokes.replace(**dict(zip(names, fields, strict=True))), background, backend=backend)

    assert gradcheck(function, (*inputs, background.requires_grad_()), eps=1e-6, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("textures", [0, 2])
@pytest.mark.parametrize("segments", [0, 1, 3])
def test_opcheck(opcheck: Callable[..., object], segments: int, textures: int) -> None:
    strokes, background = tiny(3, textures)
    tensors = _canonical(strokes, background)
    if segments:
        for x in tensors:
            if x is not None and x.is_floating_point():
                x.requires_grad_()
    opcheck(torch.ops.neural_paint.paint.default, (*tensors, 0.0, segments))


@pytest.mark.parametrize(("textures", "background_gradient"), [(0, True), (2, False)])
def test_opcheck_backward(opcheck: Callable[..., object], textures: int, background_gradient: bool) -> None:
    strokes, background = tiny(3, textures)
    tensors = _canonical(strokes, background)
    image, *saved = torch.ops.neural_paint.paint(*tensors, 0.0, 2)
    opcheck(
        torch.ops.neural_paint.paint_backward.default,
        (torch.randn_like(image), *tensors, *saved, 0.0, textures > 0, background_gradient, True),
    )


def expanded(strokes: Strokes) -> Strokes:
    """All strokes alike, by stride 0, and the other fields transposed in memory."""
    b, n = strokes.shape
    points = strokes.points[:, :1].expand(-1, n, -1, -1)
    radius = strokes.radius.transpose(0, 2).contiguous().transpose(0, 2)
    return strokes.replace(points=points, radius=radius, feather=strokes.feather[:1, :1].expand(b, n))


@pytest.mark.parametrize("dtype", [F32, F64], ids=["float32", "float64"])
@pytest.mark.parametrize(
    ("shape", "strokes"),
    [
        ((1, 3, 63, 100), 7),
        ((2, 3, 63, 100), 0),
        ((1, 1, 1, 1), 1),
        ((3, 16, 33, 31), 5),
        ((1, 3, 1, 200), 9),
        ((1, 2, 200, 1), 9),
        ((0, 3, 8, 8), 4),
        ((1, 3, 0, 8), 4),
        ((1, 3, 32, 32), 3),
    ],
    ids=str,
)
@pytest.mark.parametrize("layout", ["contiguous", "strided"])
@pytest.mark.parametrize("backend", FUSED)
def test_odd_shapes(
    backend: str, layout: str, shape: tuple[int, int, int, int], strokes: int, dtype: torch.dtype
) -> None:
    b, c, h, w = shape
    scene = brush_strokes(batch=b, strokes=strokes, height=h, width=w, channels=c, length=12, radius=2.0, dtype=dtype)
    background = torch.rand(shape, dtype=dtype)
    if layout == "strided":
        scene = expanded(scene)
        background = background.to(memory_format=torch.channels_last)
    image = paint(scene, background, backend=backend)
    assert image.shape == shape
    assert_matches_reference(scene, background, "brush", backend=backend)


def test_background_broadcasts_over_the_batch() -> None:
    strokes = brush_strokes(batch=3, strokes=4, height=20, width=20, dtype=F64)
    assert_matches_reference(strokes, torch.rand(1, 3, 20, 20, dtype=F64), "brush")
    one = torch.rand(1, 3, 20, 20, dtype=F64)
    assert torch.equal(paint(strokes, one), paint(strokes, one.repeat(3, 1, 1, 1)))


def valid(**changes: Any) -> Strokes:
    return brush_strokes(batch=2, strokes=3, height=8, width=8).replace(**changes)


@pytest.mark.parametrize(
    ("strokes", "background", "options", "error", "message"),
    [
        (valid(), torch.zeros(2, 3, 8), {}, ValueError, r"background must have shape \(2 or 1, 3, H, W\).*\(2, 3, 8\)"),
        (valid(), torch.zeros(3, 3, 8, 8), {}, ValueError, r"background must have shape \(2 or 1, 3, H, W\)"),
        (valid(), torch.zeros(2, 4, 8, 8), {}, ValueError, r"background must have shape .* C = 3, got \(2, 4, 8, 8\)"),
        (valid(), torch.zeros(2, 3, 8, 8).int(), {}, TypeError, r"background must be .*floating-point.*int32"),
        (valid(), [[0.0]], {}, TypeError, r"background must be .*tensor, got list"),
        (valid(), torch.zeros(2, 3, 8, 8), {"t_min": 1.0}, ValueError, r"t_min must be in \[0, 1\), got 1.0"),
        (valid(), torch.zeros(2, 3, 8, 8), {"t_min": -0.1}, ValueError, r"t_min must be in \[0, 1\), got -0.1"),
        (valid(), torch.zeros(2, 3, 8, 8), {"t_min": float("nan")}, ValueError, r"t_min must be in \[0, 1\), got nan"),
        (valid(), torch.zeros(2, 3, 8, 8), {"backend": "metal"}, ValueError, r"backend must be one of .*got 'metal'"),
        (valid(), torch.zeros(2, 3, 8, 8, device="meta"), {}, ValueError, r"background must be on the device"),
        (
            valid(opacity=torch.tensor([[0.5, 0.5, 0.5], [0.5, 1.7, 0.5]])),
            torch.zeros(2, 3, 8, 8),
            {"check": True},
            ValueError,
            r"opacity must be in \[0, 1\], got 1.7 at stroke \(1, 1\)",
        ),
    ],
)
def test_rejects_bad_input(
    strokes: Strokes, background: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        paint(strokes, background, **options)


@pytest.mark.parametrize(
    ("place", "tensor", "message"),
    [
        (0, torch.zeros(2, 3, 5, 2), r"number of control points must be in \[1, 4\], got 5"),
        (0, torch.zeros(2, 3, 3, 2).half(), r"points must have dtype Float or Double, got Half"),
        (1, torch.zeros(2, 3, 1), r"radius must have shape \(2, 3, 2\), got \(2, 3, 1\)"),
        (1, torch.zeros(2, 3, 2, dtype=F64), r"radius must have dtype Float, got Double"),
        (2, torch.zeros(2, 3, 3, 3), r"number of colors of a stroke must be in \[1, 2\], got 3"),
        (3, torch.zeros(2, 4, 1), r"opacity must have shape \(2, 3, \*\), got \(2, 4, 1\)"),
        (4, torch.zeros(3, 2), r"feather must have shape \(2, 3\), got \(3, 2\)"),
        (5, torch.zeros(1, 2, 2), r"texture_id must come with texture"),
        (7, torch.zeros(2, 17, 8, 8), r"number of channels must be in \[1, 16\], got 17"),
        (2, torch.zeros(2, 4, 3), r"color must have shape \(2, 3, 3\), got \(2, 4, 3\)"),
        (3, torch.zeros(2), r"opacity must have shape \(2, 3, \*\), got \(2,\)"),
        (7, torch.zeros(3, 3, 8, 8), r"background must have a batch of 1 or 2, got 3"),
        (9, -1, r"segments must be in \[0, 1024\], got -1"),
    ],
)
def test_operator_guards_memory(place: int, tensor: Any, message: str) -> None:
    """The C++ side checks what it is about to read, whoever calls."""
    arguments = [*_canonical(valid(), torch.zeros(2, 3, 8, 8)), 0.0, 1]
    arguments[place] = tensor
    with pytest.raises(RuntimeError, match=message):
        torch.ops.neural_paint.paint(*arguments)
