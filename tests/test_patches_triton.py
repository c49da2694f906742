"""The Triton backend of `composite_patches`: on a GPU where there is one, else its kernels under Triton's interpreter,
on tiny canvases. tests/test_paint_triton.py compiles them for GPUs that are not here."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from test_composite_patches import F32, KINDS, assert_matches_reference, patch_scene, with_gradients
from torch import Tensor

from neural_paint import backends, composite_patches
from neural_paint.testing import TOLERANCES, assert_gradient_close

pytest.importorskip("triton")

from neural_paint.kernels import composite_patches as kernels

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
OPS = torch.ops.neural_paint
NAMES = ("patches", "patch_id", "transform", "color", "opacity", "background")


def composite_triton(**tensors: Tensor) -> Tensor:
    there = {name: x.to(DEVICE) for name, x in tensors.items()}
    return composite_patches(**there, backend="triton").cpu()


def small(**options: Any) -> dict[str, Tensor]:
    """On two tiles, both of them cut off."""
    sizes = {"batch": 1, "count": 4, "size": (5, 7), "canvas": (14, 21), "scale": (0.7, 2.5)}
    return patch_scene(dtype=F32, **{**sizes, **options})


def tiny(**options: Any) -> dict[str, Tensor]:
    return small(**{"count": 1, "canvas": (6, 7), "channels": 2, "size": (3, 4), "shared": 1, **options})


def stacked(count: int) -> dict[str, Tensor]:
    """So many patches on one tile, some of them opaque."""
    scene = small(count=count, canvas=(9, 10), place="shift", size=(6, 6), level=(0.0, 0.4))
    scene["patches"][:, ::5] = 1.0
    scene["opacity"][:, ::5] = 1.0
    return scene


def operator_inputs(scene: dict[str, Tensor], requires_grad: bool = False) -> list[Any]:
    patches = scene["patches"] if "color" not in scene else scene["patches"].unsqueeze(-3)
    tensors = [x if x is None else x.to(DEVICE) for x in map({**scene, "patches": patches}.get, NAMES)]
    return [x.requires_grad_(requires_grad) if x is not None and x.is_floating_point() else x for x in tensors]


@pytest.mark.parametrize("kind", KINDS)
def test_matches_reference(kind: str) -> None:
    options = dict(KINDS[kind])
    if kind == "shrunk":
        options.update(scale=(0.2, 0.4), size=(19, 23), canvas=(14, 15), count=2)
    assert_matches_reference(small(**options), composite=composite_triton)


@pytest.mark.parametrize(
    "shape",
    [
        {"count": 0},
        {"canvas": (1, 1), "count": 2, "channels": 1},
        {"canvas": (7, 9), "count": 2, "channels": 16, "colored": True, "batch": 2},
        {"canvas": (1, 40), "size": (1, 9)},
        {"canvas": (33, 1), "size": (9, 1), "place": "shift"},
        {"canvas": (9, 9), "size": (1, 1), "scale": (3.0, 5.0), "opacity": False},
        {"canvas": (8, 8), "batch": 0},
        {"canvas": (0, 8)},
        {"canvas": (16, 16), "batch": 3, "count": 2, "shared": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("layout", ["contiguous", "strided"])
def test_odd_shapes(layout: str, shape: dict[str, Any]) -> None:
    scene = small(**shape)
    if layout == "strided":
        scene["patches"] = scene["patches"].transpose(-1, -2).contiguous().transpose(-1, -2)
        scene["background"] = scene["background"].to(memory_format=torch.channels_last)
        if "opacity" in scene:
            scene["opacity"] = scene["opacity"][:, :1].expand_as(scene["opacity"])
    assert_matches_reference(scene, composite=composite_triton)


def lay(scene: dict[str, Tensor], places: list[tuple[float, float]], scale: tuple[float, float]) -> None:
    """Lay patch k at places[k], in scale."""
    scene["transform"][0, :, :, :2] = torch.tensor(scale).diag()
    scene["transform"][0, :, :, 2] = torch.tensor(places)


@pytest.mark.parametrize(("size", "scale", "ends"), [(1, 6.0, (8.0, 18.0)), (8, 0.25, (14.2, 15.8))])
def test_rims_reach_into_the_next_tile(size: int, scale: float, ends: tuple[float, float]) -> None:
    """Half a texel beyond the patch; or the samples of a pixel whose centre is out of reach."""
    scene = small(canvas=(20, 20), size=(size, size), level=(0.5, 1.0))
    lay(scene, [(ends[0], 3.0), (ends[1], 6.0), (3.0, ends[0]), (6.0, ends[1])], (scale, scale))
    assert_matches_reference(scene, composite=composite_triton)


def test_most_samples_of_a_pixel() -> None:
    """64 along a side; the second patch would take more, and is left out."""
    scene = small(canvas=(5, 9), count=2, size=(2, 300), level=(0.5, 1.0))
    lay(scene, [(1.0, 1.0), (5.0, 2.0)], (1 / 128, 1.0))
    scene["transform"][0, 1, 0, 0] = 1 / 130
    assert_matches_reference(scene, composite=composite_triton)


def test_background_broadcasts_over_the_batch() -> None:
    scene = small(batch=3, count=2, canvas=(8, 9))
    scene["background"] = scene["background"][:1]
    assert_matches_reference(scene, composite=composite_triton)


@pytest.mark.parametrize(("chunk", "segments"), [(32, 32), (4, 1), (4, 2), (2, 4)])
def test_deep_tiles_match_reference(chunk: int, segments: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tile's list in one chunk; in one segment of chunks, which is replayed; in segments of some chunks; of one."""
    monkeypatch.setattr(kernels, "CHUNK", chunk)
    monkeypatch.setattr(kernels, "SEGMENTS", segments)
    assert_matches_reference(stacked(8 if segments == 4 else 10), composite=composite_triton)


def test_opaque_patch_over_another_sees_the_colour_below() -> None:
    """And the one at the bottom is of no account, nor is what lies beneath it."""
    opacity = torch.ones(1, 3, requires_grad=True)
    transform = torch.tensor([[1.0, 0.0, -4.0], [0.0, 1.0, -4.0]]).expand(1, 3, 2, 3)
    color = torch.tensor([0.25, 0.5, 0.75])[None, :, None]
    background = torch.zeros(1, 1, 8, 8, requires_grad=True)
    image = composite_triton(
        patches=torch.ones(1, 3, 16, 16), transform=transform, background=background, color=color, opacity=opacity
    )
    image.sum().backward()
    torch.testing.assert_close(opacity.grad, torch.tensor([[0.0, 0.0, 64 * 0.25]]))
    assert (image == 0.75).all()
    assert (background.grad == 0).all()


def test_far_from_the_origin_every_bit_is_the_same() -> None:
    near = small(canvas=(5, 16), count=2, size=(4, 4))
    near["transform"] = (near["transform"] * 64).round() / 64
    far = {**near, "transform": near["transform"].clone(), "background": torch.zeros(1, 3, 5, 1040)}
    far["transform"][..., 0, 2] += 1024
    far["background"][..., 1024:] = near["background"]
    assert torch.equal(composite_triton(**far)[..., 1024:], composite_triton(**near))


@pytest.mark.parametrize("kind", ["alpha", "shared colour"])
def test_deterministic_gradients_have_the_same_bits_in_any_order(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two programs for three tiles take them in another order than three do."""
    scene = small(**{**KINDS[kind], "count": 2, "canvas": (5, 36), "scale": (9.0, 9.0)})
    if "patch_id" in scene:
        scene["patch_id"] %= 3
    found = []
    for deterministic, programs in product((True, False), (3, 2)):
        torch.use_deterministic_algorithms(deterministic)
        monkeypatch.setattr(kernels, "MAX_PROGRAMS", programs)
        found.append(with_gradients(scene, composite=composite_triton))
    exact, exact_again, plain, plain_again = found
    for name, tensor in exact.items():
        assert torch.equal(exact_again[name], tensor), name
        for other in (plain, plain_again):
            assert_gradient_close(other[name], tensor, TOLERANCES[F32, "brush"], name)
    # Else the test would say nothing; on a GPU the order is the hardware's.
    assert DEVICE == "cuda" or not torch.equal(plain["transform"], plain_again["transform"])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_patches_with_bad_values_are_left_out() -> None:
    """Neither paint nor gradients; and nothing is read outside of memory."""
    good = small(shared=3, count=3, canvas=(10, 11))
    good["patch_id"] = torch.tensor([[2, 0, 1]])
    bad = []
    for name, value in [
        ("transform", math.nan), ("transform", math.inf), ("transform", 0.0), ("transform", 1e-3),
        ("color", math.nan), ("color", -math.inf), ("opacity", math.nan), ("patch_id", -1), ("patch_id", 3),
        ("patch_id", 2**40),
    ]:  # fmt: skip
        bad.append({name: x[:, 1:2].clone() for name, x in good.items() if name not in ("patches", "background")})
        if name == "transform":
            bad[-1][name][..., :2] = value * torch.eye(2)
        else:
            bad[-1][name].view(-1)[0] = value
    scene = {
        name: x if name in ("patches", "background") else torch.cat([x[:, :1], *(b[name] for b in bad), x[:, 1:]], 1)
        for name, x in good.items()
    }
    expected, found = (with_gradients(x, composite=composite_triton) for x in (good, scene))
    for name in ("transform", "color", "opacity"):
        assert (found[name][:, 1:-2] == 0).all(), name
        found[name] = torch.cat([found[name][:, :1], found[name][:, -2:]], 1)
    for name, tensor in found.items():
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("colored", [False, True])
def test_what_is_not_a_number_stays_with_its_patch(colored: bool, deterministic: bool) -> None:
    """The gradients of texels beyond the patch, which are those of its neighbours in memory, get nothing."""
    scene = small(shared=3, colored=colored, count=2)
    scene["patch_id"] = torch.ones(1, 2, dtype=torch.int64)
    scene["transform"][..., 2] += 6.0
    inputs = operator_inputs(scene)
    grad = torch.full_like(scene["background"], math.nan).to(DEVICE)
    d_patches, *_ = OPS.composite_patches_triton_backward(grad, *inputs, True, True, deterministic)
    assert d_patches[1].isnan().any()
    assert (d_patches[[0, 2]] == 0).all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("value", [3e38, -3e38, 1e20, 1e-20])
def test_huge_finite_maps_stay_inside_memory(value: float) -> None:
    scene = small(count=6, canvas=(12, 9))
    scene["transform"].view(6, 6).fill_diagonal_(value)
    assert with_gradients(scene, composite=composite_triton)["image"].shape == (1, 3, 12, 9)


@pytest.mark.parametrize(("kind", "recorded"), [("shared alpha", False), ("shared colour", True)])
def test_opcheck(opcheck: Callable[..., Any], kind: str, recorded: bool) -> None:
    opcheck(OPS.composite_patches_triton.default, operator_inputs(tiny(**KINDS[kind]), recorded))


@pytest.mark.parametrize(
    ("patches_gradient", "background_gradient", "deterministic"), [(True, False, True), (False, True, False)]
)
def test_opcheck_backward(
    opcheck: Callable[..., Any], patches_gradient: bool, background_gradient: bool, deterministic: bool
) -> None:
    inputs = operator_inputs(tiny(colored=True))
    options = (patches_gradient, background_gradient, deterministic)
    opcheck(OPS.composite_patches_triton_backward.default, (torch.randn_like(inputs[-1]), *inputs, *options))


def test_schemas_are_those_of_the_compiled_operators() -> None:
    for name in ("composite_patches{}", "composite_patches{}_backward"):
        compiled, triton = (getattr(OPS, name.format(x)).default for x in ("", "_triton"))
        assert str(triton._schema) == str(compiled._schema).replace(compiled.name(), triton.name())


def test_compiles_without_graph_breaks_and_under_autocast() -> None:
    torch._dynamo.reset()
    scene = tiny()

    def loss(transform: Tensor) -> Tensor:
        return composite_triton(**{**scene, "transform": transform}).square().sum()

    transform = scene["transform"].clone().requires_grad_()
    eager = torch.autograd.grad(loss(transform), transform)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(torch.autograd.grad(compiled(transform), transform), eager)
    with torch.autocast(DEVICE, torch.bfloat16):
        torch.testing.assert_close(torch.autograd.grad(loss(transform), transform), eager)


def test_second_derivative_names_the_reference() -> None:
    scene = tiny()
    transform = scene["transform"].requires_grad_()
    (gradient,) = torch.autograd.grad(composite_triton(**scene).square().sum(), transform, create_graph=True)
    with pytest.raises(NotImplementedError, match=r"neural_paint\.reference\.composite_patches"):
        gradient.sum().backward()


def test_backend_is_picked_where_it_can_run() -> None:
    assert backends.pick(None, "cuda", "composite_patches") in ("cpp", "triton")
    assert backends.pick(None, "cpu", "composite_patches") == "cpp"
    with pytest.raises(ValueError, match=r"backend must be one of .* for composite_patches in float64 on .*, got"):
        composite_triton(**patch_scene(count=1))


@pytest.mark.parametrize(
    ("place", "tensor", "error", "message"),
    [
        (0, torch.zeros(1, 3, 1, 5, 7), ValueError, r"patches must have shape \(1, 4, 1, 5, 7\), got \(1, 3, 1,"),
        (0, torch.zeros(1, 4, 4, 5, 7), ValueError, r"patches must have shape \(1, 4, 1, 5, 7\)"),
        (0, torch.zeros(1, 4, 1, 0, 7), ValueError, "a patch must have 1 .. 2.24 rows and columns"),
        (1, torch.zeros(1, 4, dtype=torch.int64), ValueError, r"patches must have shape \(1, 1, 5, 7\)"),
        (2, torch.zeros(1, 4, 3, 2), ValueError, r"transform must have shape \(B, N, 2, 3\), got \(1, 4, 3, 2\)"),
        (2, torch.zeros(1, 4, 2, 3).double(), TypeError, r"transform must be float32 for backend 'triton', got .*64"),
        (3, torch.zeros(1, 4, 2), ValueError, r"color must have shape \(1, 4, 3\), got \(1, 4, 2\)"),
        (3, None, ValueError, r"patches must have shape \(1, 4, 4, 5, 7\)"),
        (4, torch.zeros(1, 4).double(), TypeError, "opacity must be torch.float32, got torch.float64"),
        (5, torch.zeros(1, 17, 8, 8), ValueError, r"background must have shape \(1 or 1, 1 .. 16, H, W\)"),
        (5, torch.zeros(1, 3, 8, 8, device="meta"), ValueError, "background must be on .* got meta"),
    ],
)  # fmt: skip
def test_operator_guards_memory(place: int, tensor: Tensor | None, error: type[Exception], message: str) -> None:
    inputs = operator_inputs(small())
    inputs[place] = tensor if tensor is None or tensor.is_meta else tensor.to(DEVICE)
    with pytest.raises(error, match=message):
        kernels.composite_patches(*inputs)


def test_backward_operator_guards_memory() -> None:
    inputs = operator_inputs(small())
    with pytest.raises(ValueError, match=r"grad must have shape \(1, 3, 14, 21\), got \(1, 3, 14, 20\)"):
        OPS.composite_patches_triton_backward(inputs[-1][..., 1:], *inputs, True, True, False)
