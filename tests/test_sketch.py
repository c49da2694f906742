"""Drawings of agents: where their strokes go, in pictures of any size and proportions."""

from __future__ import annotations

import importlib

import pytest
import torch
from tiny_agents import tiny_agent, tiny_painter
from torch import Tensor

from neural_paint import ActionStrokes, Strokes, mypaint
from neural_paint.agents import Agent, draw, draw_in_mypaint, renderer_of
from neural_paint.painters import NeuralPainter
from neural_paint.tasks import SketchStep, sketch
from neural_paint.tasks.sketch import Squares, has_dark_border

needs_mypaint = pytest.mark.skipif(not mypaint.available(), reason="needs libmypaint")


@pytest.fixture(params=["curves", "painter"])
def pair(request: pytest.FixtureRequest) -> tuple[Agent, NeuralPainter | None]:
    painter = tiny_painter() if request.param == "painter" else None
    return tiny_agent(painter), painter


def last(photo: Tensor, agent: Agent, painter: NeuralPainter | None = None, **options: int) -> SketchStep:
    *_, step = sketch(photo, agent, painter=painter, **options)
    return step


@pytest.mark.parametrize("mode", ["connected", "jump"])
@pytest.mark.parametrize("black", [True, False])
@pytest.mark.parametrize("neural", [True, False])
def test_a_picture_of_the_agent_s_size_is_drawn_as_it_learned(mode: str, black: bool, neural: bool) -> None:
    painter = tiny_painter() if neural else None
    agent, photo = tiny_agent(painter, mode=mode, black=black), torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        drawing = draw(agent, renderer_of(agent, painter), photo)
    steps = list(sketch(photo, agent, painter=painter))
    assert [step.index for step in steps] == [0, 1, 2] and [step.progress for step in steps] == [1 / 3, 2 / 3, 1]
    for count, (step, canvas) in enumerate(zip(steps, drawing.canvases, strict=True), 1):
        assert step.strokes.validate().shape == (2, count)
        assert (step.canvas - canvas).abs().max() < 0.02  # masks of the painter are of 64 texels in both
        torch.testing.assert_close(step.mse, (step.canvas - photo).square().mean((1, 2, 3)))
    if neural:
        assert isinstance(step.strokes, ActionStrokes)
        assert torch.equal(step.strokes.actions, drawing.actions)
        assert (step.strokes.place == torch.tensor([0.0, 0.0, 64.0])).all()
    assert (drawing.canvas < 0.9).any()


@pytest.mark.parametrize(("height", "width"), [(64, 40), (30, 64)])
def test_a_narrow_picture_is_the_middle_of_its_square(
    pair: tuple[Agent, NeuralPainter | None], height: int, width: int
) -> None:
    photo, square = torch.rand(1, 3, height, width), torch.ones(1, 3, 64, 64)
    middle = (..., slice((64 - height) // 2, (64 + height) // 2), slice((64 - width) // 2, (64 + width) // 2))
    square[middle] = photo
    torch.testing.assert_close(last(photo, *pair).canvas, last(square, *pair).canvas[middle], atol=1e-4, rtol=0)


def test_strokes_grow_with_the_picture(pair: tuple[Agent, NeuralPainter | None]) -> None:
    """One whose every pixel is ten is seen alike."""
    photo = torch.rand(1, 3, 64, 64)
    small, large = (last(x, *pair).strokes for x in (photo, photo.repeat_interleave(10, 2).repeat_interleave(10, 3)))
    for name, field in small.scaled(10.0).fields().items():
        torch.testing.assert_close(large.fields()[name], field, atol=0.2, rtol=0.02)


def test_so_many_blocks_are_drawn_a_few_at_a_time(
    pair: tuple[Agent, NeuralPainter | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = torch.rand(2, 3, 40, 90)
    whole = last(photo, *pair[:1], painter=pair[1], blocks=5)
    monkeypatch.setattr(importlib.import_module("neural_paint.tasks.sketch"), "_AT_A_TIME", 3)
    parts = last(photo, *pair[:1], painter=pair[1], blocks=5)
    torch.testing.assert_close(parts.canvas, whole.canvas, atol=1e-4, rtol=0)
    for name, field in whole.strokes.fields().items():
        torch.testing.assert_close(parts.strokes.fields()[name], field, atol=1e-3, rtol=1e-4)


def test_blocks_are_drawn_each_by_itself(pair: tuple[Agent, NeuralPainter | None]) -> None:
    photo = torch.rand(1, 3, 128, 192)
    steps = list(sketch(photo, *pair[:1], painter=pair[1], blocks=3))
    assert [step.strokes.shape for step in steps] == [(1, 6), (1, 12), (1, 18)]
    strokes = steps[-1].strokes
    for block, (y, x) in enumerate((y, x) for y in (0, 64) for x in (0, 64, 128)):
        alone = last(photo[:, :, y : y + 64, x : x + 64], *pair).strokes.shifted(x, y)
        for name, field in alone.fields().items():
            torch.testing.assert_close(strokes[:, block::6].fields()[name], field, atol=1e-4, rtol=1e-5)
    assert isinstance(strokes, ActionStrokes if pair[1] else Strokes)


@pytest.mark.parametrize(
    ("height", "width", "blocks", "count"),
    [(300, 451, 8, (6, 8)), (28, 28, 1, (1, 1)), (7, 100, 4, (1, 4)), (90, 60, 3, (3, 2)), (5, 4, 5, (5, 4))],
)
def test_squares_fill_the_picture(height: int, width: int, blocks: int, count: tuple[int, int]) -> None:
    squares = Squares(height, width, blocks)
    rows, columns = (sorted({corner[axis] for corner in squares.corners}) for axis in (1, 0))
    assert (len(rows), len(columns)) == count and len(squares.corners) == len(rows) * len(columns)
    drawn = torch.zeros(height, width)
    for x, y in squares.corners:
        drawn[max(0, y) : y + squares.side, max(0, x) : x + squares.side] += 1
    assert (drawn > 0).all()
    for starts, length in ((rows, height), (columns, width)):
        inside = starts[0] == 0 and starts[-1] + squares.side == length
        assert inside or (len(starts) == 1 and starts[0] == (length - squares.side) // 2)
    assert squares.views(torch.rand(2, 3, height, width)).shape == (2 * len(squares.corners), 3, 64, 64)


def test_pictures_of_a_batch_do_not_mix(pair: tuple[Agent, NeuralPainter | None]) -> None:
    photo = torch.rand(2, 3, 50, 80)
    together = last(photo, *pair, blocks=2)
    for index in range(2):
        alone = last(photo[index : index + 1], *pair, blocks=2)
        torch.testing.assert_close(together.canvas[index : index + 1], alone.canvas, atol=1e-4, rtol=0)


def test_an_agent_goes_on_drawing() -> None:
    agent, photo = tiny_agent(mode="connected"), torch.rand(1, 3, 64, 64)
    longer = list(sketch(photo, agent, strokes=12))
    assert len(longer) == 12 and longer[-1].progress == 1
    assert torch.equal(longer[2].canvas, last(photo, agent).canvas)
    assert torch.equal(longer[0].canvas, last(photo, agent, strokes=1).canvas)


def test_the_caller_s_gradients_are_left_alone() -> None:
    photo = torch.rand(1, 3, 32, 32, requires_grad=True)
    for step in sketch(photo, tiny_agent()):
        assert torch.is_grad_enabled() and not step.canvas.requires_grad


def test_dark_borders() -> None:
    digit = torch.zeros(1, 3, 28, 28)
    digit[..., 6:22, 10:18] = 1
    assert has_dark_border(digit) and not has_dark_border(1 - digit)


@needs_mypaint
@pytest.mark.parametrize("mode", ["connected", "jump"])
def test_mypaint_paints_the_same_strokes(mode: str) -> None:
    """Starts of connected strokes are in the actions: nothing needs to know of the mode."""
    painter = tiny_painter()
    agent, photo = tiny_agent(painter, mode=mode), torch.rand(1, 3, 64, 64)
    strokes = last(photo, agent, painter).strokes
    assert isinstance(strokes, ActionStrokes)
    canvas = mypaint.Canvas(mode="jump")
    canvas.draw(strokes.actions[0].double().numpy(), strokes.place[0].double().numpy())
    with torch.no_grad():
        expected = draw_in_mypaint(draw(agent, renderer_of(agent, painter), photo).outputs, agent.mode)
    assert torch.equal(torch.from_numpy(canvas.image()).permute(2, 0, 1)[None] / 255, expected)


@pytest.mark.parametrize(
    ("photo", "options", "error", "message"),
    [
        (torch.zeros(3, 8, 8), {}, ValueError, r"photo must have shape \(B, 3, H, W\)"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), {}, TypeError, "photo must be a floating tensor"),
        (torch.full((1, 3, 8, 8), 2.0), {}, ValueError, r"photo must be in \[0, 1\]"),
        (torch.zeros(1, 3, 8, 9), {"blocks": 0}, ValueError, r"blocks must be in 1 \.\. 9, .*, got 0"),
        (torch.zeros(1, 3, 8, 9), {"blocks": 10}, ValueError, r"blocks must be in 1 \.\. 9, .*, got 10"),
        (torch.zeros(1, 3, 8, 8), {"strokes": 0}, ValueError, r"strokes must be in 1 \.\. 12, .*, got 0"),
        (torch.zeros(1, 3, 8, 8), {"strokes": 13}, ValueError, r"strokes must be in 1 \.\. 12, .*, got 13"),
        (torch.zeros(1, 3, 8, 8), {"painter": tiny_painter()}, ValueError, "this one learned with curves"),
    ],
)
def test_rejects_bad_input(photo: Tensor, options: dict[str, int], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        sketch(photo, tiny_agent(), **options)  # type: ignore[arg-type]


def test_rejects_another_device() -> None:
    with pytest.raises(ValueError, match="photo must be on the device of the agent, meta, got cpu"):
        sketch(torch.zeros(1, 3, 8, 8), tiny_agent().to("meta"))
