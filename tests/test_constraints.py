"""Constraints on strokes of every kind, and the media."""

from __future__ import annotations

import math

import pytest
import torch

from neural_paint import ActionStrokes, Stamps, Strokes
from neural_paint.brushes import BRUSHES
from neural_paint.constraints import Constraints
from neural_paint.media import MEDIA, Medium, named_medium
from neural_paint.painters import NeuralPainter
from neural_paint.painters.actions import COLOR, ENTRY_PRESSURE, PRESSURE, SIZE

KINDS = ("curves", "stamps", "actions")
PALETTE = torch.tensor([[0.1, 0.2, 0.3], [0.9, 0.8, 0.1]])


def some(kind: str, count: int = 20, dtype: torch.dtype = torch.float32) -> Strokes | Stamps | ActionStrokes:
    def rand(*shape: int) -> torch.Tensor:
        return torch.rand(1, count, *shape, dtype=dtype)

    if kind == "curves":
        points, radius = 30 * rand(3, 2), 1 + 9 * rand(2)
        return Strokes(points=points, radius=radius, color=rand(3), opacity=rand(), feather=1 + rand())
    if kind == "actions":
        return ActionStrokes(actions=rand(12), place=torch.cat([30 * rand(2), 20 + 80 * rand(1)], -1))
    turn, size = 6 * rand(), 0.2 + 2 * rand()
    x, y = size * turn.cos(), size * turn.sin()
    linear = torch.stack([x, -y, y, x], -1).unflatten(-1, (2, 2))
    return Stamps(
        patches=torch.rand(1, 6, 10, dtype=dtype),
        transform=torch.cat([linear, 30 * rand(2, 1)], -1),
        color=rand(3),
        opacity=rand(),
        patch_id=torch.zeros(1, count, dtype=torch.int64),
    )


def colors(strokes: Strokes | Stamps | ActionStrokes) -> torch.Tensor:
    color = strokes.actions[..., COLOR.slice] if isinstance(strokes, ActionStrokes) else strokes.color
    assert color is not None
    return color


def widths(strokes: Strokes | Stamps | ActionStrokes) -> torch.Tensor:
    if isinstance(strokes, Strokes):
        return 2 * strokes.radius.amax(-1)
    if isinstance(strokes, ActionStrokes):
        return 2 * SIZE.values(strokes.actions).exp()[..., 0] * strokes.place[..., 2] / 64
    sides = strokes.transform[..., :2].square().sum(-2).sqrt() * torch.tensor([10, 6])
    return sides.amin(-1)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_changed_without_a_constraint(kind: str) -> None:
    strokes = some(kind)
    for name, field in Constraints()(strokes).fields().items():
        assert torch.equal(field, strokes.fields()[name])


@pytest.mark.parametrize("kind", KINDS)
def test_grey_and_palette(kind: str) -> None:
    strokes = some(kind)
    grey = colors(Constraints(grey=True)(strokes))
    torch.testing.assert_close(grey, colors(strokes).mean(-1, keepdim=True).expand_as(grey))
    painted = colors(Constraints(palette=PALETTE)(strokes))
    nearest = torch.cdist(colors(strokes), PALETTE[None]).argmin(-1)
    torch.testing.assert_close(painted, PALETTE[nearest])
    assert nearest.unique().numel() == 2
    both = colors(Constraints(grey=True, palette=PALETTE)(strokes))
    assert torch.cdist(both, PALETTE.mean(-1, keepdim=True).expand(1, -1, 3)).amin(-1).max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_thin_strokes_keep_their_place(kind: str) -> None:
    strokes = some(kind)
    before, thin = widths(strokes), Constraints(thin=6.0)(strokes)
    assert (before > 8).any() and (widths(thin) <= 6 + 1e-4).all()
    # Those far below are as they were.
    torch.testing.assert_close(widths(Constraints(thin=1e4)(strokes)), before, rtol=1e-3, atol=1e-3)
    if isinstance(strokes, Stamps) and isinstance(thin, Stamps):
        middle = torch.tensor([5.0, 3.0, 1.0])
        torch.testing.assert_close(thin.transform @ middle, strokes.transform @ middle)


@pytest.mark.parametrize("kind", KINDS)
def test_opaque(kind: str) -> None:
    strokes = Constraints(opaque=True)(some(kind))
    if isinstance(strokes, ActionStrokes):
        assert all((strokes.actions[..., field.slice] == 1).all() for field in (PRESSURE, ENTRY_PRESSURE))
    else:
        assert strokes.opacity is not None and (strokes.opacity == 1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_constraints_are_differentiable(kind: str) -> None:
    strokes = some(kind, 3, torch.float64).requires_grad_()
    fields = [x for x in strokes.fields().values() if x.requires_grad]
    held = Constraints(grey=True, thin=5.0)

    def function(*values: torch.Tensor) -> list[torch.Tensor]:
        names = [name for name, x in strokes.fields().items() if x.requires_grad]
        result = held(strokes.replace(**dict(zip(names, values, strict=True))))
        return [x for x in result.fields().values() if x.requires_grad]

    assert torch.autograd.gradcheck(function, fields)


def test_a_color_can_become_another_one_of_the_palette() -> None:
    strokes = some("curves").requires_grad_()
    assert isinstance(strokes, Strokes)
    loss = (Constraints(palette=PALETTE)(strokes).color - PALETTE[1]).square().sum()
    (grad,) = torch.autograd.grad(loss, strokes.color)
    far = torch.cdist(strokes.color, PALETTE[None]).argmin(-1) == 0
    assert ((grad * (PALETTE[1] - strokes.color)).sum(-1)[far] < 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"thin": 0.0}, "thin must be > 0 and finite, got 0.0"),
        ({"thin": math.inf}, "thin must be > 0 and finite"),
        ({"palette": torch.rand(3)}, r"palette must have shape \(K, 3\) with K at least 1, got \(3,\)"),
        ({"palette": torch.full((1, 3), 1.5)}, r"palette must be in \[0, 1\]"),
    ],
)
def test_rejects_bad_constraints(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Constraints(**arguments)  # type: ignore[arg-type]


def test_media() -> None:
    assert MEDIA == ("oil", "marker", "watercolour", "dry-brush", "round", "neural")
    for name in MEDIA:
        medium = named_medium(name)
        assert isinstance(medium.brush, NeuralPainter) == (name == "neural") == (medium.block is not None)
    with pytest.raises(ValueError, match=r"medium must be one of oil, .* or a Medium, got 'chalk'"):
        named_medium("chalk")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"paper": 2.0}, r"paper must be in \[0, 1\], got 2.0"),
        ({"block": 64}, "block and noise are for a neural painter"),
        ({"noise": True}, "block and noise are for a neural painter"),
        ({"order": "spiral"}, "order must be one of blocks, alternating, got 'spiral'"),
        ({"connected": True, "order": "alternating"}, "connected strokes need the order 'blocks'"),
        ({"connected": True}, "block is None"),
    ],
)
def test_rejects_bad_media(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Medium(BRUSHES["round"], **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(("block", "overlap"), [(0, 0), (64, 64), (64, -1)])
def test_rejects_bad_blocks(block: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        Medium(NeuralPainter.pretrained(), block=block, overlap=overlap)
