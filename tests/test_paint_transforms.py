"""`paint` under torch: compilation, autocast, half types, fake tensors, derivatives of derivatives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.checkpoint import checkpoint

from neural_paint import Strokes, paint, reference
from neural_paint.ops.paint import _canonical
from neural_paint.testing import brush_strokes, scene_of_record

F64 = torch.float64


def sum_of_squares(points: Tensor, color: Tensor, background: Tensor) -> Tensor:
    b, n = points.shape[:2]
    radius = points.new_full((b, n, 2), 3.0)
    strokes = Strokes(points=points, radius=radius, color=color.sigmoid(), opacity=points.new_ones(b, n))
    return (paint(strokes, background) ** 2).sum()


@pytest.mark.parametrize("dynamic", [False, True])
def test_compiles_without_graph_breaks(dynamic: bool) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(sum_of_squares, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for count in (5, 70, 130):
        points, color = torch.rand(2, count, 3, 2) * 32, torch.randn(2, count, 3)
        inputs = [points.requires_grad_(), color.requires_grad_(), torch.rand(1, 3, 32, 32)]
        eager = sum_of_squares(*inputs)
        expected = torch.autograd.grad(eager, inputs[:2])
        loss = compiled(*inputs)
        actual = torch.autograd.grad(loss, inputs[:2])
        torch.testing.assert_close(loss, eager)
        torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("layout", ["one end", "two ends", "strided"])
def test_operator_takes_fields_as_they_are(opcheck: Callable[..., object], layout: str) -> None:
    """Called directly it has the gradients of `paint`, each in the shape of its field."""
    strokes = brush_strokes(batch=2, strokes=3, height=6, width=7, length=5, radius=1.5, dtype=F64)
    background = torch.rand(1, 3, 6, 7, dtype=F64)
    if layout == "two ends":
        ends = {name: torch.stack([strokes.fields()[name]] * 2, 2) for name in ("color", "opacity")}
        strokes, background = strokes.replace(**ends), background.repeat(2, 1, 1, 1)
    if layout == "strided":
        strokes = strokes.replace(color=strokes.color.mT.contiguous().mT, opacity=strokes.opacity.T.contiguous().T)
    fields = [x.requires_grad_() for x in [*strokes.fields().values(), background]]
    arguments = (*fields[:-1], None, None, background, 0.0, 1)
    opcheck(torch.ops.neural_paint.paint.default, arguments)

    images = [torch.ops.neural_paint.paint(*arguments)[0], paint(strokes, background)]
    images.append(reference.paint(strokes, background))
    direct, public, expected = (torch.autograd.grad(image.square().sum(), fields) for image in images)
    assert all(map(torch.equal, direct, public))
    torch.testing.assert_close(public, expected, rtol=1e-9, atol=1e-11)


def test_fake_tensors_give_shapes_and_gradients() -> None:
    """As tools that plan memory run it: nothing is computed."""
    strokes, background = scene_of_record(5, 40, batch=2)
    mode = FakeTensorMode()
    fake = Strokes(**{name: mode.from_tensor(x) for name, x in strokes.fields().items()}).requires_grad_()
    shared = mode.from_tensor(background[:1]).requires_grad_()
    with mode:
        image = paint(fake, shared)
        assert image.shape == background.shape
        image.sum().backward()
    for name, tensor in [*fake.fields().items(), ("background", shared)]:
        assert tensor.grad is not None and tensor.grad.shape == tensor.shape, name


def test_fake_tensors_on_a_gpu_give_shapes() -> None:
    """Of the operators alone: torch's autograd takes no CUDA tensors, not even fake ones, where it has no CUDA."""
    strokes, background = scene_of_record(5, 40, batch=2)
    with FakeTensorMode(allow_non_fake_inputs=True):
        tensors = [None if x is None else torch.empty_like(x, device="cuda") for x in _canonical(strokes, background)]
        image, *saved = torch.ops.neural_paint.paint(*tensors, 0.0, 3)
        assert [tuple(x.shape) for x in saved] == [(2, 40, 40), (2, 2, 40, 40), (2, 40, 40)]
        gradients = torch.ops.neural_paint.paint_backward(image, *tensors, *saved, 0.0, True, False, False)
    assert image.shape == background.shape
    assert [x.shape for x in gradients[:5]] == [x.shape for x in tensors[:5]]
    assert {x.device.type for x in (image, *saved, *gradients)} == {"cuda"}


def test_nothing_but_the_operator_is_recorded() -> None:
    """A call on a small canvas is worth its overhead: no views or casts of fields that need none."""
    strokes, background = scene_of_record(3, 16, batch=2)
    image = paint(strokes.requires_grad_(), background[:1].requires_grad_())
    assert image.grad_fn is not None
    parents = [parent.name() for parent, _ in image.grad_fn.next_functions if parent]
    assert parents == ["torch::autograd::AccumulateGrad"] * 6


def test_saved_tensors_may_be_moved_and_recomputed() -> None:
    """Offloading and checkpointing hook into what is saved."""
    strokes, background = scene_of_record(5, 40)

    def loss(points: Tensor) -> Tensor:
        return paint(strokes.replace(points=points), background).square().sum()

    points = strokes.points.requires_grad_()
    (expected,) = torch.autograd.grad(loss(points), points)
    with torch.autograd.graph.saved_tensors_hooks(torch.clone, torch.clone):
        moved = loss(points)
    for total in (moved, checkpoint(loss, points, use_reentrant=False)):
        assert torch.equal(torch.autograd.grad(total, points)[0], expected)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_types_for_everything_but_geometry(half: torch.dtype) -> None:
    strokes = brush_strokes(strokes=6, height=24, width=24, textures=1)
    halves = strokes.replace(**{name: strokes.fields()[name].to(half) for name in ("color", "opacity", "texture")})
    background = torch.rand(1, 3, 24, 24).to(half).requires_grad_()
    halves.requires_grad_()
    image = paint(halves, background)
    exact = halves.replace(**{name: halves.fields()[name].float() for name in ("color", "opacity", "texture")})
    assert image.dtype == half
    assert torch.equal(image, paint(exact, background.float()).to(half))
    image.float().sum().backward()
    for name, field in [*halves.fields().items(), ("background", background)]:
        if field.is_floating_point():
            assert field.grad is not None and field.grad.dtype == field.dtype, name


def test_autocast_computes_in_float32() -> None:
    strokes = brush_strokes(strokes=6, height=24, width=24)
    background = torch.rand(1, 3, 24, 24)
    plain = paint(strokes, background)
    with torch.autocast("cpu", torch.bfloat16):
        image = paint(strokes, background)
        differentiable = paint(strokes.requires_grad_(), background)
    assert torch.equal(image, plain)
    assert torch.equal(differentiable, plain)


def test_second_derivatives_are_refused_by_the_fused_backend_and_given_by_the_reference() -> None:
    strokes = brush_strokes(strokes=2, height=8, width=8, length=5, radius=2.0, dtype=F64).requires_grad_()
    background = torch.rand(1, 3, 8, 8, dtype=F64)
    (first,) = torch.autograd.grad(paint(strokes, background).sum(), strokes.points, create_graph=True)
    with pytest.raises(NotImplementedError, match="reference"):
        first.sum().backward()
    image = paint(strokes, background, backend="reference")
    (first,) = torch.autograd.grad(image.square().sum(), strokes.points, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), strokes.points)
    assert second.abs().max() > 0


def test_gradcheck_of_the_image_alone_needs_no_background_gradient() -> None:
    """Inputs that want no gradient get none, and cost no error."""
    strokes = brush_strokes(strokes=2, height=8, width=8, textures=1)
    strokes.color.requires_grad_()
    paint(strokes, torch.rand(1, 3, 8, 8)).sum().backward()
    assert strokes.color.grad is not None
    assert strokes.points.grad is None
