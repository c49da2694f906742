from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from neural_paint import backends
from neural_paint.ops.stroke_bounds import stroke_bounds

EMPTY = [torch.inf, torch.inf, -torch.inf, -torch.inf]
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def scene(
    batch: int, strokes: int, count: int, dtype: torch.dtype = torch.float64, device: str = "cpu"
) -> list[Tensor]:
    points = torch.rand(batch, strokes, count, 2, dtype=dtype, device=device) * 64
    radius = torch.rand(batch, strokes, 2, dtype=dtype, device=device) * 8
    feather = torch.rand(batch, strokes, dtype=dtype, device=device) + 0.5
    return [points, radius, feather]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(2, 5, 1), (1, 1, 2), (3, 7, 3), (2, 9000, 4), (0, 3, 2), (2, 0, 3)])
def test_matches_reference(shape: tuple[int, int, int], dtype: torch.dtype, device: str) -> None:
    fields = scene(*shape, dtype, device)
    fields[1][..., ::3, 0] *= -1
    expected = stroke_bounds(*fields, backend="reference")
    assert torch.equal(stroke_bounds(*fields, backend="cpp"), expected)


@pytest.mark.parametrize("device", DEVICES)
def test_strides(device: str) -> None:
    points, radius, feather = scene(2, 10, 6, device=device)
    fields = [points.transpose(0, 1)[::2, :, 1::2], radius.transpose(0, 1)[1::2], feather.T[::2]]
    assert not any(field.is_contiguous() for field in fields)
    assert torch.equal(stroke_bounds(*fields), stroke_bounds(*(field.clone() for field in fields), backend="reference"))
    expanded = [points[:1, :1].expand(3, 4, 6, 2), radius[:1, :1].expand(3, 4, 2), feather[:1, :1].expand(3, 4)]
    assert torch.equal(stroke_bounds(*expanded), stroke_bounds(*expanded, backend="reference"))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("backend", ["cpp", "reference"])
@pytest.mark.parametrize("field", [0, 1, 2])
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_non_finite_strokes_have_no_box(value: float, field: int, backend: str, device: str) -> None:
    fields = scene(1, 3, 3, device=device)
    fields[field].view(1, 3, -1)[0, 1, -1] = value
    boxes = stroke_bounds(*fields, backend=backend)
    assert boxes[0, 1].tolist() == EMPTY
    assert boxes[0, ::2].isfinite().all()


@pytest.mark.parametrize("backend", ["cpp", "reference"])
@pytest.mark.parametrize(
    ("radius", "feather", "covers"),
    [((0, 0), 1, True), ((3, 1), 0, False), ((3, 1), -1, False), ((-1, -0.5), 1, False), ((-1, -0.4), 1, True)],
)
def test_strokes_without_paint_have_no_box(
    radius: tuple[float, float], feather: float, covers: bool, backend: str
) -> None:
    fields = [torch.full((1, 1, 2, 2), 5.0), torch.tensor([[radius]]).float(), torch.tensor([[feather]]).float()]
    box = stroke_bounds(*fields, backend=backend)[0, 0].tolist()
    reach = max(radius) + feather / 2
    assert box == pytest.approx([5 - reach, 5 - reach, 5 + reach, 5 + reach] if covers else EMPTY)


def test_paint_stays_inside() -> None:
    points, radius, feather = scene(1, 20, 3)
    t = torch.linspace(0, 1, 2001, dtype=torch.float64)[:, None, None]
    p = points[0].unbind(1)
    curve = (1 - t) ** 2 * p[0] + 2 * t * (1 - t) * p[1] + t**2 * p[2]
    reach = radius[0, :, 0] * (1 - t[..., 0]) + radius[0, :, 1] * t[..., 0] + feather[0] / 2
    x0, y0, x1, y1 = stroke_bounds(points, radius, feather)[0].unbind(1)
    rim = torch.stack([curve[..., 0] - reach - x0, curve[..., 1] - reach - y0, x1 - curve[..., 0] - reach])
    assert rim.min() >= -1e-12
    assert (y1 - curve[..., 1] - reach).min() >= -1e-12


def test_opcheck(opcheck: Callable[..., object]) -> None:
    fields = scene(2, 5, 3)
    opcheck(torch.ops.neural_paint.stroke_bounds.default, tuple(fields))
    opcheck(torch.ops.neural_paint.stroke_bounds.default, tuple(scene(2, 0, 3)))


def test_compiles() -> None:
    fields = scene(2, 5, 3)
    compiled = torch.compile(stroke_bounds, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(*fields), stroke_bounds(*fields))


def test_backward_raises() -> None:
    points, radius, feather = scene(1, 2, 3)
    boxes = stroke_bounds(points.requires_grad_(), radius, feather)
    with pytest.raises(RuntimeError, match="stroke_bounds must not be differentiated"):
        boxes.sum().backward()
    assert not stroke_bounds(points, radius, feather, backend="reference").requires_grad


@pytest.mark.parametrize(
    ("field", "change", "error", "message"),
    [
        (0, lambda t: t[0], ValueError, r"points must have shape \(B, N, D, 2\), got \(5, 3, 2\)"),
        (0, lambda t: t.half(), TypeError, "points must be float32 or float64, got torch.float16"),
        (1, lambda t: t[..., :1], ValueError, r"radius must have shape \(2, 5, 2\), got \(2, 5, 1\)"),
        (2, lambda t: t.float(), TypeError, "feather must have the dtype of points, torch.float64, got torch.float32"),
        (2, lambda t: t.to("meta"), ValueError, "feather must be on the device of points, cpu, got meta"),
    ],
)
def test_rejects_bad_input(field: int, change: object, error: type[Exception], message: str) -> None:
    fields = scene(2, 5, 3)
    fields[field] = change(fields[field])  # type: ignore[operator]
    with pytest.raises(error, match=message):
        stroke_bounds(*fields)


def test_library_guards_memory() -> None:
    points, radius, feather = scene(2, 5, 3)
    op = torch.ops.neural_paint.stroke_bounds
    with pytest.raises(RuntimeError, match=r"^radius must have shape \(2, 5, 2\), got \(2, 5, 1\)"):
        op(points, radius[..., :1], feather)
    with pytest.raises(RuntimeError, match=r"^feather must have dtype Double, got Float"):
        op(points, radius, feather.float())


def test_rejects_unknown_backend() -> None:
    with pytest.raises(ValueError, match=r"backend must be one of \['cpp', 'reference'\] for stroke_bounds on cpu"):
        stroke_bounds(*scene(1, 1, 2), backend="fast")
    assert backends.pick(None, "cpu", "stroke_bounds") == "cpp"
    assert backends.available("meta", "stroke_bounds") == ["reference"]
