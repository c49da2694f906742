"""The experiment on discrete actions: what it measures, and that it runs from end to end and goes on."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import discrete_actions
import discrete_training
import pytest
import torch
from discrete_measures import crossing, flat_from, sweep_lift, sweep_size
from torch import Tensor, nn

from neural_paint import mypaint
from neural_paint.agents.discrete import LIFT, DiscreteActions, draw_with_lift, with_lift
from neural_paint.agents.training.recipe import AgentRecipe
from neural_paint.painters.training.regression import RegressionRecipe

needs_mypaint = pytest.mark.skipif(not mypaint.available(), reason="libmypaint is not installed")


class Fading(nn.Module):
    """Pictures whose darkness falls in a straight line, to nothing at a lift of 0.4; their place is that of the end."""

    def forward(self, actions: Tensor) -> Tensor:
        pixel = (torch.arange(64) + 0.5) / 64
        spot = torch.exp(-(((pixel - actions[:, 4, None]) / 0.05) ** 2))
        dark = (1 - actions[:, LIFT.slice] / 0.4).clamp(min=0)[..., None] * spot[:, None]
        return 1 - dark[:, None].expand(-1, 3, 64, -1)


class Real(nn.Module):
    """MyPaint itself, at the nearest level."""

    def forward(self, actions: Tensor) -> Tensor:
        return draw_with_lift(DiscreteActions().quantise(actions)[:, None]) / 255


def written_digits(folder: Path) -> Path:
    """Forty pictures in the layout of MNIST, of which some are held out."""
    pictures = (torch.rand(40, 28, 28) > 0.8).byte() * 255
    (folder / "train-images-idx3-ubyte").write_bytes(struct.pack(">4I", 2051, 40, 28, 28) + bytes(pictures.flatten()))
    (folder / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 2049, 40) + bytes(40))
    return folder


def test_sweep_of_the_lift() -> None:
    actions = torch.rand(6, 12).clamp(0.3, 0.7)
    sweep = sweep_lift(Fading(), actions, torch.linspace(0, 1, 41))
    assert sweep["ink"][0] == 1 and sweep["ink"][4] == pytest.approx(0.75, abs=1e-5) and sweep["ink"][-1] == 0
    assert sweep["half"] == pytest.approx(0.2, abs=1e-3)
    assert sweep["slope"][4] == pytest.approx(2.5, rel=1e-4) and sweep["slope"][30] == 0
    # The knee is at one of the lifts, and has either slope.
    assert [sweep["slope_is_flat"], sweep["pull_is_flat"]] == pytest.approx([0.4, 0.4], abs=0.026)
    assert max(sweep["drift"][:15]) < 1e-3
    assert len(sweep["quartiles"]) == len(sweep["lift"]) == 41


def test_places_of_a_curve() -> None:
    places, values = torch.tensor([0.0, 1.0, 2.0, 3.0]), torch.tensor([1.0, 0.8, 0.2, 0.0])
    assert crossing(places, values, 0.5) == pytest.approx(1.5)
    assert crossing(places, values, -1.0) is None and crossing(places, values, 2.0) is None
    assert flat_from(places, values, 0.5) == 2 and flat_from(places, values, 0.1) == 3
    assert flat_from(places, values, 2.0) == 0 and flat_from(places, values, 0.0) is None


@needs_mypaint
def test_sweep_of_the_size() -> None:
    space = DiscreteActions()
    actions = with_lift(space.sample(3), 0.0)
    sweep = sweep_size({"real": Real()}, actions, space)
    assert len(sweep["size"]) == 37 and max(sweep["real executed"]) == 0
    # What is executed is of that size at the levels, and only there.
    assert sweep["real of_size"] == sweep["rounding"] and max(sweep["rounding"][::4]) == 0
    summary, coarse = (each["summary"]["rounding"] for each in (sweep, sweep["coarse"]))
    assert summary["levels"] == coarse["levels"] == 0 < coarse["between"] < summary["between"]


def test_ink_renderer_multiplies_and_holds_the_lift() -> None:
    canvas, actions = torch.rand(2, 3, 64, 64), torch.rand(2, 12)
    held = discrete_training.InkRenderer(Fading(), False).draw(actions, canvas)
    assert torch.equal(held, canvas * Fading()(with_lift(actions, 0.0)))
    free = discrete_training.InkRenderer(Fading(), True).draw(with_lift(actions, 1.0), canvas)
    assert torch.equal(free, canvas)


@needs_mypaint
def test_runs_from_end_to_end_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments: list[Any] = ["--work", tmp_path / "work", "--strokes", 150, "--steps", 2, "--sweep", 8, "--seeds", 1]
    arguments += ["--targets", written_digits(tmp_path), "--agent-steps", 2, "--pictures", 3, "--results", tmp_path]
    arguments += ["--images", tmp_path, "--agent", "lift, pen down at first", "--agent", "continuous"]
    monkeypatch.setattr(discrete_actions, "LIFTS", 3)
    assert discrete_actions.main(list(map(str, arguments))) == 0
    report = json.loads((tmp_path / "discrete_actions.json").read_text(encoding="utf-8"))
    assert [run["agent"] for run in report["agents"]["runs"]] == ["lift, pen down at first", "continuous"]
    first, second = (run["way"] for run in report["agents"]["runs"])
    assert len(first["lift"]) == 2 and max(first["lift"]) < 0.1 and max(second["lift"]) == 0
    for name in ("lift", "size", "agents"):
        assert (tmp_path / f"discrete_{name}.png").exists() and (tmp_path / f"discrete_{name}.jpg").exists()
    # What is finished is not done again.
    monkeypatch.setattr(AgentRecipe, "_train_agent", None)
    monkeypatch.setattr(RegressionRecipe, "_step", None)
    assert discrete_actions.main(list(map(str, arguments))) == 0
    assert json.loads((tmp_path / "discrete_actions.json").read_text(encoding="utf-8")) == report


@needs_mypaint
@pytest.mark.parametrize("space", discrete_training.SPACES)
def test_strokes_are_of_the_actions_that_are_learned(tmp_path: Path, space: str) -> None:
    train, held_out = discrete_training.make_strokes(tmp_path, space, 100)
    assert len(train) + len(held_out) == 100
    actions, strokes = next(train.batches(50, seed=0))
    assert torch.equal(draw_with_lift(actions[:, None]), strokes)
    assert torch.equal(DiscreteActions().quantise(actions), actions) == (space == "discrete")
    assert space in train.digest
