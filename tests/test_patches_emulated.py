"""The CUDA kernels of `composite_patches`, run on the CPU under sanitizers, against the reference."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import emulated
import numpy as np
import pytest
import torch
from test_composite_patches import F32, F64, KINDS, assert_matches_reference, opaque_and_clear
from torch import Tensor

from neural_paint import reference
from neural_paint.testing import TOLERANCES, assert_gradient_close, assert_image_close, patch_scene

Emulate = Callable[..., dict[str, Tensor]]


@pytest.fixture
def emulate(compile_emulated: Callable[..., Path], tmp_path: Path) -> Emulate:
    """The image of a scene, and with `grad` all gradients."""

    def emulate(
        scene: dict[str, Tensor],
        grad: Tensor | None = None,
        *,
        deterministic: bool = False,
        seed: int = 0,
        finds: str = "memory",
    ) -> dict[str, Tensor]:
        tensors = {name: x.detach() for name, x in scene.items()}
        batch = len(scene["transform"])
        if "color" in scene:
            tensors["patches"] = tensors["patches"].unsqueeze(-3)
        if "patch_id" in scene:
            tensors["patches"] = tensors["patches"].unsqueeze(0)
        tensors["background"] = tensors["background"].expand(batch, -1, -1, -1)
        if grad is not None:
            tensors["grad"] = grad
        arrays = {name: x.contiguous().numpy() for name, x in tensors.items()}
        arrays["deterministic"] = np.array([deterministic], np.uint8)
        arrays["is_double"] = np.array([scene["transform"].dtype == F64], np.uint8)
        found = emulated.run_with_arrays(compile_emulated("composite_patches.cpp", finds), tmp_path, seed, **arrays)
        return {name: torch.from_numpy(array) for name, array in found.items()}

    return emulate


def assert_emulated_matches_reference(emulate: Emulate, scene: dict[str, Tensor], **options: Any) -> None:
    names = [name for name, x in scene.items() if x.is_floating_point()]

    class Emulated(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Tensor) -> Tensor:
            ctx.scene = {**scene, **dict(zip(names, tensors, strict=True))}
            return emulate(ctx.scene, **options)["image"]

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
            found = emulate(ctx.scene, grad, **options)
            found["d_background"] = found["d_background"].sum_to_size(scene["background"].shape)
            return tuple(found[f"d_{name}"].reshape(scene[name].shape) for name in names)

    def composite(**inputs: Tensor) -> Tensor:
        image: Tensor = Emulated.apply(*(inputs[name] for name in names))
        return image

    assert_matches_reference(scene, composite=composite)


@pytest.mark.parametrize("dtype", [F32, F64], ids=["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_matches_reference(emulate: Emulate, kind: str, dtype: torch.dtype) -> None:
    scene = patch_scene(count=8, size=(7, 9), canvas=(20, 36), dtype=dtype, **KINDS[kind])
    assert_emulated_matches_reference(emulate, scene)


@pytest.mark.parametrize(
    "shape",
    [
        {"canvas": (63, 100), "count": 0},
        {"canvas": (1, 1), "count": 2, "channels": 1, "batch": 1},
        {"canvas": (17, 31), "count": 5, "channels": 16, "colored": True},
        {"canvas": (17, 31), "count": 5, "channels": 16, "shared": 1},
        {"canvas": (1, 70), "count": 9, "size": (1, 30), "opacity": False},
        {"canvas": (70, 1), "count": 9, "size": (30, 1), "place": "shift"},
        {"canvas": (40, 40), "count": 6, "size": (1, 1), "scale": (5.0, 9.0)},
        {"canvas": (8, 8), "count": 4, "batch": 0},
        {"canvas": (0, 8), "count": 4},
    ],
    ids=str,
)
def test_odd_shapes(emulate: Emulate, shape: dict[str, Any]) -> None:
    scene = patch_scene(dtype=F32, **shape)
    scene["background"] = scene["background"][:1]
    assert_emulated_matches_reference(emulate, scene)


def test_exact_where_alpha_is_0_or_1(emulate: Emulate) -> None:
    scene, expected = opaque_and_clear()
    assert torch.equal(emulate(scene)["image"], expected)


LEVELS = {"faint": (0.0, 0.2), "mixed": (0.5, 1.0), "opaque": (1.0, 1.0)}


@pytest.mark.parametrize("colored", [False, True])
@pytest.mark.parametrize("level", LEVELS)
def test_deep_tiles(emulate: Emulate, level: str, colored: bool) -> None:
    """More patches than a block has in hand at a time, so that it goes down to some of them several times, from the few
    places that it keeps; where they are opaque, all but the top ones are hidden."""
    scene = patch_scene(batch=1, count=600, size=(2, 3), canvas=(5, 9), colored=colored, level=LEVELS[level], dtype=F32)
    if colored:
        scene["patches"][:, :, :-1] = torch.rand(1, 600, 3, 2, 3)
    assert_emulated_matches_reference(emulate, scene)


def test_what_lies_below_the_patch_that_closes_a_tile(emulate: Emulate) -> None:
    """It is the last one in hand, of 64, and its gradient needs those below, which show nowhere."""
    scene = patch_scene(batch=1, count=100, size=(4, 4), canvas=(5, 9), level=(0.0, 0.1), dtype=F32)
    scene["transform"][:] = torch.tensor([[8.0, 0.0, -10.0], [0.0, 8.0, -10.0]])
    scene["patches"][:, 36], scene["opacity"][:, 36] = 1.0, 1.0
    assert_emulated_matches_reference(emulate, scene)


def test_patches_here_and_there(emulate: Emulate) -> None:
    """Over several coarse tiles, and many of them off the canvas."""
    scene = patch_scene(batch=1, count=60, size=(3, 4), canvas=(70, 140), dtype=F32)
    scene["transform"][..., 2] = scene["transform"][..., 2] * 1.5 - 30
    assert_emulated_matches_reference(emulate, scene)


def scene_of_all() -> dict[str, Tensor]:
    return patch_scene(count=20, size=(5, 9), canvas=(20, 33), shared=2, scale=(0.3, 2.0), dtype=F32)


def test_order_of_threads_does_not_matter(emulate: Emulate) -> None:
    scene, grad = scene_of_all(), torch.rand(2, 3, 20, 33)
    first, *others = (emulate(scene, grad, seed=seed) for seed in range(4))
    for other in others:
        assert torch.equal(first["image"], other["image"])
        for name, tensor in first.items():
            # Sums over tiles are atomic: their order, and with it the last bits, are the hardware's.
            assert_gradient_close(other[name], tensor, TOLERANCES[F32, "brush"], name)


@pytest.mark.parametrize("colored", [False, True])
@pytest.mark.parametrize("dtype", [F32, F64], ids=["float32", "float64"])
def test_deterministic_gradients_have_the_same_bits_in_any_order(
    emulate: Emulate, dtype: torch.dtype, colored: bool
) -> None:
    scene = patch_scene(count=12, size=(5, 9), canvas=(20, 33), shared=2, colored=colored, dtype=dtype)
    grad = torch.rand(2, 3, 20, 33, dtype=dtype)
    first, *others = (emulate(scene, grad, seed=seed, deterministic=True) for seed in range(4))
    in_order = emulate(scene, grad)
    for name, tensor in first.items():
        assert_gradient_close(tensor, in_order[name], TOLERANCES[dtype, "brush"], name)
        for other in others:
            assert torch.equal(other[name], tensor), name
    assert not torch.equal(emulate(scene, grad, seed=1)["d_patches"], in_order["d_patches"])


def test_deterministic_gradients_match_the_reference(emulate: Emulate) -> None:
    scene = patch_scene(count=8, size=(7, 9), canvas=(20, 36), colored=True, dtype=F32)
    assert_emulated_matches_reference(emulate, scene, deterministic=True)


def test_no_barrier_is_missing(emulate: Emulate) -> None:
    """In a tile whose patches come in several pieces."""
    scene = patch_scene(batch=1, count=100, size=(2, 3), canvas=(5, 9), level=(0.0, 0.5), dtype=F32)
    grad = torch.rand(1, 3, 5, 9)
    found, expected = (emulate(scene, grad, finds=finds) for finds in ("races", "memory"))
    assert torch.equal(found["image"], expected["image"])


@pytest.mark.parametrize(
    ("name", "value"),
    [("transform", math.nan), ("transform", math.inf), ("transform", 0.0), ("transform", 1e-3), ("transform", 1e30),
     ("color", math.nan), ("opacity", -math.inf), ("patch_id", -1), ("patch_id", 3), ("patch_id", 2**40)],
)  # fmt: skip
def test_bad_values_lay_no_paint(emulate: Emulate, name: str, value: float) -> None:
    """Neither paint nor gradients; and nothing is read outside of memory."""
    scene = patch_scene(batch=1, count=4, canvas=(20, 33), shared=3, dtype=F32)
    scene["patch_id"] %= 3
    if name == "transform" and value != math.inf:
        scene[name][0, 1, :, :2] = value * torch.eye(2)
    else:
        scene[name][0, 1] = value
    found = emulate(scene, torch.rand(1, 3, 20, 33))
    assert_image_close(found["image"], reference.composite_patches(**scene), TOLERANCES[F32, "brush"])
    assert all(x.isfinite().all() for x in found.values())
    if value != 1e30:  # which is a patch of nearly one texel on every pixel
        for field in ("transform", "color", "opacity"):
            assert not found[f"d_{field}"][0, 1].any(), field


def test_no_shared_patch_is_there(emulate: Emulate) -> None:
    scene = patch_scene(batch=1, count=4, canvas=(20, 33), shared=1, dtype=F32)
    scene["patches"] = scene["patches"][:0]
    found = emulate(scene, torch.rand(1, 3, 20, 33))
    assert torch.equal(found["image"], scene["background"])
