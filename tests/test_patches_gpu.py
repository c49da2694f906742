"""`composite_patches` on a GPU: the laws of its tests on a CPU, and the same bits every run, where torch asks for
deterministic algorithms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from test_composite_patches import (
    F32,
    F64,
    KINDS,
    SHAPES,
    as_function,
    assert_matches_reference,
    opaque_and_clear,
    strided,
    tiny,
    with_gradients,
)
from torch import Tensor
from torch.autograd import gradcheck

from neural_paint import backends, composite_patches
from neural_paint.testing import patch_scene

pytestmark = pytest.mark.gpu
each_backend = pytest.mark.parametrize(
    ("backend", "dtype"), [("cpp", F32), ("cpp", F64), ("triton", F32)], ids=["cpp-float32", "cpp-float64", "triton"]
)


def on_gpu(scene: dict[str, Tensor], backend: str = "cpp") -> dict[str, Tensor]:
    if backend not in backends.available("cuda", "composite_patches", scene["transform"].dtype):
        pytest.skip(f"no backend {backend} here")
    return {name: x.cuda() for name, x in scene.items()}


@pytest.mark.parametrize("kind", KINDS)
@each_backend
def test_matches_reference(backend: str, dtype: torch.dtype, kind: str) -> None:
    assert_matches_reference(on_gpu(patch_scene(dtype=dtype, **KINDS[kind]), backend), backend=backend)


@pytest.mark.parametrize("kind", ["alpha", "shared colour", "stretched"])
def test_gradcheck(kind: str) -> None:
    function, inputs = as_function(on_gpu(tiny(**KINDS[kind])))
    # Sums are in any order.
    assert gradcheck(function, inputs, eps=1e-6, atol=1e-5, rtol=1e-4, nondet_tol=1e-12)


@pytest.mark.parametrize("kind", ["alpha", "shared colour"])
def test_opcheck(opcheck: Callable[..., Any], kind: str) -> None:
    scene = on_gpu(tiny(**KINDS[kind]))
    patches = scene["patches"] if "color" not in scene else scene["patches"].unsqueeze(-3)
    names = ("patch_id", "transform", "color", "opacity", "background")
    opcheck(torch.ops.neural_paint.composite_patches.default, [patches, *(scene.get(name) for name in names)])


@pytest.mark.parametrize("layout", ["contiguous", "strided"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@each_backend
def test_odd_shapes(backend: str, dtype: torch.dtype, shape: dict[str, Any], layout: str) -> None:
    scene = on_gpu(patch_scene(dtype=dtype, **shape), backend)
    assert_matches_reference(scene if layout == "contiguous" else strided(scene), backend=backend)


@pytest.mark.parametrize("backend", ["cpp", "triton"])
def test_exact_where_alpha_is_0_or_1(backend: str) -> None:
    scene, expected = opaque_and_clear()
    assert torch.equal(composite_patches(**on_gpu(scene, backend), backend=backend).cpu(), expected)


def test_operator_guards_memory() -> None:
    scene = on_gpu(patch_scene(dtype=F32))
    patches, rest = scene["patches"].unsqueeze(2), (scene["opacity"], scene["background"])
    with pytest.raises(RuntimeError, match=r"color must be on the device of transform \(cuda:0\), got cpu"):
        color = scene["color"].cpu()
        torch.ops.neural_paint.composite_patches(patches, None, scene["transform"], color, *rest)


@pytest.mark.usefixtures("deterministic_on_a_gpu")
@pytest.mark.parametrize("options", [{}, {"colored": True}, {"shared": 2}, {"count": 400, "canvas": (40, 24)}], ids=str)
@each_backend
def test_same_bits_every_run(backend: str, dtype: torch.dtype, options: dict[str, Any]) -> None:
    scene = on_gpu(patch_scene(dtype=dtype, **options), backend)
    first = with_gradients(scene, backend=backend)
    for _ in range(19):
        for name, value in with_gradients(scene, backend=backend).items():
            assert torch.equal(value, first[name]), name
