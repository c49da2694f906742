"""Canvases of neural painters: the published loop in two calls."""

from __future__ import annotations

from typing import Any

import pytest
import stitched_loop
import torch

from neural_paint import composite_patches, stroke_mask
from neural_paint.painters import (
    GANPainter,
    Grid,
    NeuralCanvas,
    NeuralPainter,
    NPXPainter,
    VAEPainter,
    connect,
    grey,
    opaque,
    palette,
    place_strokes,
    thin,
)
from neural_paint.painters.actions import COLOR, END, ENTRY_PRESSURE, PRESSURE, SIZE, START


@pytest.fixture(scope="module")
def painter() -> NeuralPainter:
    """Random weights; what it paints is far from white, as its last layer is scaled up."""
    torch.manual_seed(0)
    painter = GANPainter()
    with torch.no_grad():
        painter.generator.deconv4.weight.mul_(20)
    return painter.freeze()


@pytest.mark.parametrize(
    "grid",
    [
        Grid(strokes_per_block=4),
        Grid(2, 3, overlap=10, strokes_per_block=2),
        Grid(3, 1, overlap=32, strokes_per_block=3, order="alternating"),
        Grid(1, 2, overlap=0),
    ],
    ids=str,
)
def test_equals_the_published_loop(painter: NeuralPainter, grid: Grid) -> None:
    actions = torch.rand(2, grid.num_strokes, 12, requires_grad=True)
    image, expected = NeuralCanvas(painter, grid)(actions), stitched_loop.paint(painter, actions, grid)
    torch.testing.assert_close(image, expected, atol=1e-5, rtol=0)
    weight = torch.rand_like(image)
    found, wanted = (torch.autograd.grad((x * weight).sum(), actions)[0] for x in (image, expected))
    torch.testing.assert_close(found, wanted, atol=1e-4 * wanted.abs().max().item(), rtol=0)


def test_steps_lead_to_the_painting(painter: NeuralPainter) -> None:
    canvas = NeuralCanvas(painter, Grid(2, 2, strokes_per_block=2), connected=True)
    actions, background = torch.rand(1, 8, 12), torch.rand(1, 3, *canvas.size)
    steps = list(canvas.steps(actions, background, every=3))
    assert len(steps) == 3
    torch.testing.assert_close(steps[-1], canvas(actions, background))
    assert not torch.equal(steps[0], steps[1])


def test_noise_and_chunks(painter: NeuralPainter) -> None:
    canvas = NeuralCanvas(painter, Grid(1, 2, strokes_per_block=2))
    actions = torch.rand(1, 4, 12)
    plain = canvas(actions)
    torch.testing.assert_close(canvas(actions, chunk=3), plain)
    drawn, again = (canvas(actions, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(drawn, again)
    assert not torch.equal(drawn, plain)


def test_connected_strokes(painter: NeuralPainter) -> None:
    actions = torch.rand(2, 6, 12)
    linked = connect(actions, every=3)
    for k in range(6):
        if k % 3 == 0:
            assert torch.equal(linked[:, k], actions[:, k])
            continue
        assert torch.equal(linked[:, k, START.slice], actions[:, k - 1, END.slice])
        assert torch.equal(linked[:, k, ENTRY_PRESSURE.slice], actions[:, k - 1, PRESSURE.slice])
        assert torch.equal(linked[:, k, :9], actions[:, k, :9])
    grid = Grid(1, 2, strokes_per_block=3)
    connected = NeuralCanvas(painter, grid, connected=True)(actions)
    torch.testing.assert_close(connected, NeuralCanvas(painter, grid)(linked))


def test_preprocessors() -> None:
    actions = torch.rand(1, 5, 12, requires_grad=True)
    assert (grey(actions)[..., COLOR.slice].diff(dim=-1) == 0).all()
    assert thin(0.25)(actions)[..., SIZE.slice].max() <= 0.25
    assert (opaque(actions)[..., [0, 11]] == 1).all()
    colors = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.9]])
    painted = palette(colors)(actions)[..., COLOR.slice]
    assert (torch.cdist(painted[0], colors).amin(-1) < 1e-6).all()
    (gradient,) = torch.autograd.grad(painted.sum(), actions)
    assert gradient[..., COLOR.slice].any()
    for preprocess in (grey, thin(0.5), opaque, palette(colors)):
        changed = preprocess(actions)
        kept = changed == actions
        assert kept[..., [2, 3, 4, 5, 9, 10]].all()


def test_preprocessors_reach_the_canvas(painter: NeuralPainter) -> None:
    actions = torch.rand(1, 2, 12)
    image = NeuralCanvas(painter, Grid(strokes_per_block=2), preprocess=[grey])(actions)
    torch.testing.assert_close(image, NeuralCanvas(painter, Grid(strokes_per_block=2))(grey(actions)))
    assert (image.diff(dim=1).abs() < 1e-6).all()


def test_paint_in_the_darkest_colour(painter: NeuralPainter) -> None:
    actions = torch.rand(1, 1, 12)
    image = NeuralCanvas(painter, paint="darkest")(actions)
    stroke = painter(actions)[0, 0]
    darkest = stroke.amin((1, 2))
    alpha = stroke_mask(stroke)
    torch.testing.assert_close(image[0], alpha * darkest[:, None, None] + 1 - alpha)


def test_strokes_anywhere(painter: NeuralPainter) -> None:
    """Turned by a right angle and twice as large, about a point; gradients reach where they lie."""
    center = torch.tensor([[[70.0, 60.0]]], requires_grad=True)
    canvas = NeuralCanvas(painter)
    masks, colors = canvas.decode(torch.rand(1, 1, 12))
    straight = place_strokes(torch.tensor([[[32.0, 32.0]]]))
    torch.testing.assert_close(straight, Grid().transform(straight)[None])
    turned = place_strokes(center, 128.0, torch.pi / 2)
    corner = turned @ torch.tensor([0.0, 0.0, 1.0])
    torch.testing.assert_close(corner, torch.tensor([[[70.0 + 64, 60.0 - 64]]]))
    image = composite_patches(masks, turned, torch.ones(1, 3, 130, 140), color=colors)
    (gradient,) = torch.autograd.grad(image[..., :70].sum(), center)
    assert gradient.abs().min() > 0


@pytest.mark.parametrize("make", [GANPainter, VAEPainter, NPXPainter])
def test_decodes_as_its_painter_paints(make: type[NeuralPainter]) -> None:
    """Though where the painter ends in sigmoid its pictures of strokes are never made."""
    torch.manual_seed(0)
    painter, actions = make().freeze(), torch.rand(2, 3, 12)
    strokes = painter(actions)
    for paint, expected in (("action", actions[..., COLOR.slice]), ("darkest", strokes.amin((-2, -1)))):
        canvas = NeuralCanvas(painter, Grid(strokes_per_block=3), paint=paint)
        masks, colors = canvas.decode(actions, chunk=4)
        torch.testing.assert_close(masks, stroke_mask(strokes), atol=1e-5, rtol=0)
        torch.testing.assert_close(colors, expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Grid(0, 1), "rows must be at least 1, got 0"),
        (lambda: Grid(overlap=64), r"overlap must be in \[0, 63\], got 64"),
        (lambda: Grid(order="random"), "order must be one of blocks, alternating, got 'random'"),
        (lambda: thin(1.5), r"most must be in \[0, 1\], got 1.5"),
        (lambda: palette(torch.zeros(3)), r"colors must have shape \(K, 3\) with K at least 1, got \(3,\)"),
    ],
)
def test_rejects_bad_input(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_canvas_rejects_bad_input(painter: NeuralPainter) -> None:
    with pytest.raises(ValueError, match=r"actions must have shape \(B, 1, 12\), got \(1, 2, 12\)"):
        NeuralCanvas(painter)(torch.rand(1, 2, 12))
    with pytest.raises(ValueError, match="paint must be one of action, darkest, got 'none'"):
        NeuralCanvas(painter, paint="none")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="connected strokes need the order 'blocks'"):
        NeuralCanvas(painter, Grid(2, 2, strokes_per_block=2, order="alternating"), connected=True)
    with pytest.raises(ValueError, match=r"background must have shape \(B or 1, 3, 64, 64\), got \(1, 3, 8, 8\)"):
        NeuralCanvas(painter)(torch.rand(1, 1, 12), torch.ones(1, 3, 8, 8))
    with pytest.raises(ValueError, match="every must be at least 1, got 0"):
        next(NeuralCanvas(painter).steps(torch.rand(1, 1, 12), every=0))
