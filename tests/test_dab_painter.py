"""The dab painter: alpha of any size, wherever on the canvas, as the pen moves."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from published_painters import trained
from torch import Tensor

from neural_paint.painters import DabPainter, load_painter, save_painter
from neural_paint.painters.actions import COLOR, CONTROL, END, ENTRY_PRESSURE, PRESSURE, START
from neural_paint.painters.dab import _expose, _path, _pressure, _times


@pytest.fixture
def painter() -> DabPainter:
    torch.manual_seed(0)
    return DabPainter().double().freeze()


@pytest.fixture
def actions() -> Tensor:
    torch.manual_seed(1)
    return torch.rand(8, 12, dtype=torch.float64)


def test_pictures_are_their_coverage_in_the_actions_colour(painter: DabPainter, actions: Tensor) -> None:
    alpha, color = painter.coverage(actions), actions[:, COLOR.slice, None, None]
    torch.testing.assert_close(painter(actions), 1 - alpha[:, None] * (1 - color))
    assert alpha.min() >= 0 and 0.3 < alpha.max() <= 1


@pytest.mark.parametrize("factor", [2, 4])
def test_a_larger_size_shows_the_same_stroke(painter: DabPainter, actions: Tensor, factor: int) -> None:
    """But not quite, as alpha is no linear function of the ink on a pixel's area."""
    large = F.avg_pool2d(painter.coverage(actions, size=64 * factor), factor)
    torch.testing.assert_close(large, painter.coverage(actions), atol=0.05, rtol=0)
    assert (large - painter.coverage(actions)).square().mean() < 2e-5


@pytest.mark.parametrize("size", [8, 16, 32])
def test_a_small_size_needs_fewer_dabs(painter: DabPainter, actions: Tensor, size: int) -> None:
    few, all_of_them = painter.coverage(actions, size=size), _expose(painter._dabs(actions, 1024, None), size)
    assert (few - all_of_them).square().mean() < 2e-5


@pytest.mark.parametrize(("x", "y"), [(5, 0), (-7, 3)])
def test_strokes_move_with_their_points(painter: DabPainter, actions: Tensor, x: int, y: int) -> None:
    actions = 0.3 + 0.4 * actions
    moved = actions.clone()
    for field in (START, CONTROL, END):
        moved[:, field.slice] += torch.tensor([x, y]) / 64
    rolled = painter.coverage(actions).roll((y, x), (1, 2))
    torch.testing.assert_close(painter.coverage(moved)[:, 8:-8, 8:-8], rolled[:, 8:-8, 8:-8])


def test_the_pen_passes_its_points_with_its_pressures(actions: Tensor) -> None:
    t = torch.tensor([[0, 0.125, 0.25, 0.5, 0.75, 1]], dtype=torch.float64)
    place, velocity = _path(actions, t)
    for index, field in ((0, START), (3, CONTROL), (5, END)):
        torch.testing.assert_close(place[:, index], actions[:, field.slice])
    step = (_path(actions, t + 1e-6)[0] - _path(actions, t - 1e-6)[0]) / 2e-6
    torch.testing.assert_close(velocity, step, atol=1e-8, rtol=1e-8)
    entry, last = actions[:, ENTRY_PRESSURE.slice], actions[:, PRESSURE.slice]
    mean = (entry + last) / 2
    expected = torch.cat([entry, (entry + mean) / 2, mean, mean, mean, last], 1)
    torch.testing.assert_close(_pressure(actions, t), expected)


def test_dabs_are_spread_along_the_path_and_over_all_of_its_time(actions: Tensor) -> None:
    t, step = _times(actions, 64)
    assert (t.diff(dim=1) > 0).all() and t.min() > 0 and t.max() < 1
    torch.testing.assert_close(step.sum(1), torch.ones(8, dtype=torch.float64), atol=0.02, rtol=0)
    place, velocity = _path(actions, t)
    length = (velocity.norm(dim=-1) * step).sum(1)
    assert (place.diff(dim=1).norm(dim=-1).amax(1) < 1.4 * length / 64).all()
    # However fast the pen is where it comes from, a sum over the dabs is an integral over the time.
    torch.testing.assert_close((t * step).sum(1), torch.full((8,), 0.5, dtype=torch.float64), atol=0.02, rtol=0)


def test_noise_scatters_the_dabs_and_leaves_their_ink_alone(painter: DabPainter, actions: Tensor) -> None:
    noise = torch.randn(8, painter.dabs, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    still, moved = (painter._dabs(actions, painter.dabs, x) for x in (torch.zeros_like(noise), noise))
    torch.testing.assert_close(moved.mass, still.mass)
    torch.testing.assert_close(moved.variance, still.variance)
    # With the dabs' own width it makes up what the ink is spread over: half and half in a painter that has not learned.
    scatter = (moved.center - still.center).square().mean((0, 1, 2))
    torch.testing.assert_close(scatter, still.variance.mean((0, 1, 2)), rtol=0.2, atol=0)


def test_noise_gives_speckle(painter: DabPainter, actions: Tensor) -> None:
    smooth, generator = painter.coverage(actions), torch.Generator().manual_seed(0)
    first, second = (painter.coverage(actions, generator=generator) for _ in range(2))
    assert (first - second).square().mean() > 1e-3
    assert first.diff(dim=2).square().mean() > 1.1 * smooth.diff(dim=2).square().mean()


def test_learns_what_another_one_paints(actions: Tensor) -> None:
    torch.manual_seed(0)
    teacher, painter = trained(lambda: DabPainter(dabs=32, width=8)), DabPainter(dabs=32, width=8)
    actions = torch.rand(64, 12)
    wanted = teacher.coverage(actions)
    optimizer = torch.optim.Adam(painter.parameters(), lr=2e-2)
    losses = []
    for _ in range(40):
        loss = (painter.coverage(actions) - wanted).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.4 * losses[0]


def test_a_pen_that_does_not_move_paints_nothing_and_has_finite_gradients(painter: DabPainter) -> None:
    actions = torch.full((1, 12), 0.5, dtype=torch.float64, requires_grad=True)
    alpha = painter.coverage(actions)
    assert alpha.max() < 0.05
    (gradient,) = torch.autograd.grad(alpha.sum(), actions)
    assert gradient.isfinite().all()


def test_any_size_loads_back(painter: DabPainter, actions: Tensor, tmp_path) -> None:
    small = DabPainter(dabs=7, width=5).double()
    save_painter(small, tmp_path / "small.safetensors")
    loaded = load_painter(tmp_path / "small.safetensors")
    assert loaded.architecture() == {"dabs": 7, "width": 5}
    torch.testing.assert_close(loaded.coverage(actions, size=9, chunk=3), small.freeze().coverage(actions, size=9))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DabPainter(dabs=0), "dabs must be >= 1, got 0"),
        (lambda: DabPainter(width=0), "width must be >= 1, got 0"),
        (lambda: DabPainter().coverage(torch.rand(1, 12), size=0), "size must be >= 1, got 0"),
    ],
)
def test_rejects_bad_input(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
