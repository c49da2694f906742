"""The five laws of `decode_strokes`, and the pictures that the painters' own renderers make of the same vectors."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.functional import affine_grid, grid_sample

from neural_paint import Strokes, backends, composite_patches, decode_strokes, paint, reference
from neural_paint.stamps import Stamps
from neural_paint.stroke_vectors import KINDS, MYPAINT_BRUSH

F32, F64 = torch.float32, torch.float64
FUSED = [name for name in backends.available("cpu", "decode_strokes", dtype=F64) if name != "reference"]
BITMAPS = [name for name, kind in KINDS.items() if not kind.is_curve]
# Entries that nothing follows from.
UNUSED = {"snp_marker": [7], "snp_oil": [11]}
OPS = torch.ops.neural_paint


def random_vectors(kind: str, batch: int = 2, strokes: int = 7, dtype: torch.dtype = F64) -> Tensor:
    random = torch.Generator().manual_seed(1)
    vectors = torch.rand(batch, strokes, KINDS[kind].entries, dtype=F64, generator=random)
    if strokes:
        # A stroke of no extent, and the ends of the range.
        vectors[:, 0] = 0.5
        vectors[:, -1] = vectors[:, -1].round()
    return vectors.to(dtype)


def brush_for(kind: str, brushes: int = 2, shades: bool = False) -> Tensor | None:
    random = torch.Generator().manual_seed(2)
    shape = (brushes, 2, 5, 4) if shades else (brushes, 5, 4)
    return None if KINDS[kind].is_curve else torch.rand(shape, dtype=F64, generator=random)


def operator(backend: str, kind: str, size: tuple[int, int]) -> Callable[[Tensor], Tensor]:
    if backend == "reference":
        return lambda vectors: reference.decode_strokes(vectors, kind, size)
    return lambda vectors: OPS.decode_strokes(vectors, KINDS[kind].code, *size, list(MYPAINT_BRUSH))


@pytest.mark.parametrize("size", [(64, 64), (300, 1000)], ids=str)
@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", FUSED)
def test_matches_reference(backend: str, kind: str, dtype: torch.dtype, size: tuple[int, int]) -> None:
    """Values and gradient, more strokes than a thread takes."""
    vectors = random_vectors(kind, 3, 700)
    rtol = {F32: 1e-5, F64: 1e-13}[dtype]
    scale = 1.0 * max(size)
    expected, actual = vectors.requires_grad_(), vectors.detach().to(dtype).requires_grad_()
    numbers = reference.decode_strokes(expected, kind, size)
    found = operator(backend, kind, size)(actual)
    grad = torch.linspace(-1, 1, numbers.numel(), dtype=F64).view_as(numbers)
    (d_expected,), (d_actual,) = (
        torch.autograd.grad(x, v, grad.to(x.dtype)) for x, v in ((numbers, expected), (found, actual))
    )
    for part, whole in ((found, numbers), (d_actual, d_expected)):
        torch.testing.assert_close(part.double(), whole, rtol=rtol, atol=rtol * scale)


@pytest.mark.parametrize("backend", [*FUSED, "reference"])
@pytest.mark.parametrize("kind", KINDS)
def test_gradcheck(kind: str, backend: str) -> None:
    """Of every field of the container, in vectors and in patches, of colours and not."""
    inputs = [random_vectors(kind, 1, 3), brush_for(kind), brush_for(kind, shades=True)]
    # Off the line where one brush gives way to another.
    inputs[0][..., 2] += 0.01

    def fields(vectors: Tensor, patches: Tensor | None) -> tuple[Tensor, ...]:
        strokes = decode_strokes(vectors, kind, (40, 70), patches=patches, backend=backend)
        return tuple(x for x in strokes.fields().values() if x.requires_grad)

    for patches in inputs[1:]:
        leaves = (inputs[0].requires_grad_(), None if patches is None else patches.requires_grad_())
        assert gradcheck(fields, leaves)


@pytest.mark.parametrize("kind", KINDS)
def test_reference_can_be_differentiated_twice_and_fused_backends_say_so(kind: str) -> None:
    vectors = random_vectors(kind, 1, 2)[:, :1].requires_grad_()
    assert gradgradcheck(lambda x: reference.decode_strokes(x, kind, (8, 8)), vectors + 0.01)
    for backend in FUSED:
        numbers = operator(backend, kind, (8, 8))(vectors)
        (d_vectors,) = torch.autograd.grad(numbers.square().sum(), vectors, create_graph=True)
        with pytest.raises(NotImplementedError, match="decode_strokes has no second derivative"):
            d_vectors.sum().backward()


@pytest.mark.parametrize("kind", KINDS)
def test_opcheck(kind: str, opcheck: Callable[..., object]) -> None:
    for shape in ((2, 3), (2, 0)):
        vectors = random_vectors(kind, *shape, dtype=F32).requires_grad_()
        options = (KINDS[kind].code, 30, 50, list(MYPAINT_BRUSH))
        opcheck(OPS.decode_strokes.default, (vectors, *options))
        grad = torch.rand(*shape, KINDS[kind].numbers)
        opcheck(OPS.decode_strokes_backward.default, (grad, vectors.detach(), *options))


@pytest.mark.parametrize("kind", KINDS)
def test_compiles(kind: str) -> None:
    vectors, patches = random_vectors(kind, dtype=F32).requires_grad_(), brush_for(kind)

    def total(vectors: Tensor) -> Tensor:
        fields = decode_strokes(vectors, kind, (30, 50), patches=patches).fields().values()
        return sum((x * x.detach()).sum() for x in fields if x.is_floating_point())  # type: ignore[return-value]

    compiled = torch.compile(total, fullgraph=True, backend="aot_eager")
    (expected,), (actual,) = (torch.autograd.grad(f(vectors), vectors) for f in (total, compiled))
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("layout", ["strided", "expanded", "empty batch", "no strokes", "one pixel"])
@pytest.mark.parametrize("backend", FUSED)
@pytest.mark.parametrize("kind", KINDS)
def test_odd_shapes(kind: str, backend: str, layout: str) -> None:
    size = (1, 1) if layout == "one pixel" else (63, 100)
    vectors = {
        "strided": lambda: random_vectors(kind, 6, 8).permute(2, 1, 0).contiguous().permute(2, 1, 0)[::2, ::3],
        "expanded": lambda: random_vectors(kind, 1, 1).expand(3, 4, -1),
        "empty batch": lambda: random_vectors(kind, 0, 3),
        "no strokes": lambda: random_vectors(kind, 2, 0),
        "one pixel": lambda: random_vectors(kind),
    }[layout]()
    vectors = vectors.detach().requires_grad_()
    results = []
    for name in (backend, "reference"):
        numbers = operator(name, kind, size)(vectors)
        # A gradient of one number, expanded.
        results.append((numbers, *torch.autograd.grad(numbers.sum(), vectors)))
    for actual, expected in zip(*results, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_half_types_are_computed_in_float32(kind: str) -> None:
    vectors, patches = random_vectors(kind).bfloat16(), brush_for(kind)
    fields = decode_strokes(vectors, kind, (64, 64), patches=patches).fields()
    for name, field in decode_strokes(vectors.float(), kind, (64, 64), patches=patches).fields().items():
        assert torch.equal(fields[name], field), name
        assert field.dtype in (F32, torch.int64)


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_is_zero_only_for_what_the_renderer_does_not_use(kind: str) -> None:
    vectors = random_vectors(kind, 1, 5)[:, 1:4].requires_grad_()
    numbers = operator("reference", kind, (64, 80))(vectors)
    (d_vectors,) = torch.autograd.grad((numbers * torch.rand_like(numbers)).sum(), vectors)
    unused = (d_vectors == 0).all(0).all(0).nonzero().flatten().tolist()
    assert unused == UNUSED.get(kind, [])


BAD_INPUT = [
    ({"kind": "spiral"}, ValueError, r"kind must be one of \['mypaint', .*\], got 'spiral'"),
    ({"vectors": [0.5]}, TypeError, "vectors must be a floating-point tensor, got list"),
    ({"vectors": torch.zeros(1, 2, 12, dtype=torch.int64)}, TypeError, "got torch.int64"),
    ({"vectors": torch.zeros(2, 12)}, ValueError, r"vectors must have shape \(B, N, 12\) for 'mypaint', got \(2, 12\)"),
    ({"kind": "learning_to_paint"}, ValueError, r"vectors must have shape \(B, N, 13\)"),
    ({"size": (0, 8)}, ValueError, r"size must be \(H, W\) in whole pixels, both at least 1, got \(0, 8\)"),
    ({"size": (8.0, 8.0)}, ValueError, "size must be"),
    ({"size": 8}, ValueError, r"size must be \(H, W\) in whole pixels, both at least 1, got 8"),
    ({"patches": torch.zeros(1, 3, 3)}, ValueError, r"patches must not be given for 'mypaint', got \(1, 3, 3\)"),
    ({"kind": "snp_oil"}, ValueError, "patches must be given for 'snp_oil', got None"),
    (
        {"kind": "snp_oil", "patches": torch.zeros(3, 3, 3)},
        ValueError,
        r"patches must have shape \(K, h, w\) or \(K, 2, h, w\) with K in \(1, 2, 4\) for 'snp_oil', got \(3, 3, 3\)",
    ),
    ({"kind": "snp_oil", "patches": torch.zeros(2, 3, 3, 3)}, ValueError, "patches must have shape"),
    ({"kind": "snp_oil", "patches": torch.zeros(2, 3, 0)}, ValueError, "patches must have shape"),
    ({"kind": "snp_oil", "patches": torch.zeros(2, 3, 3, dtype=torch.uint8)}, TypeError, "patches must be a floating"),
    ({"kind": "snp_oil", "patches": torch.zeros(2, 3, 3, device="meta")}, ValueError, "on the device of vectors, cpu"),
    ({"backend": "fast"}, ValueError, "backend must be one of .* for decode_strokes on cpu, got 'fast'"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD_INPUT)
def test_rejects_bad_input(change: dict[str, object], error: type[Exception], message: str) -> None:
    arguments = {"vectors": torch.rand(1, 2, 12), "kind": "mypaint", "size": (8, 8), **change}
    with pytest.raises(error, match=message):
        decode_strokes(**arguments)  # type: ignore[arg-type]


def test_library_guards_memory() -> None:
    vectors, brush = torch.rand(2, 5, 12), list(MYPAINT_BRUSH)
    with pytest.raises(RuntimeError, match=r"^vectors must have shape \(\*, \*, 13\), got \(2, 5, 12\)"):
        OPS.decode_strokes(vectors, 1, 8, 8, brush)
    with pytest.raises(RuntimeError, match=r"^kind must be in 0 .. 4, got 5"):
        OPS.decode_strokes(vectors, 5, 8, 8, brush)
    with pytest.raises(RuntimeError, match=r"^brush must have 7 numbers, got 6"):
        OPS.decode_strokes(vectors, 0, 8, 8, brush[:6])
    with pytest.raises(RuntimeError, match=r"^grad must have shape \(2, 5, 14\), got \(2, 5, 13\)"):
        OPS.decode_strokes_backward(torch.rand(2, 5, 13), vectors, 0, 8, 8, brush)
    with pytest.raises(RuntimeError, match=r"^vectors must have dtype Float or Double, got Half"):
        OPS.decode_strokes(vectors.half(), 0, 8, 8, brush)


def test_mypaint_s_points_and_scale() -> None:
    """The curve of the actions but for its pulled ends; a canvas twice the size has the same stroke twice as large."""
    actions = random_vectors("mypaint", 1, 9)
    strokes = decode_strokes(actions, "mypaint", (64, 64))
    start, control, end = (64 * actions[..., i : i + 2] for i in (9, 2, 4))
    torch.testing.assert_close(strokes.points[:, :, 1], 2 * control - (start + end) / 2)
    assert isinstance(strokes, Strokes)
    assert torch.equal(strokes.color, actions[..., 6:9])
    strokes.validate()
    large = decode_strokes(actions, "mypaint", (128, 128))
    for name, field in strokes.scaled(2.0).fields().items():
        torch.testing.assert_close(large.fields()[name], field)


def test_mypaint_s_limits() -> None:
    """No pressure and no way leave no ink; more of either leaves more."""
    actions = torch.full((1, 3, 12), 0.5, dtype=F64)
    actions[0, 0, [0, 11]] = 0.0
    actions[0, 2, 4] = 0.9
    opacity = decode_strokes(actions, "mypaint", (64, 64)).opacity[0]
    assert opacity[:2].tolist() == [[0, 0], [0, 0]]
    assert (opacity[2] > 0.5).all()


def discs(vector: Tensor) -> Tensor:
    """Learning to Paint's alpha of a stroke: a hundred discs of whole pixels on 256 x 256, halved in size. A later disc
    replaces the opacity of an earlier one."""
    x0, y0, x1, y1, x2, y2, z0, z2, w0, w2 = vector[:10].tolist()
    rows, columns = ([int(255 * v + 0.5) for v in (a, a + (c - a) * b, c)] for a, b, c in ((x0, x1, x2), (y0, y1, y2)))
    radii = int(1 + 64 * z0), int(1 + 64 * z2)
    canvas, (row, column) = np.zeros((256, 256)), np.mgrid[:256, :256]
    for t in np.arange(100) / 100:
        y, x = (int((1 - t) ** 2 * a + 2 * t * (1 - t) * b + t * t * c) for a, b, c in (rows, columns))
        radius = int((1 - t) * radii[0] + t * radii[1])
        canvas[(row - y) ** 2 + (column - x) ** 2 < radius**2 + radius] = (1 - t) * w0 + t * w2
    return torch.from_numpy(canvas.reshape(128, 2, 128, 2).mean((1, 3)))


def assert_same_ink(actual: Tensor, expected: Tensor, off: float, ink: float) -> None:
    """Mean difference of alpha, relative to the mean alpha; and ratio of all ink."""
    assert (actual - expected).abs().mean() < off * expected.mean()
    assert abs(actual.sum() / expected.sum() - 1) < ink


def test_learning_to_paint_s_own_renderer() -> None:
    vectors = random_vectors("learning_to_paint", 24, 3)[:, 1:2]
    vectors[:, :, 10:] = 1.0
    vectors[:16, :, 9] = vectors[:16, :, 8]
    strokes = decode_strokes(vectors, "learning_to_paint", (128, 128))
    painted = paint(strokes, torch.zeros(24, 3, 128, 128, dtype=F64))[:, 0]
    expected = torch.stack([discs(vector) for vector in vectors[:, 0]])
    # Discs of whole pixels, on a canvas of 256: a third of a pixel, along the rim.
    assert_same_ink(painted[:16], expected[:16], 0.03, 0.02)
    # With a ramp of opacities, theirs is that of the last disc and not of the nearest.
    assert_same_ink(painted[16:], expected[16:], 0.2, 0.1)


def squares(vector: Tensor, side: int) -> Tensor:
    """Alpha of Stylized Neural Painting's marker: squares along the curve, turned as it runs."""
    (a, b, c), radius = vector[:6].view(3, 2).numpy(), 1 + float(vector[6]) * side / 4
    points = [(side - 1) * p + 0.5 for p in (a, a + (c - a) * b, c)]
    canvas, (row, column) = np.zeros((side, side), bool), np.mgrid[:side, :side] + 0.5
    for t in np.linspace(0, 1, 400):
        x, y = (1 - t) ** 2 * points[0] + 2 * t * (1 - t) * points[1] + t * t * points[2]
        along = (1 - t) * (points[1] - points[0]) + t * (points[2] - points[1])
        along /= np.hypot(*along)
        u = (column - x) * along[0] + (row - y) * along[1]
        v = (row - y) * along[0] - (column - x) * along[1]
        canvas |= np.maximum(abs(u), abs(v)) <= radius
    return torch.from_numpy(canvas) * float(vector[11])


def test_snp_s_marker() -> None:
    """The same but at the ends, which are square there and round here."""
    vectors = random_vectors("snp_marker", 12, 3)[:, 1:2]
    vectors[:, :, 6] *= 0.3
    vectors[:, :, 8:11] = 1.0
    strokes = decode_strokes(vectors, "snp_marker", (96, 96))
    painted = paint(strokes, torch.zeros(12, 3, 96, 96, dtype=F64))[:, 0]
    expected = torch.stack([squares(vector, 96) for vector in vectors[:, 0]])
    assert (painted <= expected + 0.3).double().mean() > 0.99
    assert_same_ink(painted, expected, 0.15, 0.12)


def layers(stamps: Stamps, size: tuple[int, int]) -> Tensor:
    """(N, 3, H, W): each stamp by itself on black."""
    fields = {name: x if name == "patches" and "patch_id" in stamps.fields() else x.transpose(0, 1)
              for name, x in stamps.fields().items()}  # fmt: skip
    black = fields["transform"].new_zeros(1, 3, *size)
    return composite_patches(fields.pop("patches"), fields.pop("transform"), black, **fields)


def warped(patch: Tensor, vector: Tensor, size: tuple[int, int]) -> Tensor:
    """Paint Transformer's bitmap of a stroke, by the sampling grid that it makes of the vector."""
    (h, w), (x, y, across, down, turn) = size, vector[:5].tolist()
    sin, cos = math.sin(math.pi * turn), math.cos(math.pi * turn)
    theta = torch.tensor(
        [
            [cos / across, sin * h / (w * across), (1 - 2 * x) * cos / across + (1 - 2 * y) * sin * h / (w * across)],
            [-sin * w / (h * down), cos / down, (1 - 2 * y) * cos / down - (1 - 2 * x) * sin * w / (h * down)],
        ],
        dtype=F64,
    )
    grid = affine_grid(theta[None], [1, 1, *size], align_corners=False)
    return grid_sample(patch[None, None], grid, align_corners=False)[0, 0]


def test_paint_transformer_s_own_renderer() -> None:
    """The same picture, bit for bit but for rounding, with the brush that it chooses."""
    size, brush = (40, 56), brush_for("paint_transformer")
    vectors = random_vectors("paint_transformer", 1, 12)[:, 1:-1]
    # Larger than the brush, so that no pixel takes more than one sample.
    vectors[..., 2:4] = 0.2 + 0.8 * vectors[..., 2:4]
    stamps = decode_strokes(vectors, "paint_transformer", size, patches=brush)
    assert isinstance(stamps, Stamps)
    assert brush is not None and stamps.patch_id is not None
    upright = vectors[..., 3] > vectors[..., 2]
    assert torch.equal(stamps.patch_id, torch.where(upright, 0, 1))
    for layer, vector, number in zip(layers(stamps, size), vectors[0], stamps.patch_id[0], strict=True):
        alpha = warped(brush[number], vector, size)
        torch.testing.assert_close(layer, alpha * vector[5:8, None, None], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", BITMAPS)
def test_shades_darken_the_colour(kind: str) -> None:
    """Patches of shade 1 are those of alpha alone; of shade 1/2, half as bright, and as opaque."""
    vectors, alpha = random_vectors(kind, 1, 6)[:, 1:-1], brush_for(kind)
    assert alpha is not None
    pictures = []
    for patches in (alpha, *(torch.stack([torch.full_like(alpha, shade), alpha], 1) for shade in (1.0, 0.5))):
        pictures.append(layers(decode_strokes(vectors, kind, (30, 40), patches=patches), (30, 40)))
    torch.testing.assert_close(pictures[1], pictures[0])
    torch.testing.assert_close(pictures[2], pictures[0] / 2)


def test_snp_s_oil_brush() -> None:
    """An upright stroke of a brush of 4 x 2 texels: where it lies, and its colours from the first row on."""
    vector = torch.tensor([0.5, 0.25, 0.2, 0.4, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.3], dtype=F64).view(1, 1, 12)
    stamps = decode_strokes(vector, "snp_oil", (101, 101), patches=torch.ones(1, 4, 2, dtype=F64))
    corners = stamps.transform[0, 0] @ torch.tensor([[0.0, 2.0], [0.0, 4.0], [1.0, 1.0]], dtype=F64)
    center, half = torch.tensor([[50.5], [25.5]], dtype=F64), torch.tensor([[10.6], [20.7]], dtype=F64)
    torch.testing.assert_close(corners, torch.cat([center - half, center + half], 1))
    rows = torch.tensor([[1.0, 0.0, 0.0], [0.75, 0.0, 0.25], [0.5, 0.0, 0.5], [0.25, 0.0, 0.75]], dtype=F64)
    torch.testing.assert_close(stamps.patches[0, 0, :3], rows.T[:, :, None].expand(3, 4, 2))
    quarter = decode_strokes(vector + torch.eye(12)[4] / 2, "snp_oil", (101, 101), patches=torch.ones(1, 4, 2))
    # Turned by a quarter clockwise, what points down points left.
    torch.testing.assert_close(quarter.transform[0, 0, :, 1], torch.tensor([-41.4 / 4, 0.0], dtype=F64))


def test_snp_s_four_brushes() -> None:
    """Upright or lying, small or large: of more than a tenth of the canvas."""
    sides = torch.tensor([[0.1, 0.2], [0.2, 0.1], [0.3, 0.5], [0.5, 0.3], [0.3, 0.3], [0.4, 0.4]])
    vectors = torch.rand(1, 6, 12)
    vectors[0, :, 2:4] = sides
    brushes = torch.arange(4.0)[:, None, None].expand(4, 2, 2)
    stamps = decode_strokes(vectors, "snp_oil", (512, 512), patches=brushes)
    assert stamps.patches[0, :, 3, 0, 0].tolist() == [0, 1, 2, 3, 1, 3]
