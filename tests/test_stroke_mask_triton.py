"""The Triton backend of `stroke_mask`: on a GPU where there is one, else its kernels under Triton's interpreter, on
tiny strokes. tests/test_paint_triton.py compiles them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from test_stroke_mask import F32, KINDS, LAYOUTS, assert_matches_reference, numbers, scene, with_gradient
from torch import Tensor

from neural_paint import backends, stroke_mask

pytest.importorskip("triton")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def mask_triton(strokes: Tensor, **options: Any) -> Tensor:
    return stroke_mask(strokes.to(DEVICE), backend="triton", **options).cpu()


@pytest.mark.parametrize("layout", ["contiguous", "channels last"])
@pytest.mark.parametrize("kind", KINDS)
def test_matches_reference(kind: str, layout: str) -> None:
    strokes, logits = scene(kind, dtype=F32)
    assert_matches_reference(LAYOUTS[layout](strokes), mask_triton, logits=logits)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "shape",
    [
        {"batch": (), "size": (5, 7)},
        {"batch": (2, 0), "size": (8, 8)},
        {"batch": (2, 1), "size": (1, 33), "channels": 2},
        {"batch": (2,), "size": (47, 1), "channels": 5},
        # More pixels than are in hand at a time, once just so many.
        {"batch": (2,), "size": (31, 71)},
        {"batch": (2,), "size": (64, 32)},
    ],
    ids=str,
)
def test_odd_shapes(shape: dict[str, Any], layout: str) -> None:
    strokes = LAYOUTS[layout](numbers(logits=True, dtype=F32, **shape))
    assert_matches_reference(strokes, mask_triton, logits=True)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_gradient_is_channels_last_where_strokes_are(channels: int) -> None:
    strokes = LAYOUTS["channels last"](numbers(channels=channels, dtype=F32))
    assert with_gradient(strokes, mask_triton)[1].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("places", [(0, 1), (17, 299), (1023, 1024), (1030, 1031), (2199,)], ids=str)
def test_the_first_of_the_darkest_has_the_gradient_of_the_maximum(places: tuple[int, ...]) -> None:
    """Also where it is the first pixel of a block, or two blocks have one each."""
    strokes = numbers(size=(44, 50), batch=(2,), around=1.0, spread=0.7, dtype=F32)
    for place in places:
        strokes[..., place // 50, place % 50] = 0.25
    strokes.requires_grad_()
    alpha = mask_triton(strokes)
    assert (alpha.flatten(1)[:, places] == 1).all()
    assert (alpha <= 1).all()
    (gradient,) = torch.autograd.grad(alpha.sum(), strokes)
    falling = -gradient.flatten(2).sum(1)
    assert (falling[:, places[0]] < 0).all()
    assert (falling[:, places[1:]] > 0).all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("logits", [False, True])
def test_nan_stays_in_its_stroke(logits: bool) -> None:
    strokes = numbers(dtype=F32)
    strokes[1, 2, 3, 4] = torch.nan
    for tensor in with_gradient(strokes, mask_triton, logits=logits):
        assert tensor[1].isnan().all()
        assert tensor[[0, 2]].isfinite().all()


@pytest.mark.parametrize("layout", ["contiguous", "channels last"])
@pytest.mark.parametrize("recorded", [False, True])
def test_opcheck(opcheck: Callable[..., object], recorded: bool, layout: str) -> None:
    strokes = LAYOUTS[layout](numbers(size=(3, 4), dtype=F32).to(DEVICE)).requires_grad_(recorded)
    opcheck(torch.ops.neural_paint.stroke_mask_triton.default, (strokes, recorded))


@pytest.mark.parametrize("channels_last", [False, True])
def test_opcheck_backward(opcheck: Callable[..., object], channels_last: bool) -> None:
    strokes = numbers(size=(3, 4), dtype=F32).to(DEVICE)
    alpha, *saved = torch.ops.neural_paint.stroke_mask_triton(strokes, True)
    inputs = (torch.randn_like(alpha), strokes, *saved, True, channels_last)
    opcheck(torch.ops.neural_paint.stroke_mask_triton_backward.default, inputs)


def test_schemas_are_those_of_the_compiled_operators() -> None:
    for name in ("stroke_mask{}", "stroke_mask{}_backward"):
        compiled, triton = (getattr(torch.ops.neural_paint, name.format(x)).default for x in ("", "_triton"))
        assert str(triton._schema) == str(compiled._schema).replace(compiled.name(), triton.name())


def test_second_derivative_names_the_reference() -> None:
    strokes = numbers(size=(3, 4), dtype=F32).requires_grad_()
    (gradient,) = torch.autograd.grad(mask_triton(strokes).square().sum(), strokes, create_graph=True)
    with pytest.raises(NotImplementedError, match="reference"):
        gradient.sum().backward()


def test_compiles_without_graph_breaks_and_under_autocast() -> None:
    torch._dynamo.reset()

    def loss(strokes: Tensor) -> Tensor:
        return stroke_mask(strokes, logits=True, backend="triton").square().sum()

    strokes = LAYOUTS["channels last"](numbers(size=(5, 6), dtype=F32)).to(DEVICE).requires_grad_()
    eager = torch.autograd.grad(loss(strokes), strokes)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(torch.autograd.grad(compiled(strokes), strokes), eager)
    with torch.autocast(DEVICE, torch.bfloat16):
        torch.testing.assert_close(torch.autograd.grad(loss(strokes), strokes), eager)


def test_operator_guards_memory() -> None:
    strokes, op = numbers(dtype=F32).to(DEVICE), torch.ops.neural_paint.stroke_mask_triton
    with pytest.raises(ValueError, match=r"strokes must have shape \(N, C, h, w\) .*, got \(3, 16, 20\)"):
        op(strokes[0], False)
    with pytest.raises(ValueError, match="without an empty side"):
        op(strokes[:, :, :0], False)
    with pytest.raises(TypeError, match=r"strokes must be float32 for backend 'triton', got torch\.float64"):
        op(strokes.double(), False)
    many = torch.zeros((), device=DEVICE).expand(1, 1, 2**16, 2**15)
    with pytest.raises(ValueError, match="strokes must have at most 2147482624 pixels, got 2147483648"):
        op(many, False)
    alpha, darkest, place = op(strokes, False)
    for name, arguments in {
        "grad": (alpha[:1], strokes, darkest, place),
        "darkest": (alpha, strokes, darkest.double(), place),
        "place": (alpha, strokes, darkest, place.int()),
    }.items():
        with pytest.raises((ValueError, TypeError), match=f"{name} must"):
            torch.ops.neural_paint.stroke_mask_triton_backward(*arguments, False, False)
    for wrong in (-(2**60), 2**60, 320):
        torch.ops.neural_paint.stroke_mask_triton_backward(alpha, strokes, darkest, place * 0 + wrong, False, False)


def test_backend_is_picked_where_it_can_run() -> None:
    assert backends.pick(None, "cuda", "stroke_mask") == "triton"
    assert backends.pick(None, "cuda", "stroke_mask", torch.float64) == "reference"
    assert backends.pick(None, "cpu", "stroke_mask") == "cpp"
