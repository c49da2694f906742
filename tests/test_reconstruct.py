"""The photograph painter: its pictures get better, its states are valid, its budget holds."""

from __future__ import annotations

import importlib
import itertools

import pytest
import torch
from torch import Tensor

from neural_paint import ActionStrokes
from neural_paint.action_strokes import AnyStrokes
from neural_paint.brushes import BRUSHES, BitmapBrush, Brush
from neural_paint.io import demo_photo, load_image
from neural_paint.painters import DabPainter, GANPainter, NeuralPainter
from neural_paint.painters.actions import COLOR, CONTROL, END, SIZE, START
from neural_paint.tasks import Step, reconstruct, render
from neural_paint.tasks.action_parameters import ActionParameters
from neural_paint.tasks.lay import lay
from neural_paint.tasks.parameters import StrokeParameters
from neural_paint.tasks.placement import Placement, place, stroke_worth
from neural_paint.tasks.schedule import waves
from neural_paint.tasks.stamp_parameters import StampParameters

# A tip that is neither round nor symmetric.
TIP = BitmapBrush(torch.linspace(0.3, 1, 9)[None, None] * (1 - torch.linspace(-0.8, 0.8, 5)[None, :, None] ** 2))
BRUSHES_OF_BOTH_KINDS = pytest.mark.parametrize("brush", ["round", TIP], ids=["strokes", "stamps"])
# As they are before training; the first has masks of any size, and is optimised with few texels.
DAB, GAN = DabPainter(dabs=32, width=4).freeze(), GANPainter(dim=4, noise_size=0).freeze()
TOOLS = pytest.mark.parametrize("brush", ["round", TIP, GAN, DAB], ids=["strokes", "stamps", "gan", "dab"])
Tool = str | BitmapBrush | NeuralPainter


def _photo(size: int = 48) -> Tensor:
    return load_image(demo_photo(), size=size)


def _last(photo: Tensor, strokes: int, **options: object) -> Step:
    *_, step = reconstruct(photo, strokes, **options)
    return step


def _painter(brush: object) -> NeuralPainter | None:
    return brush if isinstance(brush, NeuralPainter) else None


def _same(a: AnyStrokes, b: AnyStrokes) -> bool:
    return all(torch.equal(x, b.fields()[name]) for name, x in a.fields().items())


@pytest.mark.parametrize(("brush", "gain"), [("round", 6), (TIP, 5), (DAB, 5)], ids=["strokes", "stamps", "dab"])
def test_painting_is_far_better_than_the_mean_color(brush: Tool, gain: float) -> None:
    photo = _photo()
    step = _last(photo, 30, steps=60, brush=brush)
    flat = (photo - photo.mean((2, 3), keepdim=True)).square().mean()
    assert step.psnr > -10 * float(flat.log10()) + gain


@TOOLS
def test_every_step_is_a_valid_painting(brush: Tool) -> None:
    photo = _photo()
    counts = []
    for index, step in enumerate(reconstruct(photo, 20, steps=40, brush=brush)):
        assert step.index == index
        assert step.progress == pytest.approx((index + 1) / 40)
        step.strokes.validate()
        background = step.background[:, :, None, None].expand_as(photo).contiguous()
        if brush is not DAB or index == 39:
            assert torch.allclose(lay(step.strokes, background, _painter(brush)), step.canvas, atol=1e-6)
        assert torch.allclose((step.canvas - photo).square().mean((1, 2, 3)), step.mse)
        assert step.canvas.min() >= 0 and step.canvas.max() <= 1
        counts.append(step.strokes.num_strokes)
    assert index == 39
    assert counts == sorted(counts)
    assert counts[-1] == 20


def test_earlier_steps_stay_as_they_were() -> None:
    painter = reconstruct(_photo(32), 10, steps=10)
    step = next(painter)
    strokes, canvas = step.strokes.clone(), step.canvas.clone()
    list(painter)
    assert _same(step.strokes, strokes)
    assert torch.equal(step.canvas, canvas)


@TOOLS
def test_same_seed_same_bits(brush: Tool) -> None:
    first, again, other = (_last(_photo(32), 15, steps=15, seed=seed, brush=brush) for seed in (3, 3, 4))
    assert _same(first.strokes, again.strokes)
    assert torch.equal(first.canvas, again.canvas)
    assert not torch.equal(first.canvas, other.canvas)


def test_first_strokes_are_the_broad_ones() -> None:
    step = _last(_photo(64), 50, steps=30)
    radius = step.strokes.radius.mean((0, 2))
    assert radius[:5].mean() > 1.5 * radius[-25:].mean()


@pytest.mark.parametrize("strokes", [1, 2, 31, 32, 250, 5000])
def test_waves_go_from_few_broad_strokes_to_many_fine_ones(strokes: int) -> None:
    plan = waves(strokes, 0.1)
    begins, totals, radii = zip(*plan, strict=True)
    assert begins[0] == 0 and list(begins) == sorted(set(begins)) and begins[-1] < 1
    assert list(totals) == sorted(totals) and totals[0] == min(strokes, totals[0]) < 32 and totals[-1] == strokes
    assert list(radii) == sorted(radii, reverse=True) and radii[-1] == 0.1


def _prefix_psnr(step: Step, photo: Tensor, count: int) -> float:
    background = step.background[:, :, None, None].expand_as(photo)
    return -10 * float((lay(step.strokes[:, :count], background) - photo).square().mean().log10())


def test_the_first_strokes_are_a_good_painting() -> None:
    photo = _photo(64)
    step = _last(photo, 96, steps=150)
    scores = [_prefix_psnr(step, photo, count) for count in range(97)]
    lengths = (0, 8, 32, 96)
    for few, many in itertools.pairwise(lengths):
        assert scores[many] > scores[few] + 0.1, (few, many)
    for count in lengths[1:-1]:
        assert scores[count] > _last(photo, count, steps=100).psnr - 3.5, count
    # No stroke waits for later ones to be right.
    assert min(b - a for a, b in itertools.pairwise(scores)) > -1.5


def test_a_batch_gives_each_photograph_what_it_gets_alone() -> None:
    photos = torch.cat([_photo(40), 1 - _photo(40).flip(3)])
    both = list(reconstruct(photos, 30, steps=60))
    for index, photo in enumerate(photos):
        alone = list(reconstruct(photo[None], 30, steps=60))
        assert torch.allclose(alone[0].strokes.points[0], both[0].strokes.points[index], atol=1e-3)
        assert alone[-1].psnr == pytest.approx(-10 * float(both[-1].mse[index].log10()), abs=0.5)


class _Clock:
    """Stands for the module `time`: every look at it takes an eighth of a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        self.now += 0.125
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(importlib.import_module("neural_paint.tasks.schedule"), "time", clock)
    return clock


@pytest.mark.parametrize("seconds", [0.001, 0.125, 0.5, 3.0])
def test_seconds_are_kept_and_all_strokes_placed(clock: _Clock, seconds: float) -> None:
    steps = list(reconstruct(_photo(32), 25, seconds=seconds))
    assert len(steps) == max(int(seconds / 0.125), 2)
    assert steps[-1].strokes.validate().num_strokes == 25
    assert steps[-1].progress == 1
    assert all(a.progress < b.progress for a, b in itertools.pairwise(steps[:-1]))


def test_time_of_the_caller_is_not_counted(clock: _Clock) -> None:
    steps = 0
    for _ in reconstruct(_photo(32), 10, seconds=1.0):
        clock.now += 100
        steps += 1
    assert steps == 8


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (2, 3), (17, 63), (64, 9)])
@pytest.mark.parametrize("strokes", [1, 12])
@TOOLS
def test_any_size(size: tuple[int, int], strokes: int, brush: Tool) -> None:
    step = _last(torch.rand(1, 3, *size), strokes, steps=8, brush=brush)
    assert step.canvas.shape == (1, 3, *size)
    assert step.strokes.validate().shape == (1, strokes)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_fewer_steps_than_waves(steps: int) -> None:
    *_, step = reconstruct(_photo(32), 30, steps=steps)
    assert step.index == steps - 1
    assert step.strokes.validate().num_strokes == 30


@pytest.mark.parametrize("brush", ["round", TIP, DAB], ids=["strokes", "stamps", "dab"])
def test_flat_photographs(brush: Tool) -> None:
    for value in (0.0, 0.5, 1.0):
        assert _last(torch.full((1, 3, 24, 24), value), 10, steps=10, brush=brush).psnr > 45


@BRUSHES_OF_BOTH_KINDS
def test_batch_of_grey_photographs_in_float64(brush: str | BitmapBrush) -> None:
    photos = torch.stack([_photo(32).mean(1), 1 - _photo(32).mean(1)]).double()
    step = _last(photos, 12, steps=20, brush=brush)
    assert step.strokes.validate().shape == (2, 12)
    assert step.canvas.dtype == torch.float64
    assert step.mse.shape == (2,)
    geometry = step.strokes.points if brush == "round" else step.strokes.transform
    assert not torch.equal(geometry[0], geometry[1])


def test_fit_sets_the_longest_side() -> None:
    step = next(reconstruct(torch.rand(1, 3, 30, 60), 5, steps=5, fit=20))
    assert step.canvas.shape == (1, 3, 10, 20)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strokes": 0}, r"strokes must be at least 1, got 0"),
        ({"steps": 0}, r"steps must be at least 1, got 0"),
        ({"seconds": 0.0}, r"seconds must be > 0 and finite, got 0\.0"),
        ({"seconds": float("nan")}, r"seconds must be > 0 and finite, got nan"),
        ({"steps": 1, "seconds": 1.0}, r"steps and seconds exclude each other"),
        ({"fit": 0}, r"fit must be at least 1, got 0"),
    ],
)
def test_rejects_bad_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reconstruct(_photo(16), **options)


@pytest.mark.parametrize(
    ("photo", "error", "message"),
    [
        (torch.rand(3, 8, 8), ValueError, r"photo must have shape \(B, C, H, W\).*got \(3, 8, 8\)"),
        (torch.rand(1, 3, 0, 8), ValueError, r"without an empty side, got \(1, 3, 0, 8\)"),
        (torch.full((1, 3, 8, 8), 1.5), ValueError, r"photo must be in \[0, 1\]"),
        (torch.full((1, 3, 8, 8), float("nan")), ValueError, r"photo must be in \[0, 1\], got values outside or nan"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), TypeError, r"photo must be a floating tensor, got torch.uint8"),
        ("cat.jpg", TypeError, r"photo must be a floating tensor, got str"),
    ],
)
def test_rejects_bad_photos(photo: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        reconstruct(photo)


@pytest.mark.parametrize(
    ("kind", "brush"), [(StrokeParameters, BRUSHES["round"]), (StampParameters, TIP), (ActionParameters, DAB)]
)
def test_bad_gradients_do_no_harm(
    kind: type[StrokeParameters] | type[StampParameters] | type[ActionParameters], brush: Brush | Tool
) -> None:
    parameters = kind(1, 3, 4, 8.0, brush, torch.empty(0))
    placement = Placement(torch.rand(1, 4, 2) * 32, torch.randn(1, 4, 2), torch.rand(1, 4, 3))
    parameters.append(placement, 3.0, torch.Generator())
    for value in (float("nan"), float("inf"), -1e9, 0.0):
        for _ in range(20):
            parameters.update(torch.full_like(parameters.rows, value), torch.tensor(1.0))
        parameters.strokes().validate()


@BRUSHES_OF_BOTH_KINDS
def test_worth_is_the_error_that_leaving_out_adds(brush: str | BitmapBrush) -> None:
    photo = _photo(32)
    strokes = _last(photo, 12, steps=12, brush=brush).strokes
    background = photo.mean((2, 3), keepdim=True).expand_as(photo).contiguous()
    whole = (lay(strokes, background) - photo).square().sum()
    exact = torch.stack(
        [
            (lay(strokes[:, torch.arange(12) != left_out], background) - photo).square().sum() - whole
            for left_out in range(12)
        ]
    )
    generator = torch.Generator().manual_seed(0)
    estimates = torch.stack([stroke_worth(strokes, background, photo, generator)[0] for _ in range(200)])
    spread = estimates.std(0) / 200**0.5
    assert ((estimates.mean(0) - exact).abs() < 5 * spread + 1e-3 * exact.abs().max()).all()


def test_strokes_are_placed_on_the_error_along_the_edge() -> None:
    photo = torch.zeros(1, 3, 64, 64)
    photo[..., 40:44] = 1  # a white vertical bar
    placement = place(photo, torch.zeros_like(photo), 20, 2.0, torch.Generator().manual_seed(0))
    x, along = placement.points[0, :, 1, 0], placement.points[0, :, 2] - placement.points[0, :, 0]
    assert ((x > 35) & (x < 49)).float().mean() > 0.9
    assert (along[:, 1].abs() > 5 * along[:, 0].abs()).float().mean() > 0.9


@BRUSHES_OF_BOTH_KINDS
def test_render_in_bands_is_the_painting_scaled(brush: str | BitmapBrush, monkeypatch: pytest.MonkeyPatch) -> None:
    step = _last(_photo(32), 20, steps=10, brush=brush)
    canvas, background = step.canvas.shape[2:], step.background[0].tolist()
    assert torch.allclose(render(step.strokes, canvas, background, canvas), step.canvas, atol=1e-6)
    size = (canvas[0] * 4, canvas[1] * 4)
    under = step.background[:, :, None, None].expand(-1, -1, *size).contiguous()
    whole = lay(step.strokes.scaled(4), under)
    monkeypatch.setattr(importlib.import_module("neural_paint.tasks.render"), "_BAND_PIXELS", 700)
    assert (render(step.strokes, canvas, background, size) - whole).abs().max() < 1e-3


@TOOLS
def test_it_paints_where_the_caller_wants_no_gradients(brush: Tool) -> None:
    photo = torch.rand(1, 3, 24, 24)
    with torch.no_grad():
        *_, last = reconstruct(photo, strokes=5, steps=3, brush=brush)
    assert not last.canvas.requires_grad
    assert last.strokes.num_strokes == 5


@pytest.mark.parametrize(
    ("photo", "painter", "message"),
    [
        (torch.rand(1, 1, 8, 8), DAB, "photo must have 3 channels for a neural painter, got 1"),
        (torch.rand(1, 3, 8, 8).double(), DAB, "brush must be a painter in torch.float64 on cpu, as the photo, got"),
        (torch.rand(1, 3, 8, 8), DabPainter(), r"must be a painter in eval mode: call its freeze\(\) first"),
    ],
)
def test_rejects_painters_that_do_not_fit(photo: Tensor, painter: NeuralPainter, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reconstruct(photo, brush=painter)


def test_a_batch_in_float64_is_painted_with_actions() -> None:
    photos = torch.cat([_photo(32), 1 - _photo(32).flip(3)]).double()
    step = _last(photos, 12, steps=20, brush=DabPainter(dabs=16, width=4).double().freeze())
    assert isinstance(step.strokes.validate(), ActionStrokes) and step.strokes.shape == (2, 12)
    assert step.canvas.dtype == torch.float64 and step.mse.shape == (2,)
    assert not torch.equal(step.strokes.place[0], step.strokes.place[1])


def test_actions_are_the_strokes_of_their_rows() -> None:
    """Points and radii are what was free; the squares hold the ink, and none is larger than it must be."""
    parameters = ActionParameters(1, 3, 40, 8.0, DAB, torch.empty(0))
    placement = Placement(torch.rand(1, 40, 2) * 64 - 8, 6 * torch.randn(1, 40, 2), torch.rand(1, 40, 3))
    parameters.append(placement, 3.0, torch.Generator())
    strokes = parameters.strokes().validate()
    corner, side = strokes.place.split([2, 1], -1)
    points = [corner + side * strokes.actions[..., field.slice] for field in (START, CONTROL, END)]
    radius = side / 64 * (2 * strokes.actions[..., SIZE.slice]).exp()
    assert torch.allclose(torch.stack(points, 2), placement.points, atol=1e-4)
    assert torch.allclose(radius, torch.full_like(radius, 3.0), rtol=1e-4)
    assert torch.allclose(strokes.actions[..., COLOR.slice], placement.color, atol=1e-6)
    length = (placement.points[:, :, 2] - placement.points[:, :, 0]).abs().amax(-1, keepdim=True)
    assert (side >= length + 2 * 1.2 * radius).all() and (side < length + 12 * radius).all()
    assert (strokes.actions[..., SIZE.slice] == 1).any() and (strokes.actions[..., SIZE.slice] < 0.9).any()


def test_long_thin_strokes_are_as_thin_as_actions_are() -> None:
    parameters = ActionParameters(1, 3, 1, 8.0, DAB, torch.empty(0))
    far = Placement(torch.full((1, 1, 2), 50.0), torch.tensor([[[400.0, 0]]]), torch.rand(1, 1, 3))
    parameters.append(far, 0.6, torch.Generator())
    strokes = parameters.strokes().validate()
    assert strokes.actions[0, 0, SIZE.slice] == 0 and strokes.place[0, 0, 2] > 800
