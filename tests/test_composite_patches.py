"""The five laws of `composite_patches`: parity with the reference, gradients, dispatcher contracts, odd shapes, bad
input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from neural_paint import backends, composite_patches, reference
from neural_paint.testing import TOLERANCES, assert_gradient_close, assert_image_close, patch_scene

F32, F64 = torch.float32, torch.float64
FUSED = [name for name in backends.available("cpu", "composite_patches", dtype=F64) if name != "reference"]

KINDS: dict[str, dict[str, Any]] = {
    "alpha": {},
    "colour": {"colored": True},
    "shared alpha": {"shared": 3},
    "shared colour": {"shared": 3, "colored": True},
    "shifted by whole pixels": {"place": "grid"},
    "shifted by parts of pixels": {"place": "shift", "colored": True},
    "shrunk": {"scale": (0.1, 0.4)},
    "shrunk in colour": {"scale": (0.1, 0.4), "colored": True},
    "stretched": {"scale": (3.0, 6.0), "colored": True},
    "opaque": {"level": (1.0, 1.0)},
}


def with_gradients(scene: dict[str, Tensor], **options: Any) -> dict[str, Tensor]:
    """The image and the gradient of a weighted sum of it in every differentiable input."""
    composite = options.pop("composite", composite_patches)
    inputs = {name: x.detach().requires_grad_(x.is_floating_point()) for name, x in scene.items()}
    image = composite(**inputs, **options)
    weight = torch.linspace(-1, 1, max(image.numel(), 1), dtype=F64)[: image.numel()].reshape(image.shape)
    wanted = {name: x for name, x in inputs.items() if x.requires_grad}
    total = (image * weight.to(image)).sum()
    gradients = torch.autograd.grad(total, list(wanted.values()), allow_unused=True, materialize_grads=True)
    return {"image": image.detach(), **dict(zip(wanted, gradients, strict=True))}


def assert_matches_reference(scene: dict[str, Tensor], **options: Any) -> None:
    dtype = scene["transform"].dtype
    tolerance = TOLERANCES[dtype, "brush"]
    actual = with_gradients(scene, **options)
    exact = {name: (x.double() if x.is_floating_point() else x).cpu() for name, x in scene.items()}
    expected = with_gradients(exact, composite=reference.composite_patches)
    assert_image_close(actual.pop("image").cpu(), expected.pop("image"), tolerance)
    for name, gradient in actual.items():
        assert gradient.dtype == dtype
        assert gradient.shape == scene[name].shape
        assert_gradient_close(gradient.cpu(), expected[name], tolerance, name)


@pytest.mark.parametrize("dtype", [F32, F64], ids=["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", FUSED)
def test_matches_reference(backend: str, kind: str, dtype: torch.dtype) -> None:
    assert_matches_reference(patch_scene(dtype=dtype, **KINDS[kind]), backend=backend)


@pytest.mark.parametrize("kind", KINDS)
def test_every_instruction_set_matches_reference(instruction_set: str, kind: str) -> None:
    assert_matches_reference(patch_scene(dtype=F32, **KINDS[kind]))


def tiny(**options: Any) -> dict[str, Tensor]:
    """Three patches on two small canvases, the lowest without any alpha and the top one opaque."""
    scene = patch_scene(batch=2, count=3, channels=2, size=(3, 4), canvas=(6, 7), **options)
    scene["opacity"][:, 0], scene["opacity"][:, 2] = 0.0, 1.0
    alpha = scene["patches"] if "color" in scene else scene["patches"][..., -1, :, :]
    alpha[-1] = 1.0
    return scene


def as_function(scene: dict[str, Tensor], **options: Any) -> tuple[Any, list[Tensor]]:
    names = [name for name, x in scene.items() if x.is_floating_point()]

    def function(*tensors: Tensor) -> Tensor:
        composite = options.get("composite", composite_patches)
        image: Tensor = composite(**{**scene, **dict(zip(names, tensors, strict=True))})
        return image

    return function, [scene[name].detach().requires_grad_() for name in names]


@pytest.mark.parametrize("kind", ["alpha", "colour", "shared alpha", "shared colour", "stretched"])
@pytest.mark.parametrize("backend", FUSED)
def test_gradcheck(backend: str, kind: str) -> None:
    """Every input against finite differences; opaque patches and fully transparent ones among them."""
    function, inputs = as_function(tiny(**KINDS[kind]))
    assert gradcheck(function, inputs, eps=1e-6, atol=1e-5, rtol=1e-4)


def test_reference_is_twice_differentiable() -> None:
    function, inputs = as_function(tiny(), composite=reference.composite_patches)
    assert gradgradcheck(function, inputs, eps=1e-6, atol=1e-4, rtol=1e-3)


def test_second_derivative_names_the_reference() -> None:
    function, inputs = as_function(tiny())
    (gradient,) = torch.autograd.grad(function(*inputs).square().sum(), inputs[:1], create_graph=True)
    with pytest.raises(NotImplementedError, match=r"neural_paint\.reference\.composite_patches"):
        gradient.sum().backward()


@pytest.mark.parametrize("kind", ["alpha", "shared colour"])
@pytest.mark.parametrize("recorded", [False, True])
def test_opcheck(opcheck: Callable[..., Any], kind: str, recorded: bool) -> None:
    scene = tiny(**KINDS[kind])
    patches = scene["patches"] if "color" not in scene else scene["patches"].unsqueeze(-3)
    names = ("patch_id", "transform", "color", "opacity", "background")
    tensors = [patches, *(scene.get(name) for name in names)]
    if recorded:
        tensors = [x.requires_grad_() if x is not None and x.is_floating_point() else x for x in tensors]
    opcheck(torch.ops.neural_paint.composite_patches.default, tensors)


@pytest.mark.parametrize(("patches_gradient", "background_gradient"), [(True, False), (False, True)])
def test_opcheck_backward(opcheck: Callable[..., Any], patches_gradient: bool, background_gradient: bool) -> None:
    scene = tiny(colored=True)
    tensors = [scene["patches"], None, scene["transform"], None, scene["opacity"], scene["background"]]
    inputs = (torch.randn_like(scene["background"]), *tensors, patches_gradient, background_gradient, False)
    opcheck(torch.ops.neural_paint.composite_patches_backward.default, inputs)


SHAPES: list[dict[str, Any]] = [
    {"canvas": (63, 100), "count": 7},
    {"canvas": (63, 100), "count": 0},
    {"canvas": (1, 1), "count": 2, "channels": 1, "batch": 1},
    {"canvas": (33, 31), "count": 5, "channels": 16, "colored": True},
    {"canvas": (1, 200), "count": 9, "size": (1, 30)},
    {"canvas": (200, 1), "count": 9, "size": (30, 1), "place": "shift"},
    {"canvas": (40, 40), "count": 6, "size": (1, 1), "scale": (5.0, 9.0)},
    {"canvas": (8, 8), "count": 4, "batch": 0},
    {"canvas": (0, 8), "count": 4},
    {"canvas": (64, 64), "count": 70, "batch": 1},
]


@pytest.mark.parametrize("dtype", [F32, F64], ids=["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("layout", ["contiguous", "strided"])
@pytest.mark.parametrize("backend", FUSED)
def test_odd_shapes(backend: str, layout: str, shape: dict[str, Any], dtype: torch.dtype) -> None:
    scene = patch_scene(dtype=dtype, **shape)
    assert_matches_reference(scene if layout == "contiguous" else strided(scene), backend=backend)


def strided(scene: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same in memory of other orders, and with one opacity for all patches of a canvas."""
    return {
        **scene,
        "patches": scene["patches"].transpose(-1, -2).contiguous().transpose(-1, -2),
        "background": scene["background"].to(memory_format=torch.channels_last),
        "opacity": scene["opacity"][:, :1].expand_as(scene["opacity"]),
    }


@pytest.mark.parametrize("backend", backends.available("cpu", "composite_patches"))
def test_exact_where_alpha_is_0_or_1(backend: str) -> None:
    scene, expected = opaque_and_clear()
    assert torch.equal(composite_patches(**scene, backend=backend), expected)


def opaque_and_clear() -> tuple[dict[str, Tensor], Tensor]:
    """Patches at whole pixels, all of them opaque but one that has no alpha, and their image to the bit."""
    scene = patch_scene(place="grid", count=3, batch=1, colored=True, opacity=False, dtype=F32)
    scene["patches"][:, :, -1] = 1.0
    scene["patches"][:, 1, -1] = 0.0
    expected = scene["background"].clone()
    for k in (0, 2):
        x, y = (int(v) for v in scene["transform"][0, k, :, 2])
        rows, columns = torch.arange(13) + y, torch.arange(17) + x
        inside = ((rows >= 0) & (rows < 50))[:, None] & ((columns >= 0) & (columns < 70))
        i, j = inside.nonzero(as_tuple=True)
        expected[0][:, rows[i], columns[j]] = scene["patches"][0, k, :-1][:, i, j]
    return scene, expected


@pytest.mark.parametrize("backend", backends.available("cpu", "composite_patches", dtype=F64))
def test_shrinking_averages_the_area(backend: str) -> None:
    """Stripes one texel wide, eight of them to a pixel: all pixels but those on the rim get half of the paint."""
    alpha = (torch.arange(256) % 2).to(F64).expand(1, 1, 256, 256)
    transform = torch.tensor([[1 / 8, 0, 4], [0, 1 / 8, 4]], dtype=F64).expand(1, 1, 2, 3)
    color = torch.ones(1, 1, 1, dtype=F64)
    image = composite_patches(alpha, transform, torch.zeros(1, 1, 40, 40, dtype=F64), color=color, backend=backend)
    torch.testing.assert_close(image[0, 0, 4:36, 4:36], torch.full((32, 32), 0.5, dtype=F64))
    assert not image[0, 0, :3].any()


@pytest.mark.parametrize("backend", backends.available("cpu", "composite_patches", dtype=F64))
@pytest.mark.parametrize(
    ("name", "value"),
    [("transform", math.nan), ("transform", math.inf), ("transform", 0.0), ("transform", 1e-3), ("transform", 1e30),
     ("color", math.nan), ("color", math.inf), ("opacity", math.nan), ("patch_id", -1), ("patch_id", 3),
     ("patch_id", 2**40)],
)  # fmt: skip
def test_bad_values_lay_no_paint(backend: str, name: str, value: float) -> None:
    """Neither paint nor gradients; and nothing is read outside of memory."""
    scene = patch_scene(batch=1, count=4, shared=3)
    scene["patch_id"] %= 3
    if name == "transform" and value != math.inf:
        scene[name][0, 1, :, :2] = value * torch.eye(2)
    else:
        scene[name][0, 1] = value
    keep = torch.tensor([0, 2, 3])
    found = with_gradients(scene, backend=backend)
    per_patch = ("transform", "color", "opacity", "patch_id")
    expected = with_gradients({k: x[:, keep] if k in per_patch else x for k, x in scene.items()}, backend=backend)
    if value != 1e30:  # which is a patch of nearly one texel on every pixel
        torch.testing.assert_close(found["image"], expected["image"])
        for field in ("transform", "color", "opacity"):
            assert not found[field][0, 1].any(), field
    assert all(x.isfinite().all() for x in found.values())


def test_no_shared_patch_is_there() -> None:
    scene = patch_scene(shared=1)
    scene["patches"] = scene["patches"][:0]
    assert torch.equal(with_gradients(scene)["image"], scene["background"])


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("shared", [0, 2])
def test_any_number_of_threads_gives_the_same_bits(threads: int, shared: int) -> None:
    scene = patch_scene(canvas=(100, 130), count=40, shared=shared, dtype=F32)
    before = torch.get_num_threads()
    expected = with_gradients(scene)
    torch.set_num_threads(threads)
    try:
        found = with_gradients(scene)
    finally:
        torch.set_num_threads(before)
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def test_many_tiles_go_in_bands() -> None:
    """More samples than are kept at a time: large patches with colours on a large canvas."""
    scene = patch_scene(batch=1, canvas=(300, 400), size=(200, 300), count=60, colored=True, place="shift", dtype=F32)
    assert_matches_reference(scene)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types(dtype: torch.dtype) -> None:
    scene = patch_scene(dtype=F32)
    half = {name: x if name == "transform" else x.to(dtype) for name, x in scene.items()}
    image = composite_patches(**half)
    assert image.dtype == dtype
    assert_image_close(image.float(), composite_patches(**scene).to(dtype).float(), TOLERANCES[F32, "brush"]._replace(
        usual=2e-2, worst=5e-2))  # fmt: skip
    with torch.autocast("cpu", dtype):
        assert composite_patches(**scene).dtype == F32


@pytest.mark.parametrize("dynamic", [False, True])
def test_compiles_whole(dynamic: bool) -> None:
    compiled = torch.compile(composite_patches, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for count in (5, 6):
        scene = patch_scene(count=count, dtype=F32)
        found = with_gradients(scene, composite=compiled)
        for name, tensor in with_gradients(scene).items():
            torch.testing.assert_close(found[name], tensor)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"transform": torch.zeros(2, 12, 3, 2)}, ValueError, r"transform must have shape \(B, N, 2, 3\), got"),
        ({"transform": torch.zeros(2, 12, 2, 3).half()}, TypeError, "transform must be float32 or float64"),
        ({"patches": torch.zeros(2, 11, 5, 5)}, ValueError, r"patches must have shape \(2, 12, h, w\) with color"),
        ({"patches": torch.zeros(2, 12, 0, 5)}, ValueError, "h and w at least 1"),
        ({"color": None}, ValueError, r"patches must have shape \(2, 12, 4, h, w\) without color"),
        ({"color": torch.zeros(2, 12, 4)}, ValueError, r"color must have shape \(2, 12, 3\), got \(2, 12, 4\)"),
        ({"opacity": torch.zeros(12)}, ValueError, r"opacity must have shape \(2, 12\), got \(12,\)"),
        ({"background": torch.zeros(3, 3, 8, 8)}, ValueError, r"background must have shape \(2 or 1, C, H, W\)"),
        ({"background": torch.zeros(1, 3, 8, 8, dtype=torch.uint8)}, TypeError, "background must be a floating-point"),
        ({"patch_id": torch.zeros(2, 12)}, ValueError, r"patches must have shape \(K, h, w\) with color"),
        ({"backend": "cuda"}, ValueError, "backend must be one of"),
    ],
    ids=lambda x: next(iter(x)) if isinstance(x, dict) else None,
)  # fmt: skip
def test_rejects_bad_input(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        composite_patches(**{**patch_scene(dtype=F32), **changes})


def test_operator_guards_memory() -> None:
    """Whoever calls it, past the checks of the public function."""
    scene = patch_scene(dtype=F32)
    patches, transform, background = scene["patches"].unsqueeze(2), scene["transform"], scene["background"]
    op = torch.ops.neural_paint.composite_patches
    rest = (scene["color"], scene["opacity"], background)
    with pytest.raises(RuntimeError, match=r"patches must have shape \(2, 12, \*, \*, \*\)"):
        op(patches[:, 1:], None, transform, *rest)
    with pytest.raises(RuntimeError, match="patches must have 4 planes without color, got 1"):
        op(patches, None, transform, None, None, background)
    with pytest.raises(RuntimeError, match="color must have dtype Float, got Double"):
        op(patches, None, transform, scene["color"].double(), None, background)
