"""Recipes step by step: what is trained when, by which loss, and what their state is."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from stroke_sets import MemoryStrokes
from tiny_trainings import TINY, tiny

from neural_paint.painters.training import gan, vae
from neural_paint.training import Trainer
from neural_paint.training.world import derived_seed


def trainer(name: str, **settings: Any) -> Trainer:
    return Trainer(tiny(name, **settings), MemoryStrokes())


def weights(trainer: Trainer, network: str) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in trainer.recipe.networks[network].named_parameters()}


def changed(trainer: Trainer, network: str, before: dict[str, torch.Tensor]) -> set[str]:
    """First parts of the names of the weights that are others now."""
    now = weights(trainer, network)
    return {name.split(".")[0] for name in now if not torch.equal(now[name], before[name])}


@pytest.mark.parametrize("name", ["vae", "vae without noise"])
def test_stages_of_the_vae(name):
    trained = trainer(name)
    before, encoder = weights(trained, "painter"), weights(trained, "encoder")
    steps = iter(trained)
    first = next(steps)
    assert first.stage == "autoencoder" and first.losses.keys() == {"reconstruction", "divergence"}
    assert changed(trained, "painter", before) == {"decoder"} and changed(trained, "encoder", encoder)
    before, encoder = weights(trained, "painter"), weights(trained, "encoder")
    second = next(steps)
    heads = {"predictor", "predictor_log_variance"} if name == "vae" else {"predictor"}
    assert second.stage == "predictor" and second.losses.keys() == heads
    assert changed(trained, "painter", before) == {"predictor"} and not changed(trained, "encoder", encoder)
    assert next(steps, None) is None and trained.step == 2


@pytest.mark.parametrize("name, counted", [("vae", [10, 10, 1]), ("gan", [10, 1])])
def test_strokes_weigh_more_in_the_first_steps(name, counted, monkeypatch):
    weights = []
    for module in (vae, gan):
        monkeypatch.setattr(module, "weighted_error", lambda x, y, w, *_: weights.append(w) or (x - y).square().sum())
    stages = {"stage1_steps": 3, "steps": 4} if name == "vae" else {"steps": 4}
    list(trainer(name, nonwhite_steps=2, **stages))
    assert weights == counted


@pytest.mark.parametrize(
    "settings, rates", [({}, [0.01, 0.001, 1e-4]), ({"predictor_rates": [0.5], "predictor_boundaries": []}, [0.5] * 3)]
)
def test_rates_of_the_predictor(settings, rates):
    boundaries = {"predictor_boundaries": [1, 2], "stage1_steps": 1, "steps": 4}
    trained = trainer("vae", **{**boundaries, **settings})
    found = [trained.recipe.optimizers["predictor"].param_groups[0]["lr"] for _ in trained]
    assert found[1:] == rates


def test_turns_of_critic_and_generator():
    trained = trainer("gan", steps=12, critic_steps=5)
    turns = []
    for report in trained:
        turns.append("painter" if "score" in report.losses else "critic")
        if report.step == 1:
            # The critic's step leaves the painter's weights alone, and the other way round.
            painter = weights(trained, "painter")
        elif report.step == 5:
            assert not changed(trained, "painter", painter)
            critic = weights(trained, "critic")
        elif report.step == 6:
            assert changed(trained, "painter", painter) and not changed(trained, "critic", critic)
    assert turns == (["critic"] * 5 + ["painter"]) * 2


def test_reconstruction_counts_as_scheduled(monkeypatch):
    counted = []
    update = gan.GANRecipe._update

    def record(self, name, loss, rate=None):
        counted.append((name, loss.item()))
        update(self, name, loss, rate)

    monkeypatch.setattr(gan.GANRecipe, "_update", record)
    settings = {"reconstruction_weights": [3.0, 0.5], "reconstruction_boundaries": [2], "nonwhite_steps": 0}
    reports = list(trainer("gan", steps=4, **settings))
    for step, weight in ((1, 3.0), (3, 0.5)):
        losses = reports[step].losses
        assert counted[step][0] == "painter"
        assert counted[step][1] == pytest.approx(float(losses["score"] + weight * losses["reconstruction"]), rel=1e-5)
    # The critic's loss is real - fake + 10 penalty.
    losses = reports[0].losses
    assert counted[0] == ("critic", pytest.approx(float(10 * losses["penalty"] - losses["distance"]), rel=1e-5))


def test_one_epsilon_or_one_for_each(monkeypatch):
    shapes = []
    monkeypatch.setattr(gan, "gradient_penalty", lambda c, x, y, e: shapes.append(tuple(e.shape)) or c(x).mean())
    for epsilon in ("sample", "batch"):
        next(iter(trainer("gan", epsilon=epsilon)))
    assert shapes == [(8, 1, 1, 1), (1, 1, 1, 1)]


def test_stages_of_npx():
    trained = trainer("npx")
    steps, both = iter(trained), ("painter", "critic")
    for stage, network, losses in (("painter", "painter", {"features"}), ("critic", "critic", {"critic"})):
        before = {name: weights(trained, name) for name in both}
        statistics = trained.recipe.painter.generator[0][2].running_mean.clone()
        report = next(steps)
        assert report.stage == stage and report.losses.keys() == losses
        assert [name for name in both if changed(trained, name, before[name])] == [network]
        # Frozen, the painter keeps its statistics, too.
        frozen = torch.equal(statistics, trained.recipe.painter.generator[0][2].running_mean)
        assert frozen == (stage == "critic")
    before = {name: weights(trained, name) for name in both}
    assert next(steps).losses.keys() == {"critic", "painter", "features"}
    assert all(changed(trained, name, before[name]) for name in both)


def test_regression_is_the_error_of_pictures():
    trained, data = trainer("gan by regression"), MemoryStrokes()
    actions, strokes = next(data.batches(8, seed=derived_seed(0, 1, 0)))
    expected = (trained.recipe.painter.train()(actions) - strokes / 255).square().mean().item()
    assert next(iter(trained)).losses["error"].item() == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match=re.escape("there is no painter of kind 'gan' with {'width': 3}")):
        trainer("gan by regression", painter={"width": 3})


def test_noise_is_trained_by_the_energy_score_and_does_not_touch_the_mean():
    noisy, silent = (trainer("dab", steps=1, energy_weight=weight) for weight in (0.5, 0.0))
    (with_energy,), (without,) = ([report.losses for report in trained] for trained in (noisy, silent))
    assert set(with_energy) == {"error", "energy"} and set(without) == {"error"}
    assert torch.equal(with_energy["error"], without["error"]) and 0 < with_energy["energy"] < 1
    weights = (trained.recipe.painter.network[0].weight for trained in (noisy, silent))
    assert not torch.equal(*weights)


@pytest.mark.parametrize("name", ["vae", "gan", "gan by regression"])
def test_mixed_precision_is_close(name):
    exact, rough = (list(trainer(name, precision=precision)) for precision in ("float32", "bfloat16"))
    assert any(a.losses[loss] != b.losses[loss] for a, b in zip(exact, rough, strict=True) for loss in a.losses)
    for a, b in zip(exact, rough, strict=True):
        for loss in a.losses:
            assert b.losses[loss].dtype == torch.float32
            torch.testing.assert_close(a.losses[loss], b.losses[loss], rtol=0.1, atol=0.05)


@pytest.mark.parametrize("name", [name for name in TINY if name != "npx"])
def test_state_is_all_that_there_is(name):
    settings = {"steps": 6, **({"stage1_steps": 3} if name.startswith("vae") else {})}
    whole, first, second = (trainer(name, **settings) for _ in range(3))
    expected = [report.losses for report in whole]
    for report in first:
        if report.step == 2:
            break
    second.load_state(first.step, first.state())
    for a, report in zip(expected[2:], second, strict=True):
        assert all(torch.equal(a[loss], report.losses[loss]) for loss in a)
    states = whole.state(), second.state()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_batches_must_suffice():
    with pytest.raises(ValueError, match="a batch is 99 strokes, and there are 48 to train on"):
        trainer("dab", batch_size=99)
