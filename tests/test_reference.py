"""The reference against hand-computed values, brute force and finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from neural_paint.reference import strokes as reference
from neural_paint.strokes import Strokes

F64 = torch.float64


def one(points, radius=(1.0, 1.0), opacity=1.0, color=(1.0,), feather=1.0, **texture) -> Strokes:
    """One stroke on one canvas, from plain numbers."""
    values = {"points": points, "radius": radius, "opacity": opacity, "color": color, "feather": feather}
    return Strokes(**{name: torch.tensor([[value]], dtype=F64) for name, value in values.items()}, **texture)


def scene(d: int, n: int = 4, size: int = 10, seed: int = 0, b: int = 2, c: int = 2) -> tuple[Strokes, Tensor]:
    """Random float64 strokes with ramps, textures, opacity 0 and 1, over a background; all of it wants gradients."""
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
    inputs = {name: tensor for name, tensor in inputs.items() if tensor.requires_grad}
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
    expected = torch.tensor([0, 0, 0.15625, 0.5, 0.84375, 1], dtype=F64)  # S(1 - distance / 4) at 5, 4, 3, 2, 1, 0 px
    torch.testing.assert_close(column, torch.cat([expected, expected[:-1].flip(0)]), atol=1e-6, rtol=0)


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


def test_equal_minima_take_the_lowest_t():
    points = torch.tensor([[-4.0, 0.0], [-12.0, 30.0], [12.0, 30.0], [4.0, 0.0]], dtype=F64)[..., None]
    assert reference.closest_t(points, torch.ones(2, 1, dtype=F64)).item() == 0.0
    assert reference.closest_t(points, torch.tensor([[1.0], [1.1]], dtype=F64)).item() == 1.0


def test_opaque_paint_is_exact():
    color, background = torch.rand(1, 1, 3), torch.rand(1, 3, 9, 9)
    strokes = Strokes(
        points=torch.tensor([[[[0.0, 4.5], [4.0, 4.0], [9.0, 4.5]]]]),
        radius=torch.full((1, 1, 2), 3.0),
        color=color[:, :, None].expand(1, 1, 2, 3),
        opacity=torch.ones(1, 1, 2),
    )
    out = reference.paint(strokes, background)
    assert torch.equal(out[..., 4, :], color[0, 0, :, None].expand(3, 9)[None])
    assert torch.equal(out[..., 0, :], background[..., 0, :])


def test_tapered_line_is_a_round_cone():
    length, radius = 10.0, torch.tensor([[4.0], [1.0]], dtype=F64)
    x, y = torch.rand(2, 500, dtype=F64) * torch.tensor([[20.0], [16.0]], dtype=F64) - torch.tensor([[5.0], [8.0]])
    points = torch.stack([torch.stack([0 - x, 0 - y]), torch.stack([length - x, 0 - y])])
    slope = (radius[0] - radius[1]) / length
    cosine = (1 - slope**2).sqrt()
    s = x - slope * y.abs() / cosine
    expected = torch.where(s > 0, y.abs() * cosine + slope * x - radius[0], x.hypot(y) - radius[0])
    expected = torch.where(s < length, expected, (x - length).hypot(y) - radius[1])
    t = reference.closest_t(points, radius.expand(2, 500))
    torch.testing.assert_close(reference.distance(points, radius, t), expected, atol=1e-9, rtol=0)
    torch.testing.assert_close(t, (s / length).clamp(0, 1), atol=1e-9, rtol=0)


def test_texture_is_sampled_at_known_places():
    texture = torch.tensor([[[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]]], dtype=F64)
    bank = {"texture": texture, "texture_id": torch.zeros(1, 1, dtype=torch.long)}
    line = one([[0.5, 4.5], [8.5, 4.5]], radius=(4.0, 4.0), feather=0.5, **bank)
    out = reference.paint(line, torch.zeros(1, 1, 9, 9, dtype=F64))[0, 0]
    torch.testing.assert_close(out[2, [1, 3, 5, 7]], texture[0, 0])  # v = -1/2 is the first row, u = k/8
    torch.testing.assert_close(out[6, [1, 3, 5, 7]], texture[0, 1])
    torch.testing.assert_close(out[4, [0, 4, 8]], torch.tensor([0.3, 0.45, 0.6], dtype=F64))
    dab = one([[4.5, 4.5]], radius=(4.0, 4.0), feather=0.5, **bank)
    out = reference.paint(dab, torch.zeros(1, 1, 9, 9, dtype=F64))[0, 0]
    torch.testing.assert_close(out[2, [3, 5]], torch.tensor([0.2, 0.3], dtype=F64))  # u = 3/8, 5/8
    still = one([[4.5, 4.5]] * 3, radius=(4.0, 4.0), feather=0.5, **bank)  # u = t* = 0, v along y
    out = reference.paint(still, torch.zeros(1, 1, 9, 9, dtype=F64))[0, 0]
    torch.testing.assert_close(out[[2, 6], 5], torch.tensor([0.1, 0.5], dtype=F64))


def test_ramps_are_linear_in_t():
    strokes = one([[0.5, 2.5], [8.5, 2.5]], opacity=[0.0, 1.0], color=[[1.0, 2.0], [3.0, 2.0]])
    out = reference.paint(strokes, torch.zeros(1, 2, 5, 9, dtype=F64))[0, :, 2]
    t = torch.arange(9, dtype=F64) / 8
    torch.testing.assert_close(out, torch.stack([t * (1 + 2 * t), 2 * t]))


@pytest.mark.parametrize("d", [2, 3, 4])
def test_closest_point_is_the_global_minimum(d):
    torch.manual_seed(d)
    samples = 100
    points = (torch.rand(d, 2, samples, dtype=F64) - 0.5) * 128
    radius = torch.rand(2, samples, dtype=F64) * 12
    t = reference.closest_t(points, radius)
    lowest = reference.distance(points, radius, t)
    brute = torch.stack([reference.distance(points, radius, s) for s in torch.linspace(0, 1, 20_001, dtype=F64)])
    speed = reference.hodograph(points).norm(dim=1).amax(0) + radius.diff(dim=0).abs()[0]
    assert (lowest <= brute.amin(0) + 1e-12).all()
    assert (lowest >= brute.amin(0) - speed / 40_000).all()
    slope = reference.stationarity(points, radius, t)[0] / speed**2
    assert ((slope.abs() < 1e-12) | (t == 0) | (t == 1)).all()


@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_gradcheck(d):
    function, inputs = functional(*scene(d, size=8, seed=1))
    assert gradcheck(function, inputs, fast_mode=True)
    assert gradgradcheck(function, inputs, fast_mode=True)


def test_gradcheck_of_every_entry():
    function, inputs = functional(*scene(3, n=3, size=5, seed=3, b=1, c=1))
    assert gradcheck(function, inputs)


def test_floor_bounds_the_motion_of_the_closest_point():
    points = torch.tensor([[-1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], dtype=F64)
    points = (points - torch.tensor([0.0, -0.5 + 0.25e-4], dtype=F64))[
        ..., None
    ].requires_grad_()  # G_t = 1e-4 < 4 KAPPA
    radius, t = torch.ones(2, 1, dtype=F64), torch.tensor([0.5], dtype=F64)
    (gradient,) = torch.autograd.grad(reference.differentiable_t(points, radius, t), points)
    g_x, g_y = torch.tensor([0.5, 1.0, 0.5], dtype=F64), torch.tensor([-1.0, 0.0, 1.0], dtype=F64) * (1 - 0.25e-4)
    torch.testing.assert_close(gradient[..., 0], -torch.stack([g_x, g_y], 1) / (4 * reference.KAPPA))


BAD = [("points", math.nan), ("radius", math.inf), ("color", math.nan), ("opacity", -math.inf)]
BAD += [("feather", math.nan), ("feather", 0.0), ("feather", -1.0), ("texture_id", 2), ("texture_id", -2)]


@pytest.mark.parametrize(("field", "value"), BAD)
def test_bad_strokes_are_culled(field, value):
    strokes, background = scene(3)
    kept = torch.tensor([0, 1, 3])
    expected = gradients(strokes[:, kept], background)["out"]
    bad = getattr(strokes, field).detach().clone()
    bad[:, 2].view(2, -1)[:, 0] = value
    strokes = strokes.replace(**{field: bad.requires_grad_(bad.is_floating_point())})
    result = gradients(strokes, background)
    assert torch.equal(result["out"], expected)
    assert all(gradient.isfinite().all() for gradient in result.values())
    assert not any(result[name][:, 2].any() for name in ("points", "radius", "color", "opacity", "feather"))


@pytest.mark.parametrize("t_min", [0.0, 0.2])
def test_chunks_change_nothing(t_min, monkeypatch):
    strokes, background = scene(3, n=12)
    whole = gradients(strokes, background, t_min=t_min)
    monkeypatch.setattr(reference, "CHUNK_VALUES", 5 * 2 * 3 * 10 * 10)
    for name, tensor in gradients(strokes, background, t_min=t_min).items():
        torch.testing.assert_close(
            tensor, whole[name], atol=1e-12, rtol=1e-12, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_chunks_bound_the_memory(monkeypatch):
    def saved(limit: int) -> int:
        monkeypatch.setattr(reference, "CHUNK_VALUES", limit)
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.append(x.nbytes) or x, lambda x: x):
            reference.paint(*scene(3, n=40, size=16))
        return sum(sizes)

    assert saved(4 * 2 * 3 * 16 * 16) < saved(1 << 22) / 10


@pytest.mark.parametrize("limit", [1, 1 << 22])
def test_t_min_closes_a_pixel(limit, monkeypatch):
    monkeypatch.setattr(reference, "CHUNK_VALUES", limit)
    opacity = torch.tensor([[0.5, 0.9, 0.5, 0.9, 0.5]], dtype=F64)  # the last is on top; 0.9 closes either time
    color = torch.tensor([[[1.0], [0.8], [0.6], [0.4], [0.2]]], dtype=F64)
    points, radius = torch.zeros(1, 5, 1, 2, dtype=F64), torch.full((1, 5, 2), 9.0, dtype=F64)
    strokes = Strokes(points=points, radius=radius, color=color.requires_grad_(), opacity=opacity.requires_grad_())
    background = torch.full((1, 1, 1, 1), 3.0, dtype=F64, requires_grad=True)
    result = gradients(strokes, background, t_min=0.1)
    under = 0.5 * 0.6 + 0.5 * 0.9 * 0.8 + 0.05 * 3
    expected = {
        "out": torch.tensor(0.5 * 0.2 + 0.5 * 0.9 * 0.4 + 0.05 * 3),
        "opacity": -torch.tensor([0, 0, 0, 0.5 * (0.4 - under), 0.2 - (0.9 * 0.4 + 0.1 * under)]),
        "color": -torch.tensor([0, 0, 0, 0.45, 0.5]),
        "background": -torch.tensor(0.05),
    }  # the weight of the only pixel is -1
    for name, value in expected.items():
        torch.testing.assert_close(result[name].flatten(), value.to(F64).flatten())


def test_t_min_of_nothing_closed_is_plain():
    strokes, background = scene(4, n=5)
    strokes = strokes.replace(opacity=strokes.opacity * 0.5)
    plain = gradients(strokes, background)
    for name, tensor in gradients(strokes, background, t_min=1e-9).items():
        torch.testing.assert_close(tensor, plain[name], atol=1e-12, rtol=1e-12)


def test_gradient_of_an_opaque_stroke_over_another():
    points, radius = torch.zeros(1, 3, 1, 2, dtype=F64), torch.full((1, 3, 2), 9.0, dtype=F64)
    color = torch.tensor([[[0.1], [0.5], [0.9]]], dtype=F64)
    opacity = torch.ones(1, 3, dtype=F64, requires_grad=True)
    out = reference.paint(
        Strokes(points=points, radius=radius, color=color, opacity=opacity), torch.zeros(1, 1, 1, 1, dtype=F64)
    )
    torch.testing.assert_close(torch.autograd.grad(out.sum(), opacity)[0], torch.tensor([[0, 0, 0.4]], dtype=F64))


@pytest.mark.parametrize(("n", "height", "width"), [(0, 4, 5), (3, 1, 1), (2, 7, 13)])
@pytest.mark.parametrize("t_min", [0.0, 0.1])
def test_odd_shapes(n, height, width, t_min):
    strokes, _ = scene(2, n=max(n, 2))
    strokes = strokes[:, :n].detach()
    wide = torch.rand(1, 2, width, height, dtype=F64).mT
    out = reference.paint(strokes, wide, t_min=t_min)
    assert out.shape == (2, 2, height, width)
    torch.testing.assert_close(out, reference.paint(strokes, wide.expand(2, -1, -1, -1).contiguous(), t_min=t_min))
    away = strokes.replace(points=strokes.points + 1e6)
    assert torch.equal(reference.paint(away, wide, t_min=t_min), wide.expand_as(out))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_lower_precision(dtype):
    strokes, background = scene(3, b=1)
    expected = reference.paint(strokes, background)
    strokes = strokes.float().replace(color=strokes.color.to(dtype), opacity=strokes.opacity.to(dtype))
    out = reference.paint(strokes, background.to(dtype))
    assert out.dtype == dtype
    tolerance = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}[dtype]
    torch.testing.assert_close(out.double(), expected, atol=tolerance, rtol=0)
