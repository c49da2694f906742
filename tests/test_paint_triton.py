"""The Triton backend of `paint`: on a GPU where there is one, else its kernels under Triton's interpreter, on tiny
canvases; and compiled for GPUs that are not here."""

from __future__ import annotations

import importlib
import math
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from test_paint import F32, F64, KINDS, assert_matches_reference, expanded, with_gradients
from test_paint_contract import BAD_VALUES
from torch import Tensor

from neural_paint import Strokes, backends, paint, reference
from neural_paint.testing import TOLERANCES, assert_gradient_close, brush_strokes

pytest.importorskip("triton")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# `neural_paint.paint` is the function.
OPS = importlib.import_module("neural_paint.ops.paint")
Backward = Callable[[Tensor], list[Tensor]]
HEIGHT, WIDTH = 20, 24  # four tiles, three of them cut off


def paint_triton(strokes: Strokes, background: Tensor, **options: Any) -> Tensor:
    return paint(strokes.to(DEVICE), background.to(DEVICE), backend="triton", **options).cpu()


def small(strokes: int = 5, **options: Any) -> Strokes:
    size = {"height": HEIGHT, "width": WIDTH, "length": 16.0, "radius": 3.0}
    return brush_strokes(strokes=strokes, **{**size, **options})


@pytest.mark.parametrize("kind", KINDS)
def test_matches_reference(kind: str) -> None:
    strokes = small(batch=2 if kind in ("dab", "line") else 1, **KINDS[kind])
    background = torch.rand(strokes.batch_size, 3, HEIGHT, WIDTH)
    assert_matches_reference(strokes, background, "hairline" if kind == "hairline" else "brush", paint=paint_triton)


@pytest.mark.parametrize("seed", [7, 9])
def test_both_of_two_near_branches_are_looked_at(seed: int) -> None:
    """Colours along cubics that cross themselves: the nearest chord alone is on the wrong branch at some pixels."""
    strokes = small(6, control_points=4, radius=1.5, color_ends=2, seed=seed)
    points = torch.rand(strokes.points.shape, generator=torch.Generator().manual_seed(seed)) * 24
    strokes, background = strokes.replace(points=points), torch.zeros(1, 3, HEIGHT, WIDTH)
    expected = reference.paint(strokes.double(), background.double())
    assert (paint_triton(strokes, background) - expected).abs().max() < 1e-3


@pytest.mark.parametrize(
    ("shape", "strokes"),
    [
        ((2, 3, 18, 5), 0),
        ((1, 1, 1, 1), 1),
        ((3, 16, 7, 9), 2),
        ((1, 2, 1, 40), 4),
        ((1, 2, 33, 1), 4),
        ((0, 3, 8, 8), 4),
        ((1, 3, 0, 8), 4),
        ((2, 3, 16, 16), 2),
    ],
    ids=str,
)
@pytest.mark.parametrize("layout", ["contiguous", "strided"])
def test_odd_shapes(layout: str, shape: tuple[int, int, int, int], strokes: int) -> None:
    b, c, h, w = shape
    scene = brush_strokes(batch=b, strokes=strokes, height=h, width=w, channels=c, length=12, radius=2.0)
    background = torch.rand(shape)
    if layout == "strided":
        scene = expanded(scene)
        background = background.to(memory_format=torch.channels_last)
    assert paint_triton(scene, background).shape == shape
    assert_matches_reference(scene, background, "brush", paint=paint_triton)


def test_background_broadcasts_over_the_batch() -> None:
    assert_matches_reference(small(3, batch=3), torch.rand(1, 3, HEIGHT, WIDTH), "brush", paint=paint_triton)


@pytest.mark.parametrize("t_min", [0.05, 0.5])
def test_t_min_matches_reference(t_min: float) -> None:
    strokes = small(20, height=10, width=12, **KINDS["quadratic-textured"])
    assert_matches_reference(strokes, torch.rand(1, 3, 10, 12), "brush", paint=paint_triton, t_min=t_min)


@pytest.mark.parametrize("segments", [1, 2, 3])
def test_deep_tiles_match_reference(segments: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three chunks of strokes on a tile: in one segment, which is replayed, in two, and in three."""
    monkeypatch.setattr(OPS, "_MAX_SEGMENTS", segments)
    strokes = small(40, height=8, width=10, length=8.0, control_points=2, opacity=(0.0, 0.4))
    # Some pixels are closed on the way.
    strokes.opacity[:, ::7] = 1.0
    assert_matches_reference(strokes, torch.rand(1, 3, 8, 10), "brush", paint=paint_triton)


@pytest.mark.parametrize("t_min", [0.0, 0.3])
def test_gradients_do_not_change_the_image(t_min: float) -> None:
    strokes, background = small(6, opacity=(0.7, 1.0)), torch.rand(1, 3, HEIGHT, WIDTH)
    plain = paint_triton(strokes, background, t_min=t_min)
    assert torch.equal(plain, paint_triton(strokes.clone().requires_grad_(), background, t_min=t_min).detach())


@pytest.mark.parametrize("kind", ["dab", "line", "quadratic-textured", "cubic"])
def test_deterministic_gradients_have_the_same_bits_in_any_order(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three programs for four tiles take them in another order than four do."""
    from neural_paint.kernels import paint as kernels

    strokes, background = small(4, **{**KINDS[kind], "radius": 8.0}), torch.rand(1, 3, HEIGHT, WIDTH)
    found = []
    for deterministic, programs in product((True, False), (4, 3)):
        torch.use_deterministic_algorithms(deterministic)
        monkeypatch.setattr(kernels, "MAX_PROGRAMS", programs)
        found.append(with_gradients(strokes, background, paint=paint_triton))
    exact, exact_again, plain, plain_again = found
    for name, tensor in exact.items():
        assert torch.equal(exact_again[name], tensor), name
        for other in (plain, plain_again):
            assert_gradient_close(other[name], tensor, TOLERANCES[F32, "brush"], name)
    # Else the test would say nothing; on a GPU the order is the hardware's.
    assert DEVICE == "cuda" or not torch.equal(plain["points"], plain_again["points"])


def test_opaque_paint_replaces_and_transparent_paint_keeps_every_bit() -> None:
    strokes, background = small(3, opacity=(1.0, 1.0), opacity_ends=2), torch.rand(1, 3, HEIGHT, WIDTH)
    assert torch.equal(paint_triton(strokes.replace(opacity=0 * strokes.opacity), background), background)
    top = strokes[:, -1:].replace(radius=torch.full((1, 1, 2), 500.0))
    covered = paint_triton(Strokes.cat([strokes, top]), background)
    assert torch.equal(covered, top.color[0, 0][None, :, None, None].expand_as(covered))


def test_opaque_stroke_over_another_sees_the_colour_below() -> None:
    line = torch.tensor([[-50.0, 4.0], [50.0, 4.0]]).expand(1, 3, 2, 2)
    opacity = torch.ones(1, 3).requires_grad_()
    color = torch.tensor([0.25, 0.5, 0.75])[None, :, None]
    strokes = Strokes(points=line, radius=torch.full((1, 3, 2), 30.0), color=color, opacity=opacity)
    paint_triton(strokes, torch.zeros(1, 1, 8, 8)).sum().backward()
    torch.testing.assert_close(opacity.grad, torch.tensor([[0.0, 0.0, 64 * 0.25]]))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_strokes_with_bad_values_are_left_out() -> None:
    good = small(4, textures=2, color_ends=2, opacity_ends=2)
    bad = []
    for field, value in BAD_VALUES:
        changed = good[:, 1:2].fields()[field].clone()
        changed.view(-1)[-1] = value
        bad.append(good[:, 1:2].replace(**{field: changed}))
    background = torch.rand(1, 3, HEIGHT, WIDTH)
    expected = with_gradients(good, background, paint=paint_triton)
    actual = with_gradients(Strokes.cat([good[:, :2], *bad, good[:, 2:]]), background, paint=paint_triton)
    for name, tensor in actual.items():
        if name not in ("image", "texture", "background"):
            assert (tensor[:, 2:-2] == 0).all(), name
            tensor = torch.cat([tensor[:, :2], tensor[:, -2:]], 1)
        torch.testing.assert_close(tensor, expected[name])
    assert torch.equal(actual["image"], expected["image"])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("field", ["points", "radius", "feather", "color"])
def test_huge_finite_values_stay_inside_memory(field: str) -> None:
    strokes = small(3, textures=1)
    changed = strokes.fields()[field].clone()
    changed[0, 1].view(-1)[0], changed[0, 2].view(-1)[0] = 3e38, -3e38
    found = with_gradients(strokes.replace(**{field: changed}), torch.rand(1, 3, 12, 9), paint=paint_triton)
    assert found["image"].shape == (1, 3, 12, 9)


def inputs(requires_grad: bool = True, **options: Any) -> list[Any]:
    strokes = brush_strokes(batch=2, strokes=2, height=6, width=7, channels=2, length=5, radius=1.5, **options)
    tensors = OPS._canonical(strokes.to(DEVICE), torch.rand(1, 2, 6, 7, device=DEVICE))
    return [x.requires_grad_(requires_grad) if x is not None and x.is_floating_point() else x for x in tensors]


@pytest.fixture
def deterministic_backward() -> Backward:
    """Of the incoming gradient (2, 2, 6, 7)."""
    tensors = inputs(False, textures=2, color_ends=2, opacity_ends=2)
    _image, *saved = torch.ops.neural_paint.paint_triton(*tensors, 0.0, 2)

    def backward(grad: Tensor) -> list[Tensor]:
        options = (0.0, True, True, True)
        gradients = torch.ops.neural_paint.paint_triton_backward(grad.to(DEVICE), *tensors, *saved, *options)
        return [x.cpu() for x in gradients]

    return backward


def test_deterministic_gradients_are_exact_at_any_scale(deterministic_backward: Backward) -> None:
    grad = torch.rand(2, 2, 6, 7) - 0.5
    full = deterministic_backward(grad)
    for power in (-40, 40):
        for scaled, gradient in zip(deterministic_backward(grad * 2.0**power), full, strict=True):
            torch.testing.assert_close(scaled * 2.0**-power, gradient, rtol=1e-4, atol=0)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_deterministic_sum_of_what_is_not_finite_is_nan(deterministic_backward: Backward, value: float) -> None:
    grad = torch.ones(2, 2, 6, 7)
    grad[0] = value
    for gradient in deterministic_backward(grad)[:3]:
        assert gradient[0].isnan().all()
        assert gradient[1].isfinite().all()


@pytest.mark.parametrize("segments", [0, 2])
def test_opcheck(opcheck: Callable[..., object], segments: int) -> None:
    arguments = (*inputs(segments > 0, color_ends=2, textures=2 if segments else 0), 0.0, segments)
    opcheck(torch.ops.neural_paint.paint_triton.default, arguments)


@pytest.mark.parametrize("deterministic", [False, True])
def test_opcheck_backward(opcheck: Callable[..., object], deterministic: bool) -> None:
    tensors = inputs(False, textures=2)
    image, *saved = torch.ops.neural_paint.paint_triton(*tensors, 0.0, 2)
    arguments = (torch.randn_like(image), *tensors, *saved, 0.0, True, True, deterministic)
    opcheck(torch.ops.neural_paint.paint_triton_backward.default, arguments)


def test_schemas_are_those_of_the_compiled_operators() -> None:
    for name in ("paint{}", "paint{}_backward"):
        compiled, triton = (getattr(torch.ops.neural_paint, name.format(x)).default for x in ("", "_triton"))
        assert str(triton._schema) == str(compiled._schema).replace(compiled.name(), triton.name())


def test_compiles_without_graph_breaks_and_under_autocast() -> None:
    torch._dynamo.reset()
    strokes, background = small(2, height=6, width=7), torch.rand(1, 3, 6, 7)

    def loss(points: Tensor) -> Tensor:
        moved = strokes.replace(points=points).to(DEVICE)
        return paint(moved, background.to(DEVICE), backend="triton").square().sum()

    points = strokes.points.clone().requires_grad_()
    eager = torch.autograd.grad(loss(points), points)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(torch.autograd.grad(compiled(points), points), eager)
    with torch.autocast(DEVICE, torch.bfloat16):
        torch.testing.assert_close(torch.autograd.grad(loss(points), points), eager)


def test_second_derivative_names_the_reference() -> None:
    strokes = small(1, height=6, width=7).requires_grad_()
    total = paint_triton(strokes, torch.rand(1, 3, 6, 7)).square().sum()
    (gradient,) = torch.autograd.grad(total, strokes.points, create_graph=True)
    with pytest.raises(NotImplementedError, match="reference"):
        gradient.sum().backward()


@pytest.mark.parametrize(
    ("place", "tensor", "error", "message"),
    [
        (0, torch.zeros(2, 2, 5, 2), ValueError, r"points must have shape \(B, N, 1 .. 4, 2\), got \(2, 2, 5, 2\)"),
        (0, torch.zeros(2, 2, 3, 2, dtype=F64), TypeError, r"points must be float32 for backend 'triton', got .*64"),
        (1, torch.zeros(2, 2, 1), ValueError, r"radius must have shape \(2, 2, 2\), got \(2, 2, 1\)"),
        (2, torch.zeros(2, 2, 3, 2), ValueError, r"color must have shape .*, got \(2, 2, 3, 2\)"),
        (4, torch.zeros(2, 2, dtype=F64), TypeError, r"feather must be torch.float32, got torch.float64"),
        (5, torch.zeros(1, 2, 2), ValueError, r"texture_id must come with texture"),
        (7, torch.zeros(2, 17, 8, 8), ValueError, r"background must have shape \(2 or 1, 1 .. 16, H, W\)"),
    ],
)
def test_operator_guards_memory(place: int, tensor: Tensor, error: type[Exception], message: str) -> None:
    arguments = [*inputs(False), 0.0, 1]
    arguments[place] = tensor.to(DEVICE)
    with pytest.raises(error, match=message):
        torch.ops.neural_paint.paint_triton(*arguments)


@pytest.mark.parametrize(("place", "name"), [(0, "grad"), (9, "transmittance"), (10, "checkpoints"), (11, "evaluated")])
def test_backward_operator_guards_memory(place: int, name: str) -> None:
    tensors = inputs(False)
    image, *saved = torch.ops.neural_paint.paint_triton(*tensors, 0.0, 2)
    arguments = [torch.randn_like(image), *tensors, *saved, 0.0, False, True, False]
    arguments[place] = arguments[place][..., 1:]
    with pytest.raises(ValueError, match=f"{name} must have shape"):
        torch.ops.neural_paint.paint_triton_backward(*arguments)


def test_backend_is_picked_where_it_can_run() -> None:
    assert backends.pick(None, "cuda") in ("cpp", "triton")
    assert backends.pick(None, "cuda", dtype=F64) != "triton"
    assert backends.pick(None, "cpu") == "cpp"
    assert backends.pick("triton", DEVICE, dtype=F32) == "triton"
    assert "triton" not in backends.available("cpu", "stroke_bounds")
    with pytest.raises(ValueError, match=r"backend must be one of .* for paint in float64 on .*, got 'triton'"):
        paint_triton(small(1).double(), torch.rand(1, 3, HEIGHT, WIDTH))


def test_importing_the_library_does_not_import_triton() -> None:
    code = "import sys, neural_paint; sys.exit('triton' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_kernel_compiles_to_machine_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "benchmarks"), prepend=os.pathsep)
    program = Path(__file__).with_name("triton_cubins.py")
    done = subprocess.run([sys.executable, program, "80", "90", "100"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("bytes") == 66
