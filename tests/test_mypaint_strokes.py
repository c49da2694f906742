"""How well the committed constants of MyPaint's strokes fit the real ones, and the engine of its equations."""

from __future__ import annotations

import json
from pathlib import Path

import fit_mypaint_strokes as fitting
import mypaint_engine
import numpy as np
import pytest
import torch

from neural_paint import mypaint
from neural_paint.stroke_vectors import MYPAINT_BRUSH, MyPaintBrush

needs_mypaint = pytest.mark.skipif(not mypaint.available(), reason="libmypaint is not installed")


def test_engine_paints_as_much_as_the_program() -> None:
    """Statistics of the published strokes, whose actions are uniform: dabs, inked pixels, mean value."""
    random = np.random.default_rng(2)
    strokes = [mypaint_engine.render(action, random) for action in random.random((150, 12))]
    dabs = np.array([stroke.dabs for stroke in strokes])
    images = np.stack([stroke.image for stroke in strokes])
    assert dabs.mean() == pytest.approx(353, rel=0.1)
    assert np.median(dabs) == pytest.approx(286, rel=0.15)
    assert dabs.min() > 0
    inked = (images < 255).any(-1).mean((1, 2))
    assert inked.mean() == pytest.approx(0.228, rel=0.15)
    assert inked.min() > 0
    assert images.mean() == pytest.approx(242, abs=3)


def test_engine_follows_the_action() -> None:
    """Through the control point half way, in its colour; pressure is constant for half of the stroke."""
    action = np.array([1.0, 0.0, 0.5, 0.2, 0.9, 0.8, 0.0, 1.0, 0.25, 0.1, 0.8, 0.5])
    points, pressures = mypaint_engine.curve(action), mypaint_engine.pressures(action)
    assert points[49] == pytest.approx([32, 12.8])
    assert points[99] == pytest.approx([57.6, 51.2])
    assert pressures[[24, 49, 74]] == pytest.approx(0.6)
    assert pressures[[12, 87, 99]] == pytest.approx([0.504, 0.704, 0.8])
    ink = 255.0 - mypaint_engine.render(action, np.random.default_rng(0)).image
    assert ink[..., 1].max() == 0
    assert ink[..., 2].sum() / ink[..., 0].sum() == pytest.approx(0.75, abs=0.02)


def test_engine_leaves_no_ink_without_pressure_or_way() -> None:
    action = np.full(12, 0.5)
    assert (mypaint_engine.render(action, np.random.default_rng(0)).image == 255).mean() > 0.99
    action[4], action[0] = 0.9, 0.0
    stroke = mypaint_engine.render(action, np.random.default_rng(0))
    assert (stroke.image == 255).all() and stroke.dabs == 0


@needs_mypaint
def test_committed_constants_fit_the_program() -> None:
    """On strokes that they were not fitted to, next to the plain reading of the actions and to white paper."""
    random = np.random.default_rng(99)
    cases = ((random.random((40, 12)), 0.35, 0.93), (fitting.short_actions(40, random), 0.7, 0.85))
    for actions, share, correlation in cases:
        found = fitting.compare(fitting.painted(actions), MYPAINT_BRUSH)
        ours = found["decode_strokes"]
        assert ours["mse"] < share * found["plain"]["mse"]
        assert ours["mse"] < 0.25 * found["white"]["mse"]
        # No worse than the program is at painting the same stroke again.
        assert ours["mse"] < 1.1 * found["MyPaint again"]["mse"]
        assert ours["correlation"] > correlation
        assert ours["ink"] == pytest.approx(1, abs=0.2)


def test_committed_constants_are_those_of_the_results() -> None:
    assert json.loads(fitting.RESULTS.read_text(encoding="utf-8"))["constants"] == MYPAINT_BRUSH._asdict()


def test_fit_finds_the_constants_that_pictures_were_made_with() -> None:
    random = np.random.default_rng(1)
    actions = torch.as_tensor(np.concatenate([random.random((8, 12)), fitting.short_actions(8, random)])).float()
    truth = MyPaintBrush(*(1.05 * constant for constant in MYPAINT_BRUSH))
    with torch.no_grad():
        pictures = fitting.Pictures(actions, fitting.render(actions, truth))
    before, after = (
        fitting.errors(fitting.render(actions, brush), pictures.images)["mse"]
        for brush in (MYPAINT_BRUSH, fitting.fit([pictures], 30))
    )
    assert after < 0.2 * before


@needs_mypaint
def test_script_leaves_constants_and_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "new" / "results.json"
    fitting.main(["--strokes", "8", "--held-out", "4", "--steps", "2", "--results", str(results)])
    result = json.loads(results.read_text(encoding="utf-8"))
    assert result["strokes"] == "classic/dry_brush" and set(result["held out"]) == {"uniform", "short"}
    assert str(MyPaintBrush(**result["constants"])) in capsys.readouterr().out
