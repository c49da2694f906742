"""The named brushes: what their textures look like, and that paintings keep to what a brush asks for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from neural_paint.brushes import BRUSHES
from neural_paint.io import demo_photo, load_image, load_strokes, save_strokes
from neural_paint.tasks import reconstruct

TEXTURED = [name for name, brush in BRUSHES.items() if brush.texture is not None]


def _bank(name: str) -> torch.Tensor:
    texture = BRUSHES[name].texture
    assert texture is not None
    return texture()


def test_there_is_a_plain_brush_and_a_dry_one() -> None:
    assert BRUSHES["round"].texture is None
    assert "dry" in TEXTURED


@pytest.mark.parametrize("name", TEXTURED)
def test_textures_are_factors_of_alpha(name: str) -> None:
    bank = _bank(name)
    assert bank.dtype == torch.float32 and bank.ndim == 3
    assert bank.min() >= 0 and bank.max() <= 1
    assert bank.mean() > 0.4  # it still covers
    assert torch.equal(bank, _bank(name))
    assert all(not torch.equal(a, b) for i, a in enumerate(bank) for b in bank[:i])


def test_dry_brush_leaves_streaks_that_run_out() -> None:
    bank = _bank("dry")
    along, across = bank.diff(dim=2).abs().mean(), bank.diff(dim=1).abs().mean()
    assert across > 2 * along
    quarters = bank.unflatten(2, (4, -1)).mean((0, 1, 3))
    assert quarters[0] > 2 * quarters[3]
    assert quarters[1] > 0.7


def test_pastel_ends_with_its_texture() -> None:
    bank = _bank("pastel")
    assert bank[:, :, [0, -1]].max() < 0.1


@pytest.mark.parametrize("name", TEXTURED)
def test_strokes_keep_to_their_brush(name: str, tmp_path: Path) -> None:
    photo, brush = load_image(demo_photo(), size=48), BRUSHES[name]
    for step in reconstruct(photo, 40, steps=30, brush=name):
        strokes = step.strokes.validate()
        assert strokes.opacity.min() >= brush.opacity
        assert strokes.texture is not None and torch.equal(strokes.texture, _bank(name))
        assert brush.softness is not None
        assert (strokes.feather <= 1 + brush.softness * strokes.radius.mean(-1) + 1e-5).all()
    assert len(strokes.texture_id.unique()) > len(strokes.texture) / 2
    flat = (photo - photo.mean((2, 3), keepdim=True)).square().mean()
    assert step.psnr > -10 * float(flat.log10()) + 3
    save_strokes(tmp_path / "strokes.json", strokes, canvas=photo.shape[2:])
    again = load_strokes(tmp_path / "strokes.json").strokes
    assert all(torch.equal(value, again.fields()[field]) for field, value in strokes.fields().items())


def test_unknown_brush_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match=r"one of round, dry, .*, or what .*load_brush returns, got 'chalk'"):
        reconstruct(torch.rand(1, 3, 8, 8), 4, brush="chalk")
    with pytest.raises(TypeError, match="brush must be a name, a Brush, a BitmapBrush or a NeuralPainter, got Tensor"):
        reconstruct(torch.rand(1, 3, 8, 8), 4, brush=torch.rand(1, 8, 8))  # type: ignore[arg-type]
