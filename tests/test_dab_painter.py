"""The dab painter: alpha of any size, wherever on the canvas, as the pen moves."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from published_painters import trained
from torch import Tensor

from neural_paint.painters import DabPainter, load_painter, save_painter
from neural_paint.painters.actions import COLOR, CONTROL, END, ENTRY_PRESSURE, PRESSURE, START
from neural_paint.painters.dab import _path, _pressure


@pytest.fixture
def painter() -> DabPainter:
    torch.manual_seed(0)
    painter = trained(DabPainter)
    assert isinstance(painter, DabPainter)
    return painter.double()


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
    assert (large - painter.coverage(actions)).square().mean() < 1e-5


@pytest.mark.parametrize(("x", "y"), [(5, 0), (-7, 3)])
def test_strokes_move_with_their_points(painter: DabPainter, actions: Tensor, x: int, y: int) -> None:
    actions = 0.3 + 0.4 * actions
    moved = actions.clone()
    for field in (START, CONTROL, END):
        moved[:, field.slice] += torch.tensor([x, y]) / 64
    rolled = painter.coverage(actions).roll((y, x), (1, 2))
    torch.testing.assert_close(painter.coverage(moved)[:, 8:-8, 8:-8], rolled[:, 8:-8, 8:-8])


def test_the_pen_passes_its_points_with_its_pressures(actions: Tensor) -> None:
    t = torch.tensor([0, 0.125, 0.25, 0.5, 0.75, 1], dtype=torch.float64)
    place, velocity = _path(actions, t)
    for index, field in ((0, START), (3, CONTROL), (5, END)):
        torch.testing.assert_close(place[:, index], actions[:, field.slice])
    step = (_path(actions, t + 1e-6)[0] - _path(actions, t - 1e-6)[0]) / 2e-6
    torch.testing.assert_close(velocity, step, atol=1e-8, rtol=1e-8)
    entry, last = actions[:, ENTRY_PRESSURE.slice], actions[:, PRESSURE.slice]
    mean = (entry + last) / 2
    expected = torch.cat([entry, (entry + mean) / 2, mean, mean, mean, last], 1)
    torch.testing.assert_close(_pressure(actions, t), expected)


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
    assert torch.equal(loaded.coverage(actions, size=9, chunk=3), small.freeze().coverage(actions, size=9))


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
