"""Painters that come with the package: what their files say is true of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pretrain
import pytest
import torch

from neural_paint import mypaint
from neural_paint.painters import NeuralPainter, pretrained_painters, provenance
from neural_paint.painters.pretrained import FILES

needs_mypaint = pytest.mark.skipif(not mypaint.available(), reason="libmypaint is not installed")
each_painter = pytest.mark.parametrize("name", pretrained_painters())


def test_the_default_is_the_dry_brush() -> None:
    assert pretrained_painters()[0] == "dry_brush" and provenance()["brush"] == "classic/dry_brush"
    actions = torch.rand(2, 12)
    assert torch.equal(NeuralPainter.pretrained()(actions), NeuralPainter.pretrained("dry_brush")(actions))


@each_painter
def test_painters_are_frozen_small_and_say_where_they_are_from(name: str) -> None:
    painter, record = NeuralPainter.pretrained(name), provenance(name)
    assert not painter.training and not any(weight.requires_grad for weight in painter.parameters())
    assert record["strokes"]["brush"] == record["brush"] and record["training"]["recipe"] == painter.kind
    assert record["training"]["painter"] in ({}, painter.architecture())
    assert record["held out"]["steps"] == record["training"]["steps"]


def test_all_files_together_are_small() -> None:
    assert sum(path.stat().st_size for path in FILES.folder.iterdir()) < 8_000_000


@needs_mypaint
@each_painter
def test_painters_paint_as_well_as_they_say(name: str) -> None:
    """On strokes that are in no data set, whose actions are drawn by another generator."""
    actions = np.random.default_rng(20_000).random((300, 12))
    strokes = torch.from_numpy(mypaint.paint_actions(actions, provenance(name)["brush"])).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        painted = NeuralPainter.pretrained(name)(torch.from_numpy(actions).float())
    error = (painted - strokes).square().mean((1, 2, 3))
    spread = error.std().item() / len(error) ** 0.5
    assert error.mean().item() == pytest.approx(provenance(name)["held out"]["mse"], abs=4 * spread)


@needs_mypaint
def test_speckle_is_like_that_of_the_program() -> None:
    """The energy of differences between neighbours: smooth strokes have that of their edges alone."""
    actions = np.random.default_rng(20_001).random((200, 12))
    strokes = torch.from_numpy(mypaint.paint_actions(actions)).permute(0, 3, 1, 2) / 255
    painter, x = NeuralPainter.pretrained(), torch.from_numpy(actions).float()
    with torch.no_grad():
        smooth, speckled = painter(x), painter(x, generator=torch.Generator().manual_seed(0))
    real, without, with_noise = (images.diff(dim=3).square().mean().item() for images in (strokes, smooth, speckled))
    assert without < 0.7 * real < 0.8 * real < with_noise < 1.1 * real


def test_refuses_other_names() -> None:
    with pytest.raises(ValueError, match=r"name must be one of dry_brush.*, got 'wet_brush'"):
        NeuralPainter.pretrained("wet_brush")


@needs_mypaint
def test_the_script_makes_a_painter(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--strokes", "200", "--steps", "3", "--work", str(tmp_path / "work"), "--folder", str(tmp_path)]
    pretrain.main(["classic/charcoal", *options])
    monkeypatch.setattr("neural_paint.painters.pretrained.FILES", replace(FILES, folder=tmp_path))
    assert pretrained_painters() == ["charcoal"]
    assert NeuralPainter.pretrained("charcoal").kind == "dab" and provenance("charcoal")["held out"]["steps"] == 3
