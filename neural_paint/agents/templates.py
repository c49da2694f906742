"""How a hand draws the ten digits in eight strokes: what agents that learn human strokes imitate first.

The points are those that neural painters were published with (Nakano, "Neural Painters", arXiv:1904.08410).
"""

from __future__ import annotations

import torch
from torch import Tensor

from neural_paint.painters.actions import ACTION_SIZE, CONTROL, END, PRESSURE, SIZE, START
from neural_paint.painters.canvas import connect

# Of each digit where it starts, and then its strokes: (end x, end y), or (control x, control y, end x, end y) of those
# whose control point is not their end; in hundredths of the canvas's side, y down. Each begins where the last ended.
_DIGITS: tuple[tuple[tuple[int, ...], ...], ...] = (
    ((50, 80), (50, 80), (30, 60), (30, 40), (50, 20), (70, 40), (70, 60), (50, 80)),
    ((20, 40), (20, 40), (50, 15), (50, 50), (50, 90), (20, 90), (50, 90), (80, 90)),
    ((20, 40), (20, 40), (50, 15), (80, 40), (70, 70, 50, 90), (20, 90), (10, 70, 20, 70), (30, 60, 80, 90)),
    (
        *((20, 20), (20, 20), (50, 15), (75, 30, 50, 50)),
        *((35, 60, 20, 50), (35, 40, 50, 50), (80, 60, 80, 80), (50, 90, 30, 80)),
    ),
    ((50, 20), (50, 20), (20, 40), (70, 50), (60, 15), (60, 15), (60, 50), (60, 90)),
    ((70, 20), (70, 20), (30, 30), (30, 25), (30, 40), (60, 50), (60, 70), (20, 90)),
    ((50, 30), (50, 30), (40, 30, 30, 50), (30, 70, 50, 90), (80, 70), (65, 50, 50, 70), (40, 80), (40, 90)),
    ((30, 30), (30, 30), (20, 20), (70, 30), (50, 60), (30, 90), (50, 70), (55, 70)),
    ((30, 20), (30, 20), (10, 30, 25, 40), (70, 70), (50, 90, 30, 70), (50, 50), (70, 30), (50, 20)),
    ((80, 50), (80, 50), (50, 50, 40, 30), (60, 10, 80, 10), (80, 20), (75, 40), (70, 70), (65, 80)),
)
# Pressure and size of the first stroke, a dot; of those by which the pen jumps, by digit and number; and of the others.
_DOT, _JUMP, _LINE = 1.0, 0.0, 0.5
_JUMPS = ((4, 4), (7, 6))


def digit_templates() -> Tensor:
    """Black strokes of the digits 0 to 9: (10, 8, 12) float32 actions.

    The first of a digit is a dot at its starting point. Each other one begins where the one before it ended, with its
    pressure there: published are zeros in these entries, which connected strokes do not use. A jump has no pressure at
    its end, so that MyPaint draws nothing.
    """
    points = torch.tensor([[stroke[:2] + stroke[-2:] for stroke in digit] for digit in _DIGITS]) / 100
    weight = torch.full((*points.shape[:2], 1), _LINE)
    weight[:, 0] = _DOT
    for jump in _JUMPS:
        weight[jump] = _JUMP
    actions = torch.zeros(*points.shape[:2], ACTION_SIZE)
    actions[..., CONTROL.slice], actions[..., END.slice] = points.split(2, -1)
    actions[..., PRESSURE.slice] = actions[..., SIZE.slice] = weight
    # Of the first strokes, which are dots; `connect` fills in the others.
    actions[..., START.slice] = actions[..., END.slice]
    return connect(actions)
