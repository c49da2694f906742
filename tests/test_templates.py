"""The ten digits by hand, which agents imitate first."""

from __future__ import annotations

import pytest
import torch

from neural_paint import mypaint
from neural_paint.agents import digit_templates
from neural_paint.painters.actions import COLOR, CONTROL, END, ENTRY_PRESSURE, PRESSURE, SIZE, START


def test_are_black_actions_in_range() -> None:
    templates = digit_templates()
    assert templates.shape == (10, 8, 12) and templates.dtype == torch.float32
    assert ((templates >= 0) & (templates <= 1)).all()
    assert not templates[..., COLOR.slice].any()


def test_begin_with_a_dot() -> None:
    first = digit_templates()[:, 0]
    assert torch.equal(first[:, START.slice], first[:, END.slice])
    assert torch.equal(first[:, START.slice], first[:, CONTROL.slice])
    assert (first[:, PRESSURE.slice] == 1).all() and (first[:, SIZE.slice] == 1).all()
    assert not first[:, ENTRY_PRESSURE.slice].any()


def test_hang_together() -> None:
    templates = digit_templates()
    assert torch.equal(templates[:, 1:, START.slice], templates[:, :-1, END.slice])
    assert torch.equal(templates[:, 1:, ENTRY_PRESSURE.slice], templates[:, :-1, PRESSURE.slice])


def test_the_pen_is_lifted_in_the_four_and_the_seven() -> None:
    templates = digit_templates()
    assert (templates[..., PRESSURE.start] == 0).nonzero().tolist() == [[4, 4], [7, 6]]
    assert (templates[..., SIZE.start] == 0).nonzero().tolist() == [[4, 4], [7, 6]]
    others = templates[:, 1:][templates[:, 1:, PRESSURE.start] > 0]
    assert (others[:, PRESSURE.start] == 0.5).all() and (others[:, SIZE.start] == 0.5).all()


def test_some_points_are_those_that_were_published() -> None:
    templates = digit_templates()
    assert torch.equal(templates[8, 2, CONTROL.slice], torch.tensor([0.1, 0.3]))
    assert torch.equal(templates[8, 2, END.slice], torch.tensor([0.25, 0.4]))
    assert torch.equal(templates[3, 7, CONTROL.slice], torch.tensor([0.5, 0.9]))
    assert torch.equal(templates[:, 7, END.slice][[0, 1, 9]], torch.tensor([[0.5, 0.8], [0.8, 0.9], [0.65, 0.8]]))


@pytest.mark.skipif(not mypaint.available(), reason="libmypaint is not installed")
def test_mypaint_draws_ink_where_a_digit_has_it() -> None:
    def draw(digit: int) -> torch.Tensor:
        canvas = mypaint.Canvas(mode="connected")
        canvas.draw(digit_templates()[digit].numpy())
        return torch.from_numpy(canvas.image()).amin(-1)

    zero, seven = draw(0), draw(7)
    # A ring around white; and a bar at the top, with white below it on the left.
    assert (zero[28:36, 28:36] == 255).all() and zero[32, 15:25].min() < 80 and zero[32, 40:50].min() < 80
    assert seven[10:24, 30:34].min() < 80 and (seven[28:48, :16] == 255).all()
