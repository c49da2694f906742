"""The ActionStrokes container, and how a neural painter lays its strokes on a canvas of any size."""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from neural_paint import ActionStrokes, Stamps, Strokes
from neural_paint.painters import DabPainter, GANPainter, NeuralPainter, VAEPainter, load_painter, save_painter
from neural_paint.painters.actions import COLOR, CONTROL, END, SIZE, START
from neural_paint.painters.digest import digest
from neural_paint.tasks import render, timelapse
from neural_paint.tasks.lay import lay

B, N = 2, 6
CANVAS = (40, 56)


def dab() -> DabPainter:
    """As it is before training: strokes of even ink."""
    return DabPainter(dabs=32, width=4).freeze()


def make(batch: int = B, count: int = N, dtype: torch.dtype = torch.float32, **fields: Tensor) -> ActionStrokes:
    """Valid strokes on a canvas of 40 x 56 pixels, some of them across its edge."""
    corner = torch.rand(batch, count, 2, dtype=dtype) * torch.tensor([56.0, 40.0]) - 10
    made = {
        "actions": torch.rand(batch, count, 12, dtype=dtype),
        "place": torch.cat([corner, 5 + 30 * torch.rand(batch, count, 1, dtype=dtype)], -1),
    }
    return ActionStrokes(**{**made, **fields})


def background(size: tuple[int, int] = CANVAS, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.linspace(0, 1, size[0] * size[1], dtype=dtype).reshape(1, 1, *size).expand(1, 3, -1, -1)


def assert_same(a: ActionStrokes, b: ActionStrokes) -> None:
    assert all(torch.equal(tensor, b.fields()[name]) for name, tensor in a.fields().items())


def assert_close(a: Stamps, b: Stamps) -> None:
    assert all(torch.allclose(tensor, b.fields()[name], atol=1e-5) for name, tensor in a.fields().items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("batch", "count"), [(2, 6), (1, 0), (0, 3)])
def test_properties(batch: int, count: int, dtype: torch.dtype) -> None:
    strokes = make(batch, count, dtype)
    assert strokes.shape == (strokes.batch_size, strokes.num_strokes) == (batch, count)
    assert strokes.channels == 3 and strokes.dtype == dtype and strokes.device == torch.device("cpu")
    assert repr(strokes).startswith(f"ActionStrokes(B={batch}, N={count}, C=3, dtype=")
    assert strokes.validate() is strokes
    painted = lay(strokes, background(dtype=dtype), dab().to(dtype))
    assert painted.shape == (batch, 3, *CANVAS) and painted.dtype == dtype


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"actions": torch.zeros(B, N, 11)}, ValueError, r"actions must have shape \(B, N, 12\), got \(2, 6, 11\)"),
        ({"actions": torch.zeros(N, 12)}, ValueError, r"actions must have shape \(B, N, 12\), got \(6, 12\)"),
        ({"actions": torch.zeros(B, N, 12).half()}, TypeError, "actions must be float32 or float64, got float16"),
        ({"actions": [[0.0]]}, TypeError, "actions must be a tensor, got list"),
        ({"place": torch.zeros(B, N, 4)}, ValueError, r"place must have shape \(2, 6, 3\), got \(2, 6, 4\)"),
        ({"place": torch.zeros(B, 1, 3)}, ValueError, r"place must have shape \(2, 6, 3\), got \(2, 1, 3\)"),
        ({"place": torch.zeros(B, N, 3).double()}, TypeError, "place must have the dtype of actions, torch.float32"),
        ({"place": torch.zeros(B, N, 3, device="meta")}, ValueError, "place must be on the device of actions, cpu"),
        ({"seed": 3}, TypeError, "seed must be an int64 tensor, got int"),
        ({"seed": torch.zeros(B, N)}, TypeError, "seed must be an int64 tensor, got torch.float32"),
        ({"seed": torch.zeros(N).long()}, ValueError, r"seed must have shape \(2, 6\), got \(6,\)"),
        ({"seed": torch.zeros(B, N, device="meta").long()}, ValueError, "seed must be on the device of actions, cpu"),
    ],
)
def test_rejects_bad_input(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make(**changes)


@pytest.mark.parametrize(
    ("field", "entry", "value", "message"),
    [
        ("seed", ..., -1, r"seed must be >= 0, got -1 at stroke \(1, 4\)"),
        ("actions", 3, 1.5, r"actions must be in \[0, 1\], got 1.5 at stroke \(1, 4\)"),
        ("actions", 0, -0.1, r"actions must be in \[0, 1\], got -0.1 at stroke \(1, 4\)"),
        ("actions", 0, math.nan, r"actions must be in \[0, 1\], got nan at stroke \(1, 4\)"),
        ("place", 1, math.inf, r"place must be finite, got inf at stroke \(1, 4\)"),
        ("place", 2, 0.0, r"side of place must be finite and > 0, got 0 at stroke \(1, 4\)"),
    ],
)
def test_validate_names_the_offender(field: str, entry: Any, value: float, message: str) -> None:
    strokes = make().seeded(0)
    strokes.fields()[field][1, 4, entry] = value
    with pytest.raises(ValueError, match=message):
        strokes.validate()


@pytest.mark.parametrize(
    ("key", "batches", "strokes"),
    [
        (-1, [1], range(N)),
        ((slice(None), slice(1, 5, 2)), [0, 1], [1, 3]),
        ((torch.tensor([1, 0]), torch.tensor([5, 1, 2])), [1, 0], [5, 1, 2]),
    ],
)
def test_selection(key: Any, batches: list[int], strokes: list[int]) -> None:
    whole = make().seeded(0)
    part = whole[key]
    assert_same(part, ActionStrokes(**{k: x[batches][:, list(strokes)] for k, x in whole.fields().items()}))


@pytest.mark.parametrize("dim", [0, 1])
def test_cat_undoes_slicing(dim: int) -> None:
    whole = make().seeded(0)
    parts = [whole[:1], whole[1:]] if dim == 0 else [whole[:, :2], whole[:, 2:2], whole[:, 2:]]
    assert_same(ActionStrokes.cat(parts, dim), whole)


def test_cat_rejects_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="cat needs strokes with the same dtype"):
        ActionStrokes.cat([make(), make().double()])
    with pytest.raises(ValueError, match="the same fields, got actions/place, actions/place/seed"):
        ActionStrokes.cat([make(), make().seeded(0)])
    with pytest.raises(ValueError, match="cat needs at least one"):
        ActionStrokes.cat([])


def test_stamps_are_the_painters_masks_in_their_places() -> None:
    painter, strokes = dab(), make(1, 1, place=torch.tensor([[[3.0, -4.0, 32.0]]]))
    painted = lay(strokes.to_stamps(painter, 32), torch.ones(1, 3, 48, 40))
    mask = painter.coverage(strokes.actions, size=32)[0, 0]
    expected = torch.ones(1, 3, 48, 40)
    color = strokes.actions[0, 0, COLOR.slice, None, None]
    expected[0, :, :28, 3:35] = 1 - mask[4:] * (1 - color)
    assert mask.max() > 0.1
    assert torch.allclose(painted, expected, atol=1e-6)


@pytest.mark.parametrize(
    "painter", [GANPainter(dim=4, noise_size=0).freeze(), VAEPainter().freeze()], ids=["gan", "vae"]
)
def test_painters_of_pictures_show_actions_too(painter: NeuralPainter) -> None:
    strokes = make()
    assert strokes.to_stamps(painter, chunk=5).patches.shape == (B, N, 64, 64)
    assert torch.equal(strokes.to_stamps(painter).patches, painter.coverage(strokes.actions))
    with pytest.raises(ValueError, match="size must be 64"):
        strokes.to_stamps(painter, 32)
    assert not torch.equal(lay(strokes, background(), painter)[0], background()[0])


@pytest.mark.parametrize("seed", [None, torch.tensor([[3, 2**63 - 1]])], ids=["smooth", "speckled"])
def test_gradients_reach_actions_and_places(seed: Tensor | None) -> None:
    painter = dab().double()
    strokes = make(1, 2, torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda actions, place: lay(
            ActionStrokes(actions=actions, place=place, seed=seed).to_stamps(painter, 8),
            background((9, 11), torch.float64),
        ),
        (strokes.actions, strokes.place.detach().mul(0.3).requires_grad_()),
        atol=1e-4,
        eps=1e-7,
    )


def test_each_stroke_has_a_seed_of_its_own() -> None:
    strokes = make()
    first, again, other = strokes.seeded(1), strokes.seeded(1), strokes.seeded(2)
    assert first.seed is not None and first.seed.shape == (B, N) and first.seed.dtype == torch.int64
    assert len(first.seed.unique()) == B * N
    assert_same(first.validate(), again)
    assert not torch.equal(first.seed, other.fields()["seed"])
    assert first.seeded(2).double().replace(seed=None).seed is None


def test_speckle_depends_on_the_seed_alone() -> None:
    painter, strokes = dab(), make().seeded(0)
    masks = strokes.to_stamps(painter, chunk=5).patches
    order = torch.tensor([5, 0, 3])
    assert torch.allclose(strokes[1, order].to_stamps(painter).patches, masks[1:, order], atol=1e-6)
    assert torch.allclose(strokes.double().to_stamps(dab_like(painter)).patches.float(), masks, atol=1e-4)
    alike = strokes.replace(actions=strokes.actions[:1, :1].expand(B, N, 12), seed=torch.tensor([[7] * 5 + [8]] * B))
    first, *others, last = alike.to_stamps(painter).patches[0]
    assert all(torch.allclose(first, other, atol=1e-6) for other in others)
    assert (first - last).abs().max() > 0.1
    assert not torch.allclose(strokes.replace(seed=None).to_stamps(painter).patches, masks, atol=0.1)


def dab_like(painter: NeuralPainter) -> NeuralPainter:
    """The same painter in float64."""
    other = DabPainter(**painter.architecture()).double().freeze()
    other.load_state_dict(painter.state_dict())
    return other


def test_speckle_is_the_same_at_every_size() -> None:
    painter, strokes = dab(), make().seeded(0)
    small = strokes.to_stamps(painter, 64).patches
    large = F.avg_pool2d(strokes.to_stamps(painter, 256).patches, 4)
    other = strokes.seeded(1).to_stamps(painter, 64).patches
    assert (large - small).square().mean() < 1e-4 < 1e-3 < (other - small).square().mean()


def test_seeds_are_for_painters_with_noise_alone() -> None:
    strokes = make().seeded(0)
    plain = strokes.replace(seed=None)
    for painter in (GANPainter(dim=4, noise_size=0).freeze(), VAEPainter(stochastic=False).freeze()):
        assert torch.equal(strokes.to_stamps(painter).patches, plain.to_stamps(painter).patches)
    uniform = GANPainter(dim=4, noise="uniform").freeze()
    assert not torch.equal(strokes.to_stamps(uniform).patches, plain.to_stamps(uniform).patches)
    noise = uniform.seeded_noise(torch.arange(200))
    assert noise.min() >= 0 and noise.max() < 1 and abs(noise.mean() - 0.5) < 0.03


def test_moved_strokes_are_the_moved_stamps() -> None:
    painter, strokes = dab(), make().seeded(0)
    stamps = strokes.to_stamps(painter)
    assert_close(strokes.scaled(2.5).to_stamps(painter), stamps.scaled(2.5))
    assert_close(strokes.stretched(2.5, 2.5).to_stamps(painter), stamps.scaled(2.5))
    assert_close(strokes.shifted(3, -7).to_stamps(painter), stamps.shifted(3, -7))
    with pytest.raises(ValueError, match="factor must be > 0"):
        strokes.scaled(0)


def test_squares_stay_squares_on_a_stretched_canvas() -> None:
    strokes = make()
    corner, side = strokes.stretched(3, 2).place.split([2, 1], -1)
    middle = strokes.place[..., :2] + strokes.place[..., 2:] / 2
    assert torch.allclose(corner + side / 2, middle * torch.tensor([3.0, 2.0]), atol=1e-4)
    assert torch.allclose(side, strokes.place[..., 2:] * math.sqrt(6))
    assert torch.equal(strokes.stretched(3, 2).actions, strokes.actions)


def test_what_is_masked_leaves_no_paint() -> None:
    painter, strokes = dab(), make().seeded(0)
    mask = torch.tensor([True, False, True, True, False, False])
    painted = lay(strokes.masked(mask), background(), painter)
    assert torch.equal(painted, lay(strokes[:, mask], background(), painter))
    assert torch.equal(
        lay(strokes.masked(torch.zeros(N).bool()), background(), painter), background().expand(B, -1, -1, -1)
    )


def test_bounds_hold_all_paint() -> None:
    strokes = make(1, 40)
    x, y = torch.arange(56) + 0.5, torch.arange(40)[:, None] + 0.5
    painted = 0
    for index, (x0, y0, x1, y1) in enumerate(strokes.bounds()[0].tolist()):
        changed = lay(strokes[:, index : index + 1], background(), dab()) != background()
        painted += int(changed.any())
        assert not (changed & ((x < x0) | (x > x1) | (y < y0) | (y > y1))).any()
    assert painted > 20
    nothing = [math.inf, math.inf, -math.inf, -math.inf]
    assert make(1, 1, place=torch.tensor([[[0.0, math.nan, 1]]])).bounds().flatten().tolist() == nothing
    assert strokes.masked(torch.zeros(40).bool()).bounds()[0, 0].tolist() == nothing


def counted(painter: NeuralPainter, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """How many masks of which size the painter makes at a time, from now on."""
    calls, coverage = [], painter.coverage

    def note(actions: Tensor, *args: Any, size: int = 64, **options: Any) -> Tensor:
        calls.append((actions.shape[1], size))
        return coverage(actions, *args, size=size, **options)

    monkeypatch.setattr(painter, "coverage", note)
    return calls


@pytest.mark.parametrize(
    ("painter", "factor", "sizes"),
    [(dab(), 0.5, {32}), (dab(), 4, {128, 256}), (dab(), 300, {512}), (GANPainter(dim=4).freeze(), 300, {64})],
)
def test_masks_are_as_fine_as_they_are_shown_and_few_at_a_time(
    painter: NeuralPainter, factor: float, sizes: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = counted(painter, monkeypatch)
    lay(make(1, 150).scaled(factor), background(), painter)
    assert sum(count for count, _ in calls) == 150
    assert max(count for count, _ in calls) <= 32
    assert {size for _, size in calls} <= sizes


def test_a_large_painting_shows_no_texels() -> None:
    """A stroke 1500 pixels wide is as smooth as one made at that size."""
    painter = dab()
    strokes = make(1, 1, place=torch.tensor([[[0.0, 0.0, 1500.0]]]))
    strokes.actions[0, 0, SIZE.slice] = 0
    for field, point in ((START, (0.2, 0.3)), (CONTROL, (0.5, 0.4)), (END, (0.8, 0.7))):
        strokes.actions[0, 0, field.slice] = torch.tensor(point)
    white = torch.ones(1, 3, 1500, 1500)
    exact = lay(strokes.to_stamps(painter, 1500), white)
    assert (exact - 1).abs().max() > 0.1
    assert (lay(strokes, white, painter) - exact).abs().max() < 0.02


@pytest.mark.parametrize("speckled", [False, True])
def test_render_in_bands_and_the_last_frame_are_the_painting(speckled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    painter, strokes = dab(), make(1, 150)
    strokes = strokes.seeded(0) if speckled else strokes
    strokes.place[:, :, 2] *= torch.linspace(2, 0.2, 150)
    size, color = (80, 112), [0.2, 0.5, 0.8]
    whole = render(strokes, CANVAS, color, size, painter=painter)
    monkeypatch.setattr(sys.modules["neural_paint.tasks.render"], "_ACTION_BAND_PIXELS", 112 * 7)
    in_bands = render(strokes, CANVAS, color, size, painter=painter)
    *_, frame = timelapse(strokes, CANVAS, color, size, 5, painter=painter)
    under = torch.tensor(color)[None, :, None, None].expand(1, 3, *size)
    for painted in (lay(strokes.scaled(2), under, painter), in_bands, frame):
        assert (whole - painted).abs().max() < 1e-5


def test_actions_are_not_painted_without_a_painter() -> None:
    with pytest.raises(ValueError, match="painter must be given for strokes that are actions"):
        render(make(1), CANVAS, [1, 1, 1], CANVAS)


def test_a_digest_tells_painters_apart(tmp_path: Any) -> None:
    painter = GANPainter(dim=4).freeze()
    save_painter(painter, tmp_path / "gan.safetensors")
    known = digest(painter)
    assert len(known) == 64 and known == digest(load_painter(tmp_path / "gan.safetensors"))
    with torch.no_grad():
        next(painter.parameters()).view(-1)[0] += 1e-3
    assert digest(painter) != known != digest(GANPainter(dim=4, noise_size=0))


def test_other_strokes_need_no_painter() -> None:
    strokes = Strokes(
        points=torch.rand(1, 3, 3, 2) * 20,
        radius=torch.ones(1, 3, 2),
        color=torch.rand(1, 3, 3),
        opacity=torch.ones(1, 3),
    )
    assert torch.equal(lay(strokes, background(), dab()), lay(strokes, background()))
