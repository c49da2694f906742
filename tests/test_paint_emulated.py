"""The CUDA kernels of `paint`, run on the CPU under sanitizers, against the reference."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import emulated
import numpy as np
import pytest
import torch
from test_paint import F32, F64, KINDS, assert_matches_reference
from torch import Tensor

from neural_paint import Strokes, paint
from neural_paint.testing import TOLERANCES, assert_gradient_close, assert_image_close, brush_strokes

Emulate = Callable[..., dict[str, Tensor]]


@pytest.fixture
def emulate(compile_emulated: Callable[..., Path], tmp_path: Path) -> Emulate:
    """The image, and with `grad` what the forward pass saves and all gradients; and into how many parts the strokes of
    a tile were split, `parts` or where that is 0 what the library takes."""

    def emulate(
        strokes: Strokes,
        background: Tensor,
        grad: Tensor | None = None,
        *,
        t_min: float = 0.0,
        segments: int = 3,
        parts: int = 0,
        coarse_shift: int = 6,
        deterministic: bool = False,
        seed: int = 0,
        finds: str = "memory",
    ) -> dict[str, Tensor]:
        fields = {name: field.detach().contiguous().numpy() for name, field in strokes.fields().items()}
        if strokes.color.ndim == 3:
            fields["color"] = fields["color"][:, :, None]
        if strokes.opacity.ndim == 2:
            fields["opacity"] = fields["opacity"][..., None]
        fields["background"] = background.expand(len(strokes.points), -1, -1, -1).contiguous().numpy()
        if grad is not None:
            fields["grad"] = grad.contiguous().numpy()
        dtype = fields["points"].dtype
        numbers = {
            "t_min": np.array([t_min], dtype),
            "segments": np.array([segments], np.int64),
            "coarse_shift": np.array([coarse_shift], np.int64),
            "parts": np.array([parts], np.int64),
            "deterministic": np.array([deterministic], np.uint8),
            "is_double": np.array([dtype == np.float64], np.uint8),
        }
        program = compile_emulated("paint.cpp", finds)
        found = emulated.run_with_arrays(program, tmp_path, seed, **fields, **numbers)
        return {name: torch.from_numpy(array) for name, array in found.items()}

    return emulate


def assert_emulated_matches_reference(
    emulate: Emulate, strokes: Strokes, background: Tensor, kind: str = "brush", t_min: float = 0.0, **options: Any
) -> None:
    names = [name for name, field in strokes.fields().items() if field.is_floating_point()]

    class Emulated(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, background: Tensor, scene: Strokes, *fields: Tensor) -> Tensor:
            ctx.background, ctx.scene = background, scene.detach()
            return emulate(ctx.scene, background, t_min=t_min, **options)["image"]

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
            found = emulate(ctx.scene, ctx.background, grad, t_min=t_min, **options)
            fields = (found[f"d_{name}"].reshape(ctx.scene.fields()[name].shape) for name in names)
            return found["d_background"].sum_to_size(ctx.background.shape), None, *fields

    def paint_emulated(scene: Strokes, background: Tensor, t_min: float = 0.0) -> Tensor:
        image: Tensor = Emulated.apply(background, scene, *(scene.fields()[name] for name in names))
        return image

    assert_matches_reference(strokes, background, kind, paint=paint_emulated, t_min=t_min)


@pytest.mark.parametrize("dtype", [F32, F64], ids=["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_matches_reference(emulate: Emulate, kind: str, dtype: torch.dtype) -> None:
    strokes = brush_strokes(batch=2, height=40, width=50, strokes=12, dtype=dtype, **KINDS[kind])
    background = torch.rand(2, 3, 40, 50, dtype=dtype)
    assert_emulated_matches_reference(emulate, strokes, background, "hairline" if kind == "hairline" else "brush")


@pytest.mark.parametrize(
    ("height", "width", "strokes", "channels"), [(63, 100, 40, 3), (1, 1, 5, 1), (9, 7, 0, 3), (17, 65, 33, 16)]
)
def test_odd_shapes(emulate: Emulate, height: int, width: int, strokes: int, channels: int) -> None:
    scene = brush_strokes(
        height=height, width=width, strokes=strokes, channels=channels, opacity_ends=2, color_ends=2, textures=2
    )
    assert_emulated_matches_reference(emulate, scene, torch.rand(1, channels, height, width))


OPACITIES = {"faint": (0.0, 0.05), "mixed": (0.0, 0.9), "opaque": (1.0, 1.0)}


@pytest.mark.parametrize("segments", [1, 4, 16])
@pytest.mark.parametrize("opacity", OPACITIES)
def test_deep_tiles(emulate: Emulate, opacity: str, segments: int) -> None:
    """More strokes than a block has in hand at a time, so that it goes down to some of them twice."""
    strokes = brush_strokes(height=20, width=20, strokes=500, opacity=OPACITIES[opacity])
    assert_emulated_matches_reference(emulate, strokes, torch.rand(1, 3, 20, 20), segments=segments, parts=1)


@pytest.mark.parametrize(("parts", "segments"), [(2, 1), (3, 16), (16, 4)])
@pytest.mark.parametrize("opacity", OPACITIES)
@pytest.mark.parametrize("dtype", [F32, F64], ids=["float32", "float64"])
def test_strokes_of_a_tile_in_parts(
    emulate: Emulate, dtype: torch.dtype, opacity: str, parts: int, segments: int
) -> None:
    """Parts and segments begin at different strokes; opaque paint closes pixels in one part, or across two."""
    strokes = brush_strokes(
        batch=2, height=20, width=33, strokes=200, opacity=OPACITIES[opacity], color_ends=2, dtype=dtype
    )
    # The two top ones cover the whole of a square, at the end of one part and the beginning of the next.
    last = 200 - math.ceil(200 / (parts * 32)) * 32
    strokes.radius[0, last - 1 : last + 1] = 30
    strokes.opacity[0, last - 1 : last + 1] = 1
    background = torch.rand(2, 3, 20, 33, dtype=dtype)
    assert_emulated_matches_reference(emulate, strokes, background, parts=parts, segments=segments)


def test_what_parts_save_is_what_one_block_saves(emulate: Emulate) -> None:
    strokes = brush_strokes(height=20, width=20, strokes=300, opacity=(1.0, 1.0), radius=3.0)
    background, grad = torch.rand(2, 1, 3, 20, 20)
    whole, split = (emulate(strokes, background, grad, parts=parts, segments=5) for parts in (1, 4))
    for name in ("image", "transmittance", "checkpoints"):
        torch.testing.assert_close(split[name], whole[name], rtol=1e-5, atol=1e-6)
    # Some strokes more, up to the end of a part, do no harm; one less would.
    assert (split["evaluated"] >= whole["evaluated"]).all()
    assert (split["evaluated"] - whole["evaluated"] < 96).all()


@pytest.mark.parametrize(
    ("size", "batch", "strokes", "parts"),
    [(16, 1, 512, 16), (16, 1, 31, 1), (16, 64, 512, 16), (64, 16, 512, 4), (128, 1, 128, 4), (160, 1, 3200, 10)],
)
def test_strokes_are_split_where_tiles_are_few(
    emulate: Emulate, size: int, batch: int, strokes: int, parts: int
) -> None:
    dabs = brush_strokes(batch=batch, height=size, width=size, strokes=strokes, control_points=1)
    # None of them is on the canvas, which takes no time.
    found = emulate(dabs.replace(points=dabs.points + 1e4), torch.rand(1, 3, size, size))
    assert found["parts"].item() == parts


def test_t_min(emulate: Emulate) -> None:
    strokes = brush_strokes(height=33, width=40, strokes=60, opacity=(0.3, 0.9))
    background = torch.rand(1, 3, 33, 40)
    assert_emulated_matches_reference(emulate, strokes, background, t_min=0.01)
    assert emulate(strokes, background, t_min=0.01)["parts"] == 1 < emulate(strokes, background)["parts"]


def test_order_of_threads_does_not_matter(emulate: Emulate) -> None:
    strokes = brush_strokes(height=33, width=40, strokes=200, textures=2, opacity=(0.1, 0.4))
    background, grad = torch.rand(2, 1, 3, 33, 40)
    first, *others = (emulate(strokes, background, grad, seed=seed) for seed in range(4))
    for other in others:
        for name, tensor in first.items():
            # Sums over tiles are atomic: their order, and with it the last bits, are the hardware's.
            assert_gradient_close(other[name].float(), tensor.float(), TOLERANCES[F32, "brush"], name)
        assert torch.equal(first["image"], other["image"])


@pytest.mark.parametrize("dtype", [F32, F64], ids=["float32", "float64"])
def test_deterministic_gradients_have_the_same_bits_in_any_order(emulate: Emulate, dtype: torch.dtype) -> None:
    strokes = brush_strokes(
        batch=2, height=33, width=40, strokes=30, textures=2, color_ends=2, opacity_ends=2, taper=0.3, dtype=dtype
    )
    background, grad = torch.rand(2, 2, 3, 33, 40, dtype=dtype)
    first, *others = (emulate(strokes, background, grad, seed=seed, deterministic=True) for seed in range(4))
    in_order = emulate(strokes, background, grad)
    for name, tensor in first.items():
        assert_gradient_close(tensor, in_order[name], TOLERANCES[dtype, "brush"], name)
        for other in others:
            assert torch.equal(other[name], tensor), name
    assert not torch.equal(emulate(strokes, background, grad, seed=1)["d_points"], in_order["d_points"])


def test_deterministic_gradients_match_the_reference(emulate: Emulate) -> None:
    """Tiny ones too, and large next to tiny."""
    strokes = brush_strokes(height=40, width=50, strokes=12, textures=2, color_ends=2, opacity_ends=2, taper=0.3)
    background = torch.rand(1, 3, 40, 50)
    assert_emulated_matches_reference(emulate, strokes, background, deterministic=True)
    grad = torch.rand(1, 3, 40, 50) - 0.5
    full = emulate(strokes, background, grad, deterministic=True)
    for power in (-40, 40):
        scaled = emulate(strokes, background, grad * 2.0**power, deterministic=True)
        for name, tensor in full.items():
            if name.startswith("d_"):
                torch.testing.assert_close(scaled[name] * 2.0**-power, tensor, rtol=1e-4, atol=0)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_deterministic_sum_of_what_is_not_finite_is_nan(emulate: Emulate, value: float) -> None:
    strokes = brush_strokes(height=16, width=48, strokes=1, length=4.0, radius=2.0)
    strokes.points.copy_(torch.tensor([[6.0, 8.0], [8.0, 8.0], [10.0, 8.0]]))
    grad = torch.ones(1, 3, 16, 48)
    grad[0, :, 8, 8] = value
    found = emulate(strokes, torch.rand(1, 3, 16, 48), grad, deterministic=True)
    assert found["d_color"].isnan().all()


def test_no_barrier_is_missing(emulate: Emulate) -> None:
    strokes = brush_strokes(height=20, width=17, strokes=40, textures=1, radius=3.0)
    background, grad = torch.rand(2, 1, 3, 20, 17)
    for parts in (1, 2):
        expected = emulate(strokes, background, grad, parts=parts)
        found = emulate(strokes, background, grad, parts=parts, finds="races")
        assert torch.equal(found["image"], expected["image"])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e38])
@pytest.mark.parametrize("field", ["points", "radius", "color", "opacity", "feather"])
def test_bad_values_are_culled_or_stay_inside_memory(emulate: Emulate, field: str, value: float) -> None:
    strokes = brush_strokes(height=20, width=33, strokes=6, textures=1)
    bad = {name: x.clone() for name, x in strokes.fields().items()}
    bad[field][0, 2] = value
    background, grad = torch.rand(2, 1, 3, 20, 33)
    found = emulate(Strokes(**bad), background, grad)
    if math.isfinite(value):
        return
    keep = torch.tensor([0, 1, 3, 4, 5])
    assert_image_close(found["image"], paint(strokes[:, keep], background), TOLERANCES[F32, "brush"])
    for name in ("points", "radius", "color", "opacity", "feather"):
        assert not found[f"d_{name}"][0, 2].any(), name


@pytest.mark.parametrize("index", [-2, 1, 2**40])
def test_a_texture_that_does_not_exist_leaves_its_stroke_out(emulate: Emulate, index: int) -> None:
    strokes = brush_strokes(height=20, width=33, strokes=4, textures=1)
    texture_id = strokes.texture_id.clone()
    texture_id[0, 1] = index
    background, grad = torch.rand(2, 1, 3, 20, 33)
    found = emulate(strokes.replace(texture_id=texture_id), background, grad)
    expected = paint(strokes[:, torch.tensor([0, 2, 3])], background)
    assert_image_close(found["image"], expected, TOLERANCES[F32, "brush"])
    assert not found["d_points"][0, 1].any()


def test_seventy_thousand_strokes_on_one_tile(emulate: Emulate) -> None:
    count = 70_000
    torch.manual_seed(0)
    strokes = Strokes(
        points=16 * torch.rand(1, count, 1, 2),
        radius=torch.full((1, count, 2), 1.0),
        color=torch.rand(1, count, 3),
        opacity=torch.full((1, count), 1e-3),
    )
    background = torch.rand(1, 3, 16, 16)
    assert_image_close(emulate(strokes, background)["image"], paint(strokes, background), TOLERANCES[F32, "brush"])


@pytest.mark.parametrize("coarse_shift", [6, 7, 9])
def test_thousands_of_strokes_here_and_there(emulate: Emulate, coarse_shift: int) -> None:
    """So many in one corner that a block takes them in several goes, and few elsewhere."""
    count = 6000
    place = torch.rand(1, count, 1, 2)
    dense = torch.rand(1, count, 1, 1) < 0.4
    strokes = Strokes(
        points=place * torch.where(dense, 14.0, 1.0) + torch.where(dense, 0.0, place * torch.tensor([150.0, 130.0])),
        radius=torch.full((1, count, 2), 1.0),
        color=torch.rand(1, count, 3),
        opacity=torch.rand(1, count) * 0.1,
    )
    background = torch.rand(1, 3, 130, 150)
    found = emulate(strokes, background, coarse_shift=coarse_shift)
    assert_image_close(found["image"], paint(strokes, background), TOLERANCES[F32, "brush"])
