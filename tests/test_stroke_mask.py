"""The five laws of `stroke_mask`: parity with the reference, gradients, dispatcher contracts, odd shapes, bad input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from neural_paint import backends, reference, stroke_mask
from neural_paint.testing import TOLERANCES, assert_gradient_close, assert_image_close

F32, F64 = torch.float32, torch.float64
FUSED = [name for name in backends.available("cpu", "stroke_mask", dtype=F64) if name != "reference"]
ALL = backends.available("cpu", "stroke_mask")

# Logits of what is nearly white: a network leaves its paper about so, and the stroke is what stands out a little.
PAPER = 9.0
KINDS: dict[str, dict[str, Any]] = {
    "pictures": {},
    "logits": {"logits": True},
    "faint logits": {"logits": True, "around": PAPER},
    "large logits": {"logits": True, "spread": 40.0},
    "white": {"around": 1.0, "spread": 1e-5},
    "white logits": {"logits": True, "around": 2 * PAPER, "spread": 0.1},
    "one channel": {"channels": 1, "logits": True},
    "four channels": {"channels": 4, "logits": True},
}


def numbers(
    *,
    batch: tuple[int, ...] = (3,),
    channels: int = 3,
    size: tuple[int, int] = (16, 20),
    logits: bool = False,
    around: float | None = None,
    spread: float | None = None,
    dtype: torch.dtype = F64,
) -> Tensor:
    """Random strokes (*batch, C, h, w), evenly in [0, 1] unless told otherwise; or logits, normally distributed."""
    random = torch.Generator().manual_seed(0)
    shape = (*batch, channels, *size)
    if logits:
        x = torch.randn(shape, dtype=F64, generator=random) * (2.0 if spread is None else spread) + (around or 0.0)
    else:
        x = (1.0 if around is None else around) - torch.rand(shape, dtype=F64, generator=random) * (spread or 1.0)
    return x.to(dtype)


def scene(kind: str, **options: Any) -> tuple[Tensor, bool]:
    options = {**KINDS[kind], **options}
    return numbers(**options), options.get("logits", False)


def with_gradient(strokes: Tensor, mask: Callable[..., Tensor] = stroke_mask, **options: Any) -> tuple[Tensor, Tensor]:
    """Alpha, and the gradient of a weighted sum of it."""
    strokes = strokes.detach().requires_grad_()
    alpha = mask(strokes, **options)
    weight = torch.linspace(-1, 1.5, max(alpha.numel(), 1), dtype=F64)[: alpha.numel()].reshape(alpha.shape)
    (gradient,) = torch.autograd.grad((alpha * weight.to(alpha)).sum(), strokes)
    return alpha.detach(), gradient


def assert_matches_reference(strokes: Tensor, mask: Callable[..., Tensor] = stroke_mask, **options: Any) -> None:
    tolerance = TOLERANCES[strokes.dtype, "brush"]
    alpha, gradient = with_gradient(strokes, mask, **options)
    options.pop("backend", None)
    expected, expected_gradient = with_gradient(strokes.double(), reference.stroke_mask, **options)
    assert alpha.dtype == gradient.dtype == strokes.dtype
    assert gradient.shape == strokes.shape
    assert_image_close(alpha, expected, tolerance)
    assert_gradient_close(gradient, expected_gradient, tolerance)


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda x: x,
    "channels last": lambda x: x.movedim(-3, -1).contiguous().movedim(-1, -3),
    "transposed": lambda x: x.mT.contiguous().mT,
    "every other": lambda x: x.repeat_interleave(2, -1)[..., ::2],
    "some of each row": lambda x: torch.nn.functional.pad(x, (1, 2))[..., 1:-2],
    "grey": lambda x: x[..., :1, :, :].expand_as(x),
}


@pytest.mark.parametrize("dtype", [F32, F64], ids=["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", FUSED)
def test_matches_reference(backend: str, kind: str, dtype: torch.dtype) -> None:
    strokes, logits = scene(kind, dtype=dtype)
    assert_matches_reference(strokes, logits=logits, backend=backend)


@pytest.mark.parametrize("layout", ["contiguous", "channels last"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_instruction_set_matches_reference(instruction_set: str, kind: str, layout: str) -> None:
    strokes, logits = scene(kind, dtype=F32, size=(13, 31))
    assert_matches_reference(LAYOUTS[layout](strokes), logits=logits)


@pytest.mark.parametrize("kind", ["pictures", "white", "logits", "faint logits"])
@pytest.mark.parametrize("backend", FUSED)
def test_gradcheck(backend: str, kind: str) -> None:
    strokes, logits = scene(kind, batch=(2,), size=(3, 4))
    strokes = LAYOUTS["channels last"](strokes).requires_grad_()
    assert gradcheck(lambda x: stroke_mask(x, logits=logits, backend=backend), [strokes], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("logits", [False, True])
def test_reference_is_twice_differentiable(logits: bool) -> None:
    strokes = numbers(batch=(1,), size=(2, 3)).requires_grad_()
    assert gradgradcheck(lambda x: reference.stroke_mask(x, logits=logits), [strokes])


def test_second_derivative_names_the_reference() -> None:
    strokes = numbers(size=(3, 4)).requires_grad_()
    (gradient,) = torch.autograd.grad(stroke_mask(strokes, logits=True).square().sum(), strokes, create_graph=True)
    with pytest.raises(NotImplementedError, match=r"neural_paint\.reference\.stroke_mask"):
        gradient.sum().backward()


@pytest.mark.parametrize("layout", ["contiguous", "channels last"])
@pytest.mark.parametrize("recorded", [False, True])
def test_opcheck(opcheck: Callable[..., Any], recorded: bool, layout: str) -> None:
    strokes = LAYOUTS[layout](numbers(size=(3, 4))).requires_grad_(recorded)
    opcheck(torch.ops.neural_paint.stroke_mask.default, (strokes, recorded))


@pytest.mark.parametrize("channels_last", [False, True])
def test_opcheck_backward(opcheck: Callable[..., Any], channels_last: bool) -> None:
    strokes = numbers(size=(3, 4))
    alpha, *saved = torch.ops.neural_paint.stroke_mask(strokes, True)
    inputs = (torch.randn_like(alpha), strokes, *saved, True, channels_last)
    opcheck(torch.ops.neural_paint.stroke_mask_backward.default, inputs)


@pytest.mark.parametrize("dtype", [F32, F64], ids=["float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "shape",
    [
        {"batch": (), "size": (5, 7)},
        {"batch": (2, 0), "size": (8, 8)},
        {"batch": (0,), "size": (8, 8)},
        {"batch": (2, 2, 1), "size": (1, 33), "channels": 2},
        {"batch": (2,), "size": (47, 1), "channels": 3},
        {"batch": (2,), "size": (64, 64), "channels": 17},
        {"batch": (1,), "size": (201, 303)},
    ],
    ids=str,
)
@pytest.mark.parametrize("backend", FUSED)
def test_odd_shapes(backend: str, shape: dict[str, Any], layout: str, dtype: torch.dtype) -> None:
    strokes = LAYOUTS[layout](numbers(logits=True, dtype=dtype, **shape))
    assert_matches_reference(strokes, logits=True, backend=backend)


@pytest.mark.parametrize("backend", ALL)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_pixel_is_opaque(backend: str, layout: str) -> None:
    """Whatever it is, so that it has no gradient but rounding's."""
    alpha, gradient = with_gradient(LAYOUTS[layout](numbers(batch=(2, 3), size=(1, 1), dtype=F32)), backend=backend)
    assert (alpha == 1).all()
    assert gradient.abs().max() < 1e-6


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("logits", [False, True])
def test_layouts_give_the_same_bits(layout: str, logits: bool) -> None:
    strokes = LAYOUTS[layout](numbers(size=(20, 23), dtype=F32))
    alpha = stroke_mask(strokes, logits=logits)
    assert torch.equal(alpha, stroke_mask(strokes.contiguous(), logits=logits))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_gradient_is_channels_last_where_strokes_are(channels: int) -> None:
    strokes = LAYOUTS["channels last"](numbers(channels=channels))
    _alpha, gradient = with_gradient(strokes)
    assert gradient.is_contiguous(memory_format=torch.channels_last)
    assert with_gradient(strokes.contiguous())[1].is_contiguous()


def test_any_strides_of_the_gradient() -> None:
    strokes = LAYOUTS["channels last"](numbers(logits=True, dtype=F32)).requires_grad_()
    incoming = torch.rand(3, 16, 20)
    (expected,) = torch.autograd.grad(stroke_mask(strokes, logits=True), strokes, incoming)
    for layout in ("transposed", "every other"):
        (found,) = torch.autograd.grad(stroke_mask(strokes, logits=True), strokes, LAYOUTS[layout](incoming))
        torch.testing.assert_close(found, expected)
    (found,) = torch.autograd.grad(stroke_mask(strokes, logits=True), strokes, torch.ones(()).expand(3, 16, 20))
    (expected,) = torch.autograd.grad(stroke_mask(strokes, logits=True), strokes, torch.ones(3, 16, 20))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("backend", ALL)
@pytest.mark.parametrize("places", [(0, 1), (37, 38), (5, 299), (298, 299), (17,)], ids=str)
@pytest.mark.parametrize("logits", [False, True])
def test_the_first_of_the_darkest_has_the_gradient_of_the_maximum(
    backend: str, places: tuple[int, ...], logits: bool
) -> None:
    """In the order of rows, whatever the memory; the darkest pixels are opaque to the bit."""
    strokes = numbers(size=(15, 20), batch=(2,), around=1.0, spread=0.7, dtype=F32)
    for place in places:
        strokes[..., place // 20, place % 20] = 0.25
    for layout in ("contiguous", "channels last", "transposed"):
        laid = LAYOUTS[layout](strokes).requires_grad_()
        alpha = stroke_mask(laid, logits=logits, backend=backend)
        assert (alpha.flatten(1)[:, places] == 1).all()
        assert (alpha <= 1).all()
        (gradient,) = torch.autograd.grad(alpha.sum(), laid)
        falling = -gradient.flatten(2).sum(1)
        first, others = falling[:, places[0]], falling[:, places[1:]]
        assert (first < 0).all()
        assert (others > 0).all()


@pytest.mark.parametrize("backend", ALL)
def test_white_is_nothing(backend: str) -> None:
    """Neither paint nor noise; its gradients are those of a division by a constant."""
    for value in (1.0, 1.0 - 1e-7):
        alpha, gradient = with_gradient(torch.full((1, 3, 8, 8), value), backend=backend)
        assert alpha.max() < 2e-3
        assert gradient.abs().max() < 1e4
    alpha, gradient = with_gradient(torch.full((1, 3, 8, 8), 100.0), logits=True, backend=backend)
    assert alpha.max() < 1e-30
    assert gradient.abs().max() < 1e-30


def test_sigmoid_is_accurate_everywhere(instruction_set: str) -> None:
    """A pixel of darkness 1 beside them, so that alpha is 1 - sigmoid; it takes no gradient of the maximum either."""
    odd = torch.tensor([-math.inf, 0.0, 1e-30, -1e-30, 1e-45, 88.0, 200.0, 1e30, -1e30, math.inf])
    for dtype, ulp, least in ((F32, 2.0**-23, 2e-38), (F64, 2.0**-52, 1e-307)):
        x = torch.cat([odd, torch.linspace(-120, 120, 9001), torch.linspace(-2, 2, 3001)]).to(dtype).double()
        x.requires_grad_()
        e = (-x.abs()).exp()
        darkness = torch.where(x > 0, e, 1) / (1 + e)
        slope = e / (1 + e).square()
        laid = x.detach().to(dtype)[None, None, None].requires_grad_()
        alpha = stroke_mask(laid, logits=True)
        assert ((alpha[0, 0] - darkness).abs() <= 4 * ulp * darkness + least).all()
        (gradient,) = torch.autograd.grad(alpha.sum(), laid)
        assert ((gradient[0, 0, 0] + slope).abs() <= 6 * ulp * slope + least).all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("backend", ALL)
@pytest.mark.parametrize("logits", [False, True])
def test_nan_stays_in_its_stroke(backend: str, logits: bool) -> None:
    strokes = numbers(dtype=F32)
    strokes[1, 2, 3, 4] = torch.tensor(0x7F800001, dtype=torch.int32).view(F32)
    alpha, gradient = with_gradient(strokes, logits=logits, backend=backend)
    for tensor in (alpha, gradient):
        assert tensor[1].isnan().all()
        assert tensor[[0, 2]].isfinite().all()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads_gives_the_same_bits(threads: int) -> None:
    strokes = LAYOUTS["channels last"](numbers(batch=(7,), logits=True, dtype=F32))
    before = torch.get_num_threads()
    expected = with_gradient(strokes, logits=True)
    torch.set_num_threads(threads)
    try:
        found = with_gradient(strokes, logits=True)
    finally:
        torch.set_num_threads(before)
    for tensor, same in zip(found, expected, strict=True):
        assert torch.equal(tensor, same)


@pytest.mark.parametrize("backend", ALL)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types(backend: str, dtype: torch.dtype) -> None:
    strokes = numbers(dtype=dtype)
    alpha, gradient = with_gradient(strokes, backend=backend)
    assert alpha.dtype == gradient.dtype == dtype
    torch.testing.assert_close(alpha, stroke_mask(strokes.float()).to(dtype))
    with torch.autocast("cpu", dtype):
        assert stroke_mask(strokes.float(), backend=backend).dtype == F32


@pytest.mark.parametrize("layout", ["contiguous", "channels last"])
@pytest.mark.parametrize("dynamic", [False, True])
def test_compiles_whole(dynamic: bool, layout: str) -> None:
    compiled = torch.compile(stroke_mask, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for count in (5, 6):
        strokes = LAYOUTS[layout](numbers(batch=(2, count), dtype=F32))
        found = with_gradient(strokes, compiled, logits=True)
        for tensor, expected in zip(found, with_gradient(strokes, logits=True), strict=True):
            torch.testing.assert_close(tensor, expected)


@pytest.mark.parametrize(
    ("strokes", "options", "error", "message"),
    [
        (torch.zeros(3, 0, 4), {}, ValueError, r"strokes must have shape \(\.\.\., C, h, w\) without an empty side"),
        (torch.zeros(4, 4), {}, ValueError, r"without an empty side, got \(4, 4\)"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), {}, TypeError, r"a floating-point tensor, got torch\.uint8"),
        ([[0.0]], {}, TypeError, "strokes must be a floating-point tensor, got list"),
        (torch.zeros(3, 4, 4), {"backend": "cuda"}, ValueError, "backend must be one of"),
        (torch.zeros(3, 4, 4).double(), {"backend": "triton"}, ValueError, "for stroke_mask in float64"),
    ],
)
def test_rejects_bad_input(strokes: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        stroke_mask(strokes, **options)


def test_operator_guards_memory() -> None:
    """Whoever calls it, past the checks of the public function."""
    strokes, op = numbers(dtype=F32), torch.ops.neural_paint.stroke_mask
    with pytest.raises(RuntimeError, match=r"strokes must have shape \(\*, \*, \*, \*\), got \(3, 16, 20\)"):
        op(strokes[0], False)
    with pytest.raises(RuntimeError, match="strokes must have dtype Float or Double, got Half"):
        op(strokes.half(), False)
    with pytest.raises(RuntimeError, match="strokes must have a pixel and a channel"):
        op(strokes[:, :, :0], False)
    alpha, darkest, place = op(strokes, False)
    for name, arguments in {
        "grad": (alpha[:1], strokes, darkest, place),
        "darkest": (alpha, strokes, darkest.double(), place),
        "place": (alpha, strokes, darkest, place.int()),
    }.items():
        with pytest.raises(RuntimeError, match=f"{name} must have"):
            torch.ops.neural_paint.stroke_mask_backward(*arguments, False, False)
    for wrong in (-(2**60), 2**60, 320):
        torch.ops.neural_paint.stroke_mask_backward(alpha, strokes, darkest, place * 0 + wrong, False, False)
