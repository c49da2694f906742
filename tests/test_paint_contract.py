"""What users of `paint` rely on: exactness, determinism, bad values, every fault of its peers."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import hypothesis
import hypothesis.strategies as st
import pytest
import torch
from torch import Tensor

from neural_paint import Strokes, paint, reference
from neural_paint.testing import TOLERANCES, assert_gradient_close, assert_image_close, brush_strokes, scene_of_record

F64 = torch.float64


def one(points: Any, *, dtype: torch.dtype = F64, **fields: Any) -> Strokes:
    """One stroke on one canvas, from plain numbers."""
    plain = {"radius": (2.0, 2.0), "color": (1.0, 0.0, 0.0), "opacity": 1.0, "feather": 1.0}
    values = {"points": points, **plain, **fields}
    return Strokes(**{name: torch.tensor([[value]], dtype=dtype) for name, value in values.items()})


def gradients(strokes: Strokes, background: Tensor, implementation: Any = paint, **options: Any) -> dict[str, Tensor]:
    leaf = strokes.detach().requires_grad_()
    image = implementation(leaf, background, **options)
    (image * torch.linspace(-1, 1, image.numel(), dtype=image.dtype).reshape(image.shape)).sum().backward()
    return {name: x.grad for name, x in leaf.fields().items() if x.requires_grad}


# Exactness


@pytest.mark.parametrize("backend", ["cpp", "reference"])
@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_opaque_paint_replaces_and_transparent_paint_keeps_every_bit(backend: str, dtype: torch.dtype) -> None:
    strokes = brush_strokes(strokes=12, opacity=(1.0, 1.0), opacity_ends=2, dtype=dtype)
    background = torch.rand(1, 3, 63, 100, dtype=dtype)
    clear = strokes.replace(opacity=torch.zeros_like(strokes.opacity))
    assert torch.equal(paint(clear, background, backend=backend), background)

    top = strokes[:, -1:].replace(radius=torch.full((1, 1, 2), 500.0, dtype=dtype))
    covered = paint(Strokes.cat([strokes, top]), background, backend=backend)
    assert torch.equal(covered, top.color[0, 0][None, :, None, None].expand_as(covered))


@pytest.mark.parametrize("backend", ["cpp", "reference"])
def test_opaque_stroke_over_another_sees_the_colour_below(backend: str) -> None:
    """Two opaque strokes over a third: d_opacity of the top one is the step to the middle one's colour, not to 0."""
    line = [[-50.0, 4.0], [50.0, 4.0]]
    colors = [(0.25,), (0.5,), (0.75,)]
    strokes = Strokes.cat([one(line, radius=(30.0, 30.0), color=color) for color in colors]).requires_grad_()
    paint(strokes, torch.zeros(1, 1, 8, 8, dtype=F64), backend=backend).sum().backward()
    assert strokes.opacity.grad is not None
    torch.testing.assert_close(strokes.opacity.grad[0], torch.tensor([0.0, 0.0, 64 * 0.25], dtype=F64))


# Determinism


def test_same_bits_for_any_number_of_threads() -> None:
    scene, background = scene_of_record(300, 160)
    scene = scene.replace(texture=torch.rand(3, 8, 8), texture_id=torch.arange(300)[None] % 4 - 1)
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 3, 7):
            torch.set_num_threads(count)
            image = paint(scene, background)
            results.append({"image": image, **gradients(scene, background)})
    finally:
        torch.set_num_threads(threads)
    for result in results[1:]:
        for name, tensor in result.items():
            assert torch.equal(tensor, results[0][name]), name


def test_gradients_of_many_long_strokes_are_the_sums_of_those_of_two_halves() -> None:
    """So many tiles of so many strokes are done in bands, one after the other; half of them are one band."""
    count, side = 4000, 512
    torch.manual_seed(0)
    strokes = Strokes(
        points=side * torch.rand(1, count, 2, 2),
        radius=torch.full((1, count, 2), 1.5),
        color=torch.rand(1, count, 3),
        opacity=torch.full((1, count), 0.4),
        texture=torch.rand(2, 4, 8),
        texture_id=torch.arange(count)[None] % 3 - 1,
    )
    background, grad = torch.rand(2, 1, 3, side, side)

    def found(top: int, bottom: int) -> list[Tensor]:
        leaf = strokes.replace(points=strokes.points - torch.tensor([0.0, top])).requires_grad_()
        fields = [x for x in leaf.fields().values() if x.requires_grad]
        return list(torch.autograd.grad(paint(leaf, background[:, :, top:bottom]), fields, grad[:, :, top:bottom]))

    for whole, *halves in zip(found(0, side), found(0, side // 2), found(side // 2, side), strict=True):
        assert_gradient_close(sum(halves), whole, TOLERANCES[torch.float32, "brush"])


def test_gradients_do_not_change_the_image() -> None:
    scene, background = scene_of_record(200, 96)
    for t_min in (0.0, 0.3):
        plain = paint(scene, background, t_min=t_min)
        assert torch.equal(plain, paint(scene.clone().requires_grad_(), background, t_min=t_min).detach())


# Bad values

BAD_VALUES = [
    ("points", math.nan),
    ("points", math.inf),
    ("radius", math.inf),
    ("radius", math.nan),
    ("color", math.nan),
    ("opacity", math.inf),
    ("feather", math.nan),
    ("feather", 0.0),
    ("feather", -1.0),
    ("texture_id", 2),
    ("texture_id", -2),
    ("texture_id", 2**40),
]


@pytest.mark.parametrize("backend", ["cpp", "reference"])
@pytest.mark.parametrize(("field", "value"), BAD_VALUES)
def test_stroke_with_a_bad_value_is_left_out(backend: str, field: str, value: float) -> None:
    strokes = brush_strokes(strokes=5, height=30, width=30, textures=2, color_ends=2, opacity_ends=2, dtype=F64)
    good = torch.tensor([0, 1, 3, 4])
    background = torch.rand(1, 3, 30, 30, dtype=F64)
    expected = gradients(strokes[:, good], background, backend=backend)
    image = paint(strokes[:, good], background, backend=backend)
    changed = strokes.fields()[field].clone()
    changed[0, 2].view(-1)[-1] = value
    bad = strokes.replace(**{field: changed})
    assert torch.equal(paint(bad, background, backend=backend), image)
    for name, gradient in gradients(bad, background, backend=backend).items():
        if name == "texture":
            torch.testing.assert_close(gradient, expected[name])
        else:
            torch.testing.assert_close(gradient[:, good], expected[name])
            assert (gradient[:, 2] == 0).all(), name


@pytest.mark.parametrize(
    "fields",
    [
        {"opacity": 1.7},
        {"opacity": -0.5},
        {"radius": (-1.0, 3.0)},
        {"radius": (-5.0, -5.0)},
        {"radius": (0.0, 0.0)},
        {"feather": 40.0},
        {"feather": 1e-30},
        {"color": (7.0, -3.0, 0.0)},
        {"points": [[5.0, 5.0]] * 3},
        {"points": [[5.5, 5.5]] * 3, "radius": (1.0, 4.0)},
        {"points": [[2.0, 2.0], [9.0, 9.0], [2.0, 2.0]]},
        {"points": [[-4000.0, 6.0], [8.0, 7.0], [4000.0, 6.0]]},
    ],
    ids=str,
)
def test_odd_but_finite_values_are_taken_literally(fields: dict[str, Any]) -> None:
    strokes = one(**{"points": [[2.0, 3.0], [6.0, 9.0], [11.0, 5.0]], **fields})
    background = torch.rand(1, 3, 12, 13, dtype=F64)
    tolerance = TOLERANCES[F64, "brush"]
    assert_image_close(paint(strokes, background), reference.paint(strokes, background), tolerance._replace(usual=1e-9))
    expected = gradients(strokes, background, reference.paint)
    for name, gradient in gradients(strokes, background).items():
        assert_gradient_close(gradient, expected[name], tolerance._replace(gradient=1e-6), name)


@pytest.mark.parametrize("value", [1e10, 1e30, 3e38])
@pytest.mark.parametrize("field", ["points", "radius", "feather", "color"])
def test_huge_finite_values_stay_inside_memory(field: str, value: float) -> None:
    for control_points in (1, 2, 3, 4):
        strokes = brush_strokes(strokes=4, height=40, width=40, control_points=control_points, textures=1)
        tensor = strokes.fields()[field].clone()
        tensor[0, 1].view(-1)[0], tensor[0, 2].view(-1)[0] = value, -value
        strokes = strokes.replace(**{field: tensor})
        assert paint(strokes, torch.rand(1, 3, 40, 40)).shape == (1, 3, 40, 40)
        gradients(strokes, torch.rand(1, 3, 40, 40))


# Faults of other renderers, each a test here


@pytest.mark.parametrize("control_points", [3, 4])
def test_curves_have_a_gradient_at_interior_t(control_points: int) -> None:
    """diffvg: a shadowed variable made it zero. The middle control point alone must feel the pixels it moves."""
    inner = [[16.0, 8.0]] * (control_points - 2)
    strokes = one([[4.0, 16.0], *inner, [28.0, 16.0]])
    assert gradients(strokes, torch.zeros(1, 3, 32, 32, dtype=F64))["points"][0, 0, 1, 1].abs() > 0.1


def test_nearly_straight_cubics_are_accurate() -> None:
    """diffvg: closed forms lose 0.1 px and more there."""
    strokes = brush_strokes(strokes=40, height=64, width=64, control_points=4, bend=1e-6, length=40, radius=2.0)
    expected = reference.paint(strokes.double(), torch.ones(1, 3, 64, 64, dtype=F64))
    assert (paint(strokes, torch.ones(1, 3, 64, 64)).double() - expected).abs().max() < 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_no_limit_on_layers(dtype: torch.dtype) -> None:
    """Hit lists of 64, 151 or 256 layers overflow elsewhere: 3,000 layers on one pixel, all of them felt."""
    n = 3000
    strokes = one([[2.0, 2.0]], dtype=dtype)[:, torch.zeros(n, dtype=torch.long)]
    opacity = torch.full((1, n), 1e-3, dtype=dtype)
    color = torch.linspace(0, 1, n, dtype=dtype)[None, :, None].expand(1, n, 3)
    strokes = strokes.replace(radius=torch.full((1, n, 2), 9.0, dtype=dtype), opacity=opacity, color=color)
    strokes = strokes.detach().clone().requires_grad_()
    image = paint(strokes, torch.zeros(1, 3, 4, 4, dtype=dtype))
    image.sum().backward()
    weight = 1e-3 * (1 - 1e-3) ** torch.arange(n - 1, -1, -1, dtype=F64)
    expected = (weight * torch.linspace(0, 1, n, dtype=F64)).sum()
    torch.testing.assert_close(image[0, 0, 0, 0].double(), expected, rtol=1e-4, atol=0.0)
    torch.testing.assert_close(strokes.color.grad[0, :, 0].double(), 16 * weight, rtol=1e-3, atol=0.0)


def test_seventy_thousand_strokes_on_one_tile() -> None:
    strokes = brush_strokes(strokes=70_000, height=8, width=8, length=4, radius=1.0, opacity=(0.0, 1e-3))
    found = gradients(strokes, torch.rand(1, 3, 8, 8))
    assert all(torch.isfinite(x).all() for x in found.values())
    assert found["color"][0, 0].abs().max() > 0


def test_gradient_below_a_nearly_opaque_stroke() -> None:
    """Dividing by 1 - alpha (splatting), with 1e-9 added (pytorch3d) or alpha cut at 0.99 (gsplat), loses this."""
    strokes = brush_strokes(strokes=48, height=16, width=16, length=30, radius=20.0)
    background = torch.rand(1, 3, 16, 16)
    for opacity in (0.999, 1 - 1e-6, 1.0):
        layers = strokes.replace(opacity=torch.full((1, 48), opacity))
        actual = gradients(layers, background)
        expected = gradients(layers.double(), background.double(), reference.paint)
        assert_gradient_close(actual["opacity"], expected["opacity"], TOLERANCES[torch.float32, "brush"], "opacity")


def test_strokes_and_canvases_far_from_the_origin_are_as_accurate() -> None:
    """Coordinates are relative to the tile: the same scene at 8,000 pixels is off by its input's rounding only."""
    strokes = brush_strokes(strokes=8, height=40, width=40, length=20, radius=4.0)
    offset = 8000
    moved = strokes.replace(points=(strokes.points + offset).contiguous())
    rounded = moved.replace(points=moved.points - offset)
    background = torch.zeros(1, 3, offset + 40, offset + 40, dtype=torch.uint8)[:, :, :1, :1].float()
    image = paint(moved, background.expand(1, 3, offset + 40, offset + 40))[:, :, offset:, offset:]
    torch.testing.assert_close(image, paint(rounded, background.expand(1, 3, 40, 40)), rtol=0, atol=2e-5)


def test_two_scenes_do_not_share_state() -> None:
    """A global singleton elsewhere: results must not depend on what was painted before."""
    a, background = scene_of_record(50, 64)
    b = brush_strokes(strokes=3, height=64, width=64, seed=9)
    first = paint(a, background)
    paint(b, background)
    assert torch.equal(paint(a, background), first)


# Scenes nobody thought of


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Strokes, Tensor]:
    b, n, d = draw(st.integers(1, 2)), draw(st.integers(0, 4)), draw(st.integers(1, 4))
    c, h, w = draw(st.integers(1, 4)), draw(st.integers(1, 20)), draw(st.integers(1, 40))
    coordinate = st.one_of(st.integers(-8, 40).map(float), st.floats(-60, 90, width=32))
    length = st.sampled_from([0.0, 0.5, 1.0, 3.0, 10.0, 60.0])

    def field(values: st.SearchStrategy[float], *shape: int) -> Tensor:
        size = math.prod(shape)
        return torch.tensor(draw(st.lists(values, min_size=size, max_size=size)), dtype=F64).reshape(shape)

    strokes = Strokes(
        points=field(coordinate, b, n, d, 2),
        radius=field(length, b, n, 2),
        color=field(st.floats(0, 1, width=16), b, n, c),
        opacity=field(st.sampled_from([0.0, 0.3, 1.0]), b, n),
        feather=field(st.sampled_from([0.25, 1.0, 7.0]), b, n),
    )
    return strokes, field(st.just(0.5), b, c, h, w)


@hypothesis.given(scenes())
@hypothesis.settings(max_examples=60)
def test_any_scene_matches_the_reference(scene: tuple[Strokes, Tensor]) -> None:
    """Without ramps, so that equal minima do not matter: F is continuous where t* jumps."""
    strokes, background = scene
    error = (paint(strokes, background) - reference.paint(strokes, background)).abs()
    assert (error < 1e-9).double().mean() >= 0.99
    assert error.max() < 2e-2
    assert all(torch.isfinite(x).all() for x in gradients(strokes, background).values())
    single = paint(strokes.float(), background.float())
    assert ((single.double() - reference.paint(strokes, background)).abs() < 1e-4).double().mean() >= 0.99


def test_import_needs_no_compiler_and_no_network() -> None:
    """The extension is built at installation: importing starts no process and compiles nothing."""
    code = "import os, subprocess, torch; subprocess.Popen = os.system = None; import neural_paint"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
