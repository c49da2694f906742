"""Strokes of a medium that an objective moves, and a neural painter's in the blocks of a grid."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from neural_paint import ActionStrokes, Stamps, Strokes
from neural_paint.brushes import BitmapBrush
from neural_paint.constraints import Constraints
from neural_paint.io import demo_photo, load_image
from neural_paint.media import MEDIA, Medium, named_medium, neural_medium
from neural_paint.painters import Grid, NeuralCanvas, NeuralPainter
from neural_paint.painters.actions import COLOR, END, START
from neural_paint.tasks.composition import Composition
from neural_paint.tasks.grid_parameters import GridParameters
from neural_paint.tasks.lay import lay

TIP = Medium(BitmapBrush(torch.linspace(0, 1, 120).expand(1, 30, 120)))
ANYWHERE = Medium(NeuralPainter.pretrained())


def medium_of(name: str) -> Medium:
    return {"tip": TIP, "anywhere": ANYWHERE}.get(name) or named_medium(name)


def compose(
    name: str | Medium, photo: Tensor | None = None, batch: int = 1, seed: int = 0, strokes: int = 20, **more: object
) -> Composition:
    medium = name if isinstance(name, Medium) else medium_of(name)
    return Composition(
        batch,
        (32, 48),
        strokes,
        medium,
        photo=photo,
        generator=torch.Generator().manual_seed(seed),
        like=torch.zeros(1),
        **more,  # type: ignore[arg-type]
    )


def photograph() -> Tensor:
    return load_image(demo_photo(), size=48)


def run(composition: Composition, photo: Tensor, steps: int = 30) -> list[float]:
    return [composition.step(lambda canvas: (canvas - photo).square().mean(), 1.0).loss.item() for _ in range(steps)]


@pytest.mark.parametrize("start", ["photo", "random"])
@pytest.mark.parametrize("name", [*MEDIA, "tip", "anywhere"])
def test_an_objective_moves_every_medium(name: str, start: str) -> None:
    photo = photograph()
    losses = run(compose(name, photo if start == "photo" else None), photo)
    assert losses[-1] < 0.75 * losses[0]


@pytest.mark.parametrize("name", ["oil", "neural", "tip", "anywhere"])
def test_strokes_are_the_canvas(name: str) -> None:
    composition, medium = compose(name, photograph()), medium_of(name)
    kind = Strokes if name == "oil" else Stamps if name == "tip" else ActionStrokes
    for is_last in (False, True):
        step = composition.step(lambda canvas: canvas.mean(), 1.0, is_last=is_last)
    strokes = step.strokes
    assert isinstance(strokes, kind) and strokes.shape == (1, 20)
    painter = medium.brush if isinstance(medium.brush, NeuralPainter) else None
    under = composition.background[:, :, None, None].expand(1, 3, 32, 48)
    torch.testing.assert_close(lay(strokes.validate(), under, painter), step.canvas)
    # What was handed out is not what is moved.
    before = {field: x.clone() for field, x in strokes.fields().items()}
    composition.step(lambda canvas: canvas.mean(), 1.0)
    assert all(torch.equal(x, before[field]) for field, x in strokes.fields().items())


@pytest.mark.parametrize("name", ["marker", "neural"])
def test_seeds_reproduce(name: str) -> None:
    photo = photograph()
    first, again, other = (run(compose(name, seed=seed), photo, 3) for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize("name", ["oil", "neural"])
def test_canvases_of_a_batch_begin_differently_and_do_not_mind_each_other(name: str) -> None:
    composition, goal = compose(name, batch=2), torch.tensor([0.2, 0.9])[:, None, None, None]
    first = composition.step(lambda canvas: (canvas - goal).square().sum(), 1.0).canvas
    assert not torch.equal(first[0], first[1])
    for _ in range(30):
        canvas = composition.step(lambda canvas: (canvas - goal).square().sum(), 1.0).canvas
    assert canvas[0].mean() < first[0].mean() and canvas[1].mean() > canvas[0].mean() + 0.3


@pytest.mark.parametrize("name", ["oil", "neural", "tip"])
def test_constraints_hold_in_what_is_handed_out(name: str) -> None:
    palette = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.8, 0.3, 0.2]])
    composition = compose(name, photograph(), constraints=Constraints(palette=palette))
    for _ in range(5):
        strokes = composition.step(lambda canvas: canvas.square().mean(), 1.0).strokes
    color = strokes.actions[..., COLOR.slice] if isinstance(strokes, ActionStrokes) else strokes.color
    assert color is not None
    torch.testing.assert_close(torch.cdist(color, palette[None]).amin(-1), torch.zeros(1, 20), atol=1e-5, rtol=0)


def test_media_keep_to_their_limits() -> None:
    photo = photograph()
    for name, least, most in (("oil", 0.9, 1.0), ("marker", 0.85, 1.0), ("watercolour", 0.1, 0.5)):
        composition = compose(name, photo)
        for _ in range(10):
            strokes = composition.step(lambda canvas: (canvas - photo).square().sum(), 3.0).strokes
        assert isinstance(strokes, Strokes)
        assert strokes.opacity.min() >= least and strokes.opacity.max() <= most
        assert (strokes.radius[..., 0] == strokes.radius[..., 1]).all() == (name == "marker")


def test_paper_is_that_of_the_medium_or_the_photograph_s_mean() -> None:
    photo = photograph()
    assert (compose("marker", photo).background == 1).all()
    torch.testing.assert_close(compose("oil", photo).background, photo.mean((2, 3)))
    assert (compose("oil").background == 0.5).all()
    grey = compose("oil", photo, constraints=Constraints(grey=True)).background
    torch.testing.assert_close(grey, photo.mean().expand(1, 3))


def grid_of(strokes: int, medium: Medium, size: tuple[int, int] = (112, 160)) -> ActionStrokes:
    parameters = GridParameters(1, size, strokes, medium, torch.zeros(1))
    parameters.begin(None, torch.Generator().manual_seed(0))
    return parameters.strokes()


def test_blocks_are_the_published_grid() -> None:
    """Where blocks fill the canvas with the overlap asked for, it is the stitched canvas."""
    medium = neural_medium(NeuralPainter.pretrained())
    grid = Grid(3, 4, overlap=32, strokes_per_block=2)
    strokes = grid_of(grid.num_strokes, medium, grid.size)
    assert isinstance(medium.brush, NeuralPainter)
    expected = NeuralCanvas(medium.brush, grid)(strokes.actions)
    white = torch.ones(1, 3, *grid.size)
    torch.testing.assert_close(lay(strokes, white, medium.brush), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("strokes", [5, 12, 31])
def test_blocks_fill_the_canvas_with_as_many_strokes_as_asked_for(strokes: int) -> None:
    place = grid_of(strokes, Medium(NeuralPainter.pretrained(), block=64, overlap=32), (100, 150)).place[0]
    assert place.shape == (strokes, 3) and (place[:, 2] == 64).all() and (place[:, :2] == place[:, :2].round()).all()
    assert place[:, 0].min() == 0 and (place[:, 0] <= 86).all() and (place[:, 1] <= 36).all()
    corners, counts = place.unique(dim=0, return_counts=True)
    assert len(corners) == min(strokes, 3 * 4) and counts.max() - counts.min() <= 1


def test_a_small_canvas_is_one_block() -> None:
    place = grid_of(4, Medium(NeuralPainter.pretrained(), block=64, overlap=32), (40, 40)).place
    assert torch.equal(place, torch.tensor([0.0, 0.0, 40.0]).expand(1, 4, 3))


def test_connected_strokes_of_a_block() -> None:
    medium = Medium(NeuralPainter.pretrained(), block=64, overlap=0, connected=True)
    actions = grid_of(6, medium, (64, 128)).actions[0]
    joined = (actions[1:, START.slice] == actions[:-1, END.slice]).all(-1)
    assert joined.tolist() == [True, True, False, True, True]


def test_alternating_strokes_go_from_block_to_block() -> None:
    medium = Medium(NeuralPainter.pretrained(), block=64, overlap=0, order="alternating")
    corner = grid_of(5, medium, (64, 128)).place[0, :, 0]
    assert corner.tolist() == [0, 64, 0, 64, 0]


@pytest.mark.parametrize("block", [None, 64])
def test_noise_is_other_in_each_step_and_in_what_is_handed_out(block: int | None) -> None:
    medium = Medium(NeuralPainter.pretrained(), paper=1.0, block=block, noise=True)

    def paint(seed: int) -> list[Tensor]:
        composition = compose(medium, seed=seed)
        steps = [composition.step(lambda canvas: canvas.mean(), 1e-9, is_last=last) for last in (False, True)]
        strokes = steps[-1].strokes
        assert isinstance(strokes, ActionStrokes) and strokes.seed is not None
        assert isinstance(medium.brush, NeuralPainter)
        expected = lay(strokes.validate(), torch.ones_like(steps[-1].canvas), medium.brush)
        torch.testing.assert_close(expected, steps[-1].canvas)
        return [step.canvas for step in steps]

    (first, second), (again, _) = paint(0), paint(0)
    assert torch.equal(first, again) and (first - second).abs().max() > 0.05
