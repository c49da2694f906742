"""The Strokes container: what it accepts, how it is selected from, joined, moved and checked."""

from __future__ import annotations

import math

import pytest
import torch

from neural_paint import reference
from neural_paint.strokes import Strokes

B, N, C = 2, 6, 3


def make(
    batch: int = B, count: int = N, degree: int = 3, channels: int = C, ends: int = 1, dtype=torch.float32, **fields
) -> Strokes:
    """Random valid strokes on a canvas of 16 pixels; `ends` is 1 or 2 colours and opacities per stroke."""
    end = () if ends == 1 else (2,)
    made = {
        "points": torch.rand(batch, count, degree, 2, dtype=dtype) * 16,
        "radius": torch.rand(batch, count, 2, dtype=dtype) * 3 + 1,
        "color": torch.rand(batch, count, *end, channels, dtype=dtype),
        "opacity": torch.rand(batch, count, *end, dtype=dtype),
        "feather": torch.rand(batch, count, dtype=dtype) + 0.5,
    }
    return Strokes(**{**made, **fields})


def textured(bank: torch.Tensor, **options) -> Strokes:
    strokes = make(**options)
    return strokes.replace(texture=bank, texture_id=torch.randint(-1, bank.shape[0], strokes.shape))


def assert_equal(a: Strokes, b: Strokes) -> None:
    assert a.fields().keys() == b.fields().keys()
    for name, tensor in a.fields().items():
        torch.testing.assert_close(tensor, b.fields()[name], rtol=0, atol=0, equal_nan=True)


def paint(strokes: Strokes) -> torch.Tensor:
    return reference.paint(strokes, torch.ones(strokes.batch_size, strokes.channels, 16, 16, dtype=strokes.dtype))


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
@pytest.mark.parametrize("ends", [1, 2])
@pytest.mark.parametrize("batch, count", [(2, 6), (1, 0), (0, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_properties(degree, ends, batch, count, dtype):
    strokes = make(batch, count, degree, 5, ends, dtype)
    assert strokes.shape == (strokes.batch_size, strokes.num_strokes) == (batch, count)
    assert strokes.channels == 5 and strokes.dtype == dtype and strokes.device == torch.device("cpu")
    assert list(strokes.fields()) == ["points", "radius", "color", "opacity", "feather"]
    assert f"N={count}" in repr(strokes) and len(repr(strokes)) < 100
    assert strokes.validate() is strokes


def test_feather_is_one_by_default():
    assert torch.equal(make(feather=None, dtype=torch.float64).feather, torch.ones(B, N, dtype=torch.float64))


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_colors(half):
    strokes = make(color=torch.rand(B, N, C).to(half), opacity=torch.rand(B, N).to(half))
    assert strokes.color.dtype == half and strokes.dtype == torch.float32


@pytest.mark.parametrize(
    "field, value, error, message",
    [
        ("points", torch.rand(B, N, 5, 2), ValueError, r"points must have shape .* got \(2, 6, 5, 2\)"),
        ("points", torch.rand(B, N, 0, 2), ValueError, "points must have shape"),
        ("points", torch.rand(N, 3, 2), ValueError, "points must have shape"),
        ("points", torch.rand(B, N, 3, 2).half(), TypeError, "points must be float32 or float64, got float16"),
        ("points", [[0.0]], TypeError, "points must be a tensor, got list"),
        ("radius", torch.rand(B, N), ValueError, r"radius must have shape \(2, 6, 2\), got \(2, 6\)"),
        ("radius", torch.rand(B, N, 2).double(), TypeError, "radius must be float32, got float64"),
        ("color", torch.rand(B, N), ValueError, "color must have shape"),
        ("color", torch.rand(B, N, 17), ValueError, "color must have shape"),
        ("color", torch.rand(B, N, 3, C), ValueError, "color must have shape"),
        ("color", torch.rand(()), ValueError, "color must have shape"),
        ("color", torch.zeros(B, N, C, dtype=torch.uint8), TypeError, "color must be float32 or float16 or bfloat16"),
        ("opacity", torch.rand(B, N, 1), ValueError, "opacity must have shape"),
        ("opacity", 0.5, TypeError, "opacity must be a tensor, got float"),
        ("feather", torch.rand(N), ValueError, "feather must have shape"),
        ("feather", torch.rand(B, N).half(), TypeError, "feather must be float32"),
        (
            "feather",
            torch.ones(B, N, device="meta"),
            ValueError,
            "feather must be on the device of points, cpu, got meta",
        ),
        ("texture", torch.rand(2, 4, 4), ValueError, "texture and texture_id must be given together"),
        ("texture_id", torch.zeros(B, N, dtype=torch.int32), ValueError, "must be given together"),
    ],
)
def test_rejects_bad_input(field, value, error, message):
    with pytest.raises(error, match=message):
        make(**{field: value})


@pytest.mark.parametrize(
    "texture, texture_id, error, message",
    [
        (torch.rand(0, 4, 4), torch.zeros(B, N, dtype=torch.int32), ValueError, "texture must have shape"),
        (torch.rand(4, 4), torch.zeros(B, N, dtype=torch.int32), ValueError, "texture must have shape"),
        (torch.rand(1, 4, 4).double(), torch.zeros(B, N, dtype=torch.int32), TypeError, "texture must be"),
        (torch.rand(1, 4, 4), torch.zeros(B, N), TypeError, "texture_id must be int32 or int64, got float32"),
        (torch.rand(1, 4, 4), torch.zeros(N, dtype=torch.int64), ValueError, r"texture_id must have shape \(2, 6\)"),
    ],
)
def test_rejects_bad_textures(texture, texture_id, error, message):
    with pytest.raises(error, match=message):
        make(texture=texture, texture_id=texture_id)


@pytest.mark.parametrize(
    "key, batches, strokes",
    [
        (0, [0], range(N)),
        (-1, [1], range(N)),
        (slice(None), [0, 1], range(N)),
        ((slice(None), slice(1, 5, 2)), [0, 1], [1, 3]),
        ((0, 2), [0], [2]),
        ((1, -1), [1], [5]),
        ((slice(None), slice(3, 3)), [0, 1], []),
        ((slice(None), torch.tensor([4, 0, 4])), [0, 1], [4, 0, 4]),
        ((torch.tensor([1, 0]), torch.tensor([5, 1, 2])), [1, 0], [5, 1, 2]),
        ((slice(None), torch.tensor([True, False, False, True, False, False])), [0, 1], [0, 3]),
        (torch.tensor([False, True]), [1], range(N)),
    ],
)
def test_selection(key, batches, strokes):
    whole = textured(torch.rand(2, 4, 4), ends=2)
    part = whole[key]
    assert part.shape == (len(batches), len(strokes)) and part.texture is whole.texture
    for name, tensor in part.fields().items():
        if name != "texture":
            assert torch.equal(tensor, whole.fields()[name][batches][:, list(strokes)])


@pytest.mark.parametrize(
    "key, error",
    [
        (2, IndexError),
        ((0, -7), IndexError),
        ((0, 0, 0), IndexError),
        (torch.zeros(2, 6, dtype=torch.bool), IndexError),
        ((0, torch.tensor([True])), IndexError),
        (0.5, TypeError),
        ("points", TypeError),
    ],
)
def test_selection_rejects(key, error):
    with pytest.raises(error):
        make()[key]


def test_iteration_goes_over_the_batch():
    assert [part.shape for part in make()] == [(1, N), (1, N)]


@pytest.mark.parametrize("dim", [0, 1])
def test_cat_undoes_slicing(dim):
    whole = textured(torch.rand(2, 4, 4))
    parts = [whole[:1], whole[1:]] if dim == 0 else [whole[:, :2], whole[:, 2:2], whole[:, 2:]]
    joined = Strokes.cat(parts, dim=dim)
    assert joined.texture is whole.texture
    assert_equal(joined, whole)


@pytest.mark.parametrize("dim", [0, 1])
def test_cat_promotes_one_end_to_two(dim):
    one, two = make(), make(ends=2)
    joined = Strokes.cat([one, two], dim=dim)
    first = joined[:B] if dim == 0 else joined[:, :N]
    for end in (0, 1):
        assert torch.equal(first.color[:, :, end], one.color) and torch.equal(first.opacity[:, :, end], one.opacity)


def test_cat_joins_texture_banks():
    bank_a, bank_b = torch.rand(2, 4, 4), torch.rand(3, 4, 4)
    a, b, plain = textured(bank_a), textured(bank_b), make()
    joined = Strokes.cat([plain, a, b, a])
    assert torch.equal(joined.texture, torch.cat([bank_a, bank_b]))
    assert torch.equal(joined[:, :N].texture_id, torch.full((B, N), -1))
    assert torch.equal(joined[:, N : 2 * N].texture_id, a.texture_id)
    assert torch.equal(joined[:, 2 * N : 3 * N].texture_id, torch.where(b.texture_id < 0, -1, b.texture_id + 2))
    assert torch.equal(joined[:, 3 * N :].texture_id, a.texture_id)


def test_cat_keeps_bad_texture_ids_bad():
    a = make().replace(texture=torch.rand(2, 4, 4), texture_id=torch.tensor([[-5, -1, 0, 1, 2, 9]] * B))
    joined = Strokes.cat([a, textured(torch.rand(20, 4, 4))])
    assert joined.texture_id[0, :N].tolist() == [-5, -1, 0, 1, -2, -2]


def test_cat_mixes_color_dtypes():
    joined = Strokes.cat([make(color=torch.rand(B, N, C).half()), make(color=torch.rand(B, N, C).bfloat16())])
    assert joined.color.dtype == torch.float32
    assert Strokes.cat([make(color=torch.rand(B, N, C).half())] * 2).color.dtype == torch.float16


@pytest.mark.parametrize(
    "parts, dim, message",
    [
        (lambda: [], 1, "at least one"),
        (lambda: [make()], 2, "dim must be"),
        (lambda: [make(degree=2), make(degree=4)], 1, r"control points, got 2, 4; call elevate\(\) first"),
        (lambda: [make(channels=1), make()], 1, "channels, got 1, 3"),
        (lambda: [make(), make().double()], 1, r"dtype, got torch.float32, torch.float64; call to\(\)"),
        (lambda: [make(), make(batch=1)], 1, "batch size, got 2, 1"),
        (lambda: [make(), make(count=5)], 0, "number of strokes, got 6, 5"),
        (lambda: [textured(torch.rand(1, 4, 4)), textured(torch.rand(1, 4, 5))], 1, "texture size"),
    ],
)
def test_cat_rejects(parts, dim, message):
    with pytest.raises(ValueError, match=message):
        Strokes.cat(parts(), dim=dim)


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
@pytest.mark.parametrize("target", [1, 2, 3, 4])
def test_elevation_paints_the_same(degree, target):
    strokes = make(degree=degree, ends=2, dtype=torch.float64)
    if target < degree:
        with pytest.raises(ValueError, match="control_points must be in"):
            strokes.elevate(target)
        return
    elevated = strokes.elevate(target)
    assert elevated.points.shape == (B, N, target, 2)
    assert torch.equal(elevated.points[:, :, 0], strokes.points[:, :, 0])
    assert torch.equal(elevated.points[:, :, -1], strokes.points[:, :, -1])
    torch.testing.assert_close(paint(elevated), paint(strokes), rtol=0, atol=1e-9)


def test_elevation_refuses_textured_dabs():
    dabs = textured(torch.rand(1, 4, 4), degree=1)
    with pytest.raises(ValueError, match="textured dabs"):
        dabs.elevate(2)
    assert_equal(dabs.elevate(1), dabs)


def test_different_kinds_can_be_joined_after_elevation():
    kinds = [make(degree=degree) for degree in (1, 2, 3, 4)]
    assert Strokes.cat([kind.elevate(4) for kind in kinds]).validate().shape == (B, 4 * N)


def test_casts():
    strokes = textured(torch.rand(2, 4, 4), color=torch.rand(B, N, C).half())
    for cast in (strokes.double(), strokes.to(torch.float64), strokes.to("cpu", torch.float64)):
        assert {t.dtype for t in cast.fields().values()} == {torch.float64, torch.int64}
    assert {t.device.type for t in strokes.to("meta").fields().values()} == {"meta"}
    same = strokes.cpu()
    assert all(same.fields()[name] is tensor for name, tensor in strokes.fields().items())
    with pytest.raises(TypeError, match="points must be float32 or float64"):
        strokes.to(torch.float16)


@pytest.mark.gpu
def test_moves_to_the_gpu():
    strokes = textured(torch.rand(2, 4, 4)).cuda()
    assert {t.device.type for t in strokes.fields().values()} == {"cuda"}
    assert_equal(strokes.validate().cpu(), strokes.cpu())


def test_autograd_graph_is_kept():
    strokes = textured(torch.rand(2, 4, 4)).requires_grad_()
    leaves = {name: tensor for name, tensor in strokes.fields().items() if name != "texture_id"}
    assert all(tensor.requires_grad for tensor in leaves.values())
    used = Strokes.cat([strokes[:, ::2].scaled(2.0), strokes[:, 1::2]]).elevate(4).contiguous().clone()
    sum(tensor.sum() for tensor in used.fields().values()).backward()
    assert all(tensor.grad is not None and tensor.grad.abs().sum() > 0 for tensor in leaves.values())
    assert not any(tensor.requires_grad for tensor in strokes.detach().fields().values())
    assert not any(tensor.requires_grad for tensor in strokes.requires_grad_(False).fields().values())


def test_clone_shares_no_memory_and_contiguous_is():
    strokes = make()[:, ::2]
    assert not strokes.points.is_contiguous() and strokes.contiguous().points.is_contiguous()
    strokes.clone().points.zero_()
    assert strokes.points.abs().sum() > 0


def test_replace():
    strokes = textured(torch.rand(2, 4, 4))
    plain = strokes.replace(texture=None, texture_id=None, opacity=torch.ones(B, N))
    assert list(plain.fields()) == ["points", "radius", "color", "opacity", "feather"]
    assert plain.points is strokes.points and plain.opacity.min() == 1
    with pytest.raises(TypeError):
        strokes.replace(width=strokes.radius)


def test_scaled():
    strokes = make()
    large = strokes.scaled(2.5)
    for name in ("points", "radius", "feather"):
        assert torch.equal(large.fields()[name], strokes.fields()[name] * 2.5)
    assert large.color is strokes.color
    for factor in (0, -1.0, math.nan):
        with pytest.raises(ValueError, match="factor must be > 0"):
            strokes.scaled(factor)


def test_bounds_contain_the_control_points():
    strokes = make()
    bounds = strokes.bounds()
    assert bounds.shape == (B, N, 4)
    assert (bounds[..., :2] <= strokes.points.amin(2)).all() and (bounds[..., 2:] >= strokes.points.amax(2)).all()


@pytest.mark.parametrize(
    "field, value, message",
    [
        ("points", math.nan, r"points must be finite, got nan at stroke \(1, 4\)"),
        ("points", math.inf, r"points must be finite, got inf at stroke \(1, 4\)"),
        ("radius", -0.1, r"radius must be finite and >= 0, got -0.1 at stroke \(1, 4\)"),
        ("radius", math.inf, "radius must be finite and >= 0, got inf"),
        ("color", -math.inf, "color must be finite, got -inf"),
        ("opacity", 1.7, r"opacity must be in \[0, 1\], got 1.7 at stroke \(1, 4\)"),
        ("opacity", 1 + 2.0**-23, r"opacity must be in \[0, 1\], got 1.0000001 at"),
        ("opacity", -1e-30, r"opacity must be in \[0, 1\], got -1e-30 at"),
        ("opacity", math.nan, r"opacity must be in \[0, 1\], got nan"),
        ("feather", 0.0, "feather must be finite and > 0, got 0 at"),
        ("feather", math.nan, "feather must be finite and > 0, got nan at"),
        ("texture_id", 2, r"texture_id must be in \[-1, 1\], got 2 at stroke \(1, 4\)"),
        ("texture_id", -2, r"texture_id must be in \[-1, 1\], got -2 at stroke \(1, 4\)"),
    ],
)
@pytest.mark.parametrize("ends", [1, 2])
def test_validate_names_the_offender(field, value, message, ends):
    strokes = textured(torch.rand(2, 4, 4), ends=ends).requires_grad_()
    with torch.no_grad():
        strokes.fields()[field][1, 4] = value
    with pytest.raises(ValueError, match=message):
        strokes.validate()


def test_validate_texture():
    bank = torch.rand(2, 4, 5)
    bank[1, 2, 3] = math.nan
    with pytest.raises(ValueError, match=r"texture must be finite, got nan at texel \(1, 2, 3\)"):
        textured(bank).validate()


def test_validate_accepts_the_limits():
    make(opacity=torch.tensor([0.0, -0.0, 1.0] * 4).reshape(B, N), radius=torch.zeros(B, N, 2)).validate()
    make(opacity=torch.ones(B, N).bfloat16(), color=torch.full((B, N, C), -3.0)).validate()


def test_compiles_as_part_of_a_forward():
    def forward(raw: torch.Tensor) -> torch.Tensor:
        strokes = Strokes(
            points=raw[..., :6].reshape(B, N, 3, 2),
            radius=raw[..., 6:8].exp(),
            color=raw[..., 8:11].sigmoid(),
            opacity=raw[..., 11].sigmoid(),
        )
        strokes = Strokes.cat([strokes[:, :2], strokes[:, 2:]]).scaled(2.0).elevate(4)
        return sum(tensor.square().sum() for tensor in strokes.fields().values())

    raw = torch.randn(B, N, 12, requires_grad=True)
    compiled = torch.compile(forward, fullgraph=True, backend="aot_eager")
    (eager_grad,) = torch.autograd.grad(forward(raw), raw)
    (compiled_grad,) = torch.autograd.grad(compiled(raw), raw)
    torch.testing.assert_close(compiled_grad, eager_grad)


@pytest.mark.parametrize("count", [N, 9])
def test_compiled_functions_take_and_return_strokes(count):
    @torch.compile(fullgraph=True, backend="aot_eager")
    def shrink(strokes: Strokes) -> Strokes:
        return strokes[:, 1:].scaled(0.5).replace(opacity=strokes.opacity[:, 1:] * 0.5)

    strokes = textured(torch.rand(2, 4, 4), count=count)
    shrunk = shrink(strokes)
    assert isinstance(shrunk, Strokes)
    torch.testing.assert_close(shrunk.points, strokes.points[:, 1:] / 2)
    torch.testing.assert_close(shrunk.texture, strokes.texture)
