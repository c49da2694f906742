"""Discrete actions: levels, the lift, and what MyPaint draws of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neural_paint import mypaint
from neural_paint.agents.discrete import LIFT, DiscreteActions, draw_with_lift, is_lifted, with_lift
from neural_paint.painters import connect
from neural_paint.painters.actions import COLOR, CONTROL, END, ENTRY_PRESSURE, PRESSURE, SIZE, START

needs_mypaint = pytest.mark.skipif(not mypaint.available(), reason="libmypaint is not installed")


def test_levels_are_those_that_were_published() -> None:
    space = DiscreteActions()
    torch.testing.assert_close(space.sizes, torch.arange(10) / 9)
    torch.testing.assert_close(space.pressures, torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("levels", [2, 3, 10])
def test_quantise_takes_the_nearest(levels: int, dtype: torch.dtype) -> None:
    space = DiscreteActions(levels)
    actions = torch.rand(5, 40, 12, dtype=dtype)
    nearest = space.quantise(actions)
    assert nearest.dtype == dtype and nearest.shape == actions.shape
    for field, values in ((SIZE, space.sizes), (PRESSURE, space.pressures), (ENTRY_PRESSURE, space.pressures)):
        distances = (actions[..., field.slice] - values.to(dtype)).abs()
        torch.testing.assert_close((nearest - actions)[..., field.start].abs(), distances.amin(-1))
        assert torch.isin(nearest[..., field.start], values.to(dtype)).all()
    for field in (CONTROL, END, START):
        assert torch.equal(nearest[..., field.slice], actions[..., field.slice])
    assert torch.equal(nearest[..., LIFT.start], actions[..., LIFT.start].round())
    assert not nearest[..., COLOR.start + 1 : COLOR.slice.stop].any()
    assert torch.equal(space.quantise(nearest), nearest)
    assert torch.equal(is_lifted(nearest), is_lifted(actions))


def test_quantise_has_no_gradient_to_be_taken_for_zero() -> None:
    actions = torch.rand(2, 12, requires_grad=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        DiscreteActions().quantise(actions).sum().backward()


def test_samples_have_every_level_equally_often() -> None:
    space, count = DiscreteActions(4), 4000
    actions = space.sample(count, torch.Generator().manual_seed(0))
    assert torch.equal(space.quantise(actions), actions)
    for entries, levels in (
        (actions[:, SIZE.start], space.sizes),
        (actions[:, PRESSURE.start], space.pressures),
        (actions[:, ENTRY_PRESSURE.start], space.pressures),
        (actions[:, LIFT.start], torch.arange(2.0)),
    ):
        shares = (entries[:, None] == levels).float().mean(0)
        # Five standard deviations.
        torch.testing.assert_close(shares, torch.full_like(shares, 1 / len(levels)), rtol=0, atol=0.04)


@pytest.mark.parametrize("number", [0.0, 1.0])
def test_spread_at_the_ends(number: float) -> None:
    space = DiscreteActions()
    action = space.spread(torch.full((12,), number))
    ends = [action[field.start].item() for field in (SIZE, PRESSURE, LIFT)]
    assert ends == ([0.0, pytest.approx(0.1), 0.0] if number == 0 else [1.0, 1.0, 1.0])


def test_with_lift_is_black_and_differentiable() -> None:
    actions = torch.rand(3, 4, 12, dtype=torch.float64, requires_grad=True)
    lift = torch.rand(4, 1, dtype=torch.float64, requires_grad=True)
    lifted = with_lift(actions, lift)
    assert torch.equal(lifted[..., COLOR.slice], torch.cat([lift, torch.zeros(4, 2)], 1).expand(3, 4, 3))
    assert torch.equal(lifted[..., : COLOR.start], actions[..., : COLOR.start])
    assert torch.autograd.gradcheck(with_lift, (actions, lift))


@needs_mypaint
def test_drawings_are_of_the_strokes_that_are_not_lifted() -> None:
    actions = DiscreteActions().sample(40, torch.Generator().manual_seed(1))
    drawn = draw_with_lift(actions[:, None])
    up = is_lifted(actions)
    assert up.any() and not up.all() and (drawn[up] == 255).all()
    alone = mypaint.paint_actions(with_lift(actions[~up], 0.0).double().numpy())
    assert np.array_equal(drawn[~up].permute(0, 2, 3, 1).numpy(), alone)


@needs_mypaint
def test_connected_strokes_go_on_from_where_a_lifted_one_ended() -> None:
    actions = connect(with_lift(torch.rand(1, 3, 12), torch.tensor([[0.0], [1.0], [0.0]])))
    canvas = mypaint.Canvas(mode="jump")
    canvas.draw(with_lift(actions[0, ::2], 0.0).double().numpy())
    assert np.array_equal(draw_with_lift(actions)[0].permute(1, 2, 0).numpy(), canvas.image())
    assert torch.equal(actions[0, 2, START.slice], actions[0, 1, END.slice])


@needs_mypaint
def test_no_drawings_and_no_strokes() -> None:
    assert draw_with_lift(torch.rand(0, 3, 12)).shape == (0, 3, 64, 64)
    assert (draw_with_lift(torch.rand(2, 0, 12)) == 255).all()


@pytest.mark.parametrize("levels", [1, 0, -3])
def test_rejects_too_few_levels(levels: int) -> None:
    with pytest.raises(ValueError, match=f"levels must be at least 2, got {levels}"):
        DiscreteActions(levels)
