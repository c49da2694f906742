"""The Stamps container: what it accepts, how it is selected from, joined, moved and checked."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from neural_paint import Stamps, composite_patches

B, N, C, K = 2, 6, 3, 3
SIZE = (5, 7)
LAYOUTS = [(colored, shared) for colored in (False, True) for shared in (False, True)]


def make(colored: bool = False, shared: bool = True, batch: int = B, count: int = N, **fields: Any) -> Stamps:
    """Valid stamps on a canvas of 16 pixels, turned and stretched."""
    first = (K,) if shared else (batch, count)
    linear = torch.randn(batch, count, 2, 2) + 2 * torch.eye(2)
    made: dict[str, Any] = {
        "patches": torch.rand(*first, *((C + 1,) if colored else ()), *SIZE),
        "transform": torch.cat([linear, 16 * torch.rand(batch, count, 2, 1)], -1),
        "color": None if colored else torch.rand(batch, count, C),
        "opacity": torch.rand(batch, count),
        "patch_id": torch.randint(K, (batch, count)) if shared else None,
    }
    return Stamps(**{**made, **fields})


def lay(stamps: Stamps, size: tuple[int, int] = (16, 16)) -> torch.Tensor:
    background = torch.linspace(0, 1, size[0] * size[1], dtype=stamps.dtype).reshape(1, 1, *size)
    return composite_patches(**stamps.fields(), background=background.expand(1, stamps.channels, -1, -1))


def assert_same(a: Stamps, b: Stamps) -> None:
    assert a.fields().keys() == b.fields().keys()
    assert all(torch.equal(tensor, b.fields()[name]) for name, tensor in a.fields().items())


@pytest.mark.parametrize(("colored", "shared"), LAYOUTS)
@pytest.mark.parametrize(("batch", "count"), [(2, 6), (1, 0), (0, 3)])
def test_properties(colored: bool, shared: bool, batch: int, count: int) -> None:
    stamps = make(colored, shared, batch, count)
    assert stamps.shape == (stamps.batch_size, stamps.num_strokes) == (batch, count)
    assert stamps.channels == C and stamps.dtype == torch.float32 and stamps.device == torch.device("cpu")
    assert f"N={count}, C=3, patches={'3 of ' if shared else ''}5x7" in repr(stamps) and len(repr(stamps)) < 100
    assert stamps.validate() is stamps
    assert lay(stamps).shape == (batch, C, 16, 16)


def test_only_patches_and_maps_are_needed() -> None:
    stamps = make(True, False, opacity=None)
    assert list(stamps.fields()) == ["transform", "patches"]
    assert torch.equal(lay(stamps), lay(stamps.replace(opacity=torch.ones(B, N))))
    assert stamps.validate()[:, :2].shape == (B, 2)


@pytest.mark.parametrize(
    ("colored", "changes", "error", "message"),
    [
        (False, {"transform": torch.zeros(B, N, 3, 2)}, ValueError, r"transform must have shape \(B, N, 2, 3\), got"),
        (False, {"transform": torch.zeros(B, N, 2, 3).half()}, TypeError, "transform must be float32 or float64"),
        (False, {"transform": [[0.0]]}, TypeError, "transform must be a floating-point tensor, got list"),
        (False, {"patches": torch.zeros(K, *SIZE, dtype=torch.uint8)}, TypeError, "patches must be a floating-point"),
        (False, {"patches": torch.zeros(K, 0, 5)}, ValueError, r"patches must have shape \(K, h, w\) with color"),
        (False, {"patches": torch.zeros(K, 2, 5, 5)}, ValueError, r"patches must have shape \(K, h, w\) with color"),
        (False, {"patch_id": None}, ValueError, r"patches must have shape \(2, 6, h, w\) with color"),
        (True, {"patches": torch.zeros(K, 1, 5, 5)}, ValueError, r"\(K, C \+ 1, h, w\) with C in 1 .. 16, got"),
        (True, {"patches": torch.zeros(5)}, ValueError, r"patches must have shape \(K, C \+ 1, h, w\)"),
        (True, {"patch_id": None}, ValueError, r"patches must have shape \(2, 6, 4, h, w\) without color"),
        (False, {"color": torch.zeros(B, N)}, ValueError, r"color must have shape \(2, 6, C\) with C in 1 .. 16"),
        (False, {"color": torch.zeros(B, N, 17)}, ValueError, r"color must have shape \(2, 6, C\) with C in 1 .. 16"),
        (False, {"color": torch.zeros(B, 5, 3)}, ValueError, r"color must have shape \(2, 6, 3\), got \(2, 5, 3\)"),
        (False, {"opacity": torch.zeros(N)}, ValueError, r"opacity must have shape \(2, 6\), got \(6,\)"),
        (False, {"opacity": 0.5}, TypeError, "opacity must be a floating-point tensor, got float"),
        (False, {"patch_id": torch.zeros(N, dtype=torch.int64)}, ValueError, r"patch_id must have shape \(2, 6\)"),
        (False, {"patch_id": torch.zeros(B, N)}, TypeError, "patch_id must be an int64 tensor, got torch.float32"),
        (False, {"opacity": torch.ones(B, N, device="meta")}, ValueError, "opacity must be on the device of transform"),
    ],
)
def test_rejects_bad_input(colored: bool, changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make(colored, **changes)


@pytest.mark.parametrize(("colored", "shared"), LAYOUTS)
@pytest.mark.parametrize(
    ("key", "batches", "strokes"),
    [
        (-1, [1], range(N)),
        ((slice(None), slice(1, 5, 2)), [0, 1], [1, 3]),
        ((torch.tensor([1, 0]), torch.tensor([5, 1, 2])), [1, 0], [5, 1, 2]),
        ((slice(None), torch.tensor([True, False, False, True, False, False])), [0, 1], [0, 3]),
    ],
)
def test_selection(colored: bool, shared: bool, key: Any, batches: list[int], strokes: list[int]) -> None:
    whole = make(colored, shared)
    part = whole[key]
    for name, tensor in part.fields().items():
        if shared and name == "patches":
            assert tensor is whole.patches
        else:
            assert torch.equal(tensor, whole.fields()[name][batches][:, list(strokes)])


@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize(("colored", "shared"), LAYOUTS)
def test_cat_undoes_slicing(colored: bool, shared: bool, dim: int) -> None:
    whole = make(colored, shared)
    parts = [whole[:1], whole[1:]] if dim == 0 else [whole[:, :2], whole[:, 2:2], whole[:, 2:]]
    joined = Stamps.cat(parts, dim)
    assert_same(joined, whole)
    assert not shared or joined.patches is whole.patches


def test_cat_joins_shared_patches_and_fills_in_opacity() -> None:
    a, b = make(patch_id=torch.tensor([[-5, 0, 1, 2, 3, 9]] * B)), make(opacity=None)
    joined = Stamps.cat([a, b, a])
    assert torch.equal(joined.patches, torch.cat([a.patches, b.patches]))
    assert joined.patch_id[0, :N].tolist() == [-5, 0, 1, 2, -2, -2]
    assert torch.equal(joined.patch_id[:, N : 2 * N], b.patch_id + K)
    assert torch.equal(joined.opacity[:, N : 2 * N], torch.ones(B, N))
    # What was over the others still is.
    background = lay(Stamps.cat([a, b]))
    torch.testing.assert_close(lay(joined), composite_patches(**a.fields(), background=background))


@pytest.mark.parametrize(
    ("others", "dim", "message"),
    [
        (lambda: [], 1, "at least one"),
        (lambda: [make(), make()], 2, "dim must be"),
        (lambda: [make(), make(color=torch.rand(B, N, 1))], 1, "channels, got 3, 1"),
        (lambda: [make(), make().double()], 1, r"dtype, got torch.float32, torch.float64; call to\(\)"),
        (lambda: [make(), make(batch=1)], 1, "batch size, got 2, 1"),
        (lambda: [make(), make(True)], 1, "fields, got color/patch_id, patch_id"),
        (lambda: [make(True, False), make(False, False)], 1, "fields, got neither, color"),
        (lambda: [make(), make(patches=torch.rand(K, 4, 4))], 1, r"patch size, got \(5, 7\), \(4, 4\)"),
    ],
)
def test_cat_rejects(others: Any, dim: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Stamps.cat(others(), dim)


def test_casts_and_moves() -> None:
    stamps = make(patches=torch.rand(K, *SIZE).half())
    assert {x.dtype for x in stamps.to("cpu", torch.float64).fields().values()} == {torch.float64, torch.int64}
    assert {x.device.type for x in stamps.to("meta").fields().values()} == {"meta"}
    assert all(stamps.cpu().fields()[name] is tensor for name, tensor in stamps.fields().items())


def test_autograd_graph_is_kept() -> None:
    stamps = make().requires_grad_()
    leaves = {name: tensor for name, tensor in stamps.fields().items() if name != "patch_id"}
    used = Stamps.cat([stamps[:, ::2].scaled(2.0), stamps[:, 1::2].stretched(1.0, 2.0)]).shifted(1.0, 2.0).clone()
    sum(tensor.sum() for tensor in used.fields().values()).backward()
    assert all(tensor.grad is not None and tensor.grad.abs().sum() > 0 for tensor in leaves.values())
    assert not any(tensor.requires_grad for tensor in stamps.detach().fields().values())


def test_moved_stamps_are_the_moved_painting() -> None:
    patches = torch.rand(K, *SIZE)
    linear = torch.tensor([[3.0, -2.0], [2.0, 3.0]]).expand(B, N, 2, 2)
    stamps = make(patches=patches, transform=torch.cat([linear, 8 * torch.rand(B, N, 2, 1)], -1)).double()
    clear = torch.zeros(1, C, 32, 32, dtype=torch.float64)
    painting = composite_patches(**stamps.fields(), background=clear)
    shifted = composite_patches(**stamps.shifted(3, 5).fields(), background=clear)
    torch.testing.assert_close(shifted[:, :, 5:, 3:], painting[:, :, :-5, :-3])
    # A pixel of the smaller painting is all but the mean of those of the larger.
    larger = composite_patches(**stamps.scaled(3.0).fields(), background=clear.repeat(1, 1, 3, 3))
    assert (torch.nn.functional.avg_pool2d(larger, 3) - painting).abs().mean() < 0.02 < painting.abs().mean() / 3
    assert_same(stamps.stretched(3.0, 3.0), stamps.scaled(3.0))
    wider = stamps.stretched(2.0, 1.0)
    assert torch.equal(wider.transform[:, :, 0], 2 * stamps.transform[:, :, 0])
    assert torch.equal(wider.transform[:, :, 1], stamps.transform[:, :, 1])
    with pytest.raises(ValueError, match="factor must be > 0, got nan"):
        stamps.scaled(math.nan)


def test_what_is_not_in_the_mask_is_left_out_with_zero_gradients() -> None:
    stamps = make().double().requires_grad_()
    mask = torch.tensor([True, False, True, True, False, False])
    image = lay(stamps.masked(mask))
    torch.testing.assert_close(image, lay(stamps[:, mask]))
    wanted = [stamps.transform, stamps.color, stamps.opacity]
    for gradient in torch.autograd.grad(image.square().sum(), wanted):
        assert gradient.isfinite().all()
        assert not gradient[:, ~mask].any() and gradient[:, mask].any()
    by_canvas = torch.stack([mask, ~mask])
    assert torch.equal(lay(stamps.masked(by_canvas))[1], lay(stamps[1, ~mask])[0])


@pytest.mark.parametrize("factor", [0.1, 1.0, 4.0])
def test_bounds_hold_all_paint(factor: float) -> None:
    stamps = make(True, False, opacity=None).scaled(factor).shifted(8.0, 8.0)
    boxes = stamps.bounds()
    assert boxes.shape == (B, N, 4)
    row, column = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    for k in range(N):
        clear = torch.zeros(B, C, 32, 32)
        touched = (composite_patches(**stamps[:, k].fields(), background=clear) != 0).any(1)
        for painted, (x0, y0, x1, y1) in zip(touched, boxes[:, k].tolist(), strict=True):
            inside = (column + 1 > x0) & (column < x1) & (row + 1 > y0) & (row < y1)
            assert not (painted & ~inside).any()


def test_stamps_that_lay_no_paint_have_no_bounds() -> None:
    stamps = make()
    stamps.transform[0, 0] = 0
    stamps.transform[1, 2, 0, 2] = math.nan
    empty = stamps.bounds()[..., 0] == math.inf
    assert empty.nonzero().tolist() == [[0, 0], [1, 2]]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("transform", math.nan, r"transform must be finite, got nan at stroke \(1, 4\)"),
        ("transform", 0.0, r"determinant of transform must be finite and not 0, got 0 at stroke \(1, 4\)"),
        ("transform", 2e25, "determinant of transform must be finite and not 0, got nan"),
        ("color", -math.inf, "color must be finite, got -inf"),
        ("opacity", 1.7, r"opacity must be in \[0, 1\], got 1.7 at stroke \(1, 4\)"),
        ("patch_id", K, r"patch_id must be in \[0, 2\], got 3 at stroke \(1, 4\)"),
        ("patch_id", -1, r"patch_id must be in \[0, 2\], got -1 at stroke \(1, 4\)"),
    ],
)
def test_validate_names_the_offender(field: str, value: float, message: str) -> None:
    stamps = make()
    stamps.fields()[field][1, 4] = value
    with pytest.raises(ValueError, match=message):
        stamps.validate()


@pytest.mark.parametrize(("colored", "shared"), LAYOUTS)
def test_validate_patches(colored: bool, shared: bool) -> None:
    stamps = make(colored, shared)
    stamps.patches.flatten(0, -4 if colored else -3)[2].view(-1, *SIZE)[-1, 1, 3] = 1.5
    place = ["2" if shared else "0, 2", *(["3"] if colored else []), "1", "3"]
    rule = r"finite, and alpha in \[0, 1\]" if colored else r"in \[0, 1\]"
    with pytest.raises(ValueError, match=rf"patches must be {rule}, got 1.5 at texel \({', '.join(place)}\)"):
        stamps.validate()


def test_colours_of_patches_may_be_anything_finite() -> None:
    stamps = make(True)
    stamps.patches[:, :C] = -7.0
    assert stamps.validate() is stamps
    stamps.patches[0, 0, 0, 0] = math.inf
    with pytest.raises(
        ValueError, match=r"patches must be finite, and alpha in \[0, 1\], got inf at texel \(0, 0, 0, 0\)"
    ):
        stamps.validate()


def test_compiled_functions_take_and_return_stamps() -> None:
    @torch.compile(fullgraph=True, backend="aot_eager")
    def shrink(stamps: Stamps) -> Stamps:
        return Stamps.cat([stamps[:, :1], stamps[:, 3:]]).scaled(0.5).masked(torch.arange(N - 2) > 0)

    stamps = make()
    shrunk = shrink(stamps)
    assert isinstance(shrunk, Stamps) and shrunk.patches.shape == stamps.patches.shape
    assert not shrunk.transform[:, 0].any()
    torch.testing.assert_close(shrunk.transform[:, 1:], stamps.transform[:, 3:] / 2)
