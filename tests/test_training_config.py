"""Settings of a training: published numbers, files, what is refused."""

from __future__ import annotations

import dataclasses
import json
import re
import typing
from pathlib import Path

import pytest

from neural_paint.painters.training import CONFIGS, VAEConfig
from neural_paint.training import make_config, read_config
from neural_paint.training.config import as_settings, parse_setting


@pytest.mark.parametrize(
    "recipe, published",
    [
        (
            "vae",
            {"learning_rate": 1e-4, "nonwhite_weight": 10, "nonwhite_steps": 10_000, "free_bits": 0.5, "batch_size": 64}
            | {"predictor_rates": (0.01, 0.001, 1e-4), "predictor_boundaries": (20_000, 80_000)}
            | {"stage1_steps": 300_000, "steps": 450_000},
        ),
        (
            "gan",
            {"critic_steps": 5, "penalty_weight": 10, "learning_rate": 1e-4, "betas": (0.9, 0.999), "critic_dim": 16}
            | {"reconstruction_weights": (10, 1, 0.1), "reconstruction_boundaries": (500_000, 550_000)}
            | {"nonwhite_weight": 10, "nonwhite_steps": 100_000, "epsilon": "sample", "steps": 1_400_000},
        ),
        (
            "npx",
            {"feature_weights": None, "gram_weight": None, "painter_rate": 1e-3, "painter_betas": (0.5, 0.9)}
            | {"critic_rate": 1e-3, "critic_betas": (0.5, 0.999), "joint_rate": 1e-4, "joint_betas": (0.5, 0.9)}
            | {"batch_size": 256, "critic_batch_size": 512, "dropout": 0.15, "critic_width": 64}
            | {"painter_steps": 15 * (100_000 // 256), "critic_steps": 10 * (100_000 // 512)},
        ),
    ],
)
def test_defaults_are_the_published_numbers(recipe, published):
    config = dataclasses.asdict(make_config({"recipe": recipe}, CONFIGS))
    assert {key: config[key] for key in published} == published


@pytest.mark.parametrize("recipe", CONFIGS)
def test_settings_make_the_same_config_again(recipe):
    config = make_config({"recipe": recipe, "painter": {"dim": 8}, "seed": 2**62, "validation": 0.1}, CONFIGS)
    assert make_config(json.loads(json.dumps(as_settings(config))), CONFIGS) == config
    hints = typing.get_type_hints(CONFIGS[recipe])
    assert set(as_settings(config)) == hints.keys() - {"__pydantic_config__"}


def test_a_single_recipe_need_not_be_named():
    only = {"vae": VAEConfig}
    assert make_config({"seed": 3}, only) == VAEConfig(seed=3)
    with pytest.raises(ValueError, match="recipe must be one of vae, got 'gan'"):
        make_config({"recipe": "gan"}, only)


def test_files(tmp_path):
    toml, text = tmp_path / "vae.toml", tmp_path / "vae.json"
    toml.write_text('recipe = "vae"\nlearning_rate = 1\nbetas = [0.5, 0.9]\n[painter]\nstochastic = false\n')
    settings = {"recipe": "vae", "learning_rate": 1, "betas": [0.5, 0.9], "painter": {"stochastic": False}}
    text.write_text(json.dumps(settings))
    expected = VAEConfig(learning_rate=1, betas=(0.5, 0.9), painter={"stochastic": False})
    for file in (toml, text):
        assert make_config(read_config(file), CONFIGS) == expected


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.yaml", "", "a config file ends in .toml or .json, got .*a.yaml"),
        ("a.toml", "steps = ", "cannot read .*a.toml: "),
        ("a.json", "[1]", "cannot read .*a.json: it must be an object, got list"),
        ("a.json", "{", "cannot read .*a.json: "),
    ],
)
def test_bad_files_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_config(tmp_path / name)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({}, "recipe must be one of vae, gan, npx, dab, got None"),
        ({"recipe": "vgg"}, "recipe must be one of vae, gan, npx, dab, got 'vgg'"),
        ({"recipe": "vae", "epsilon": "batch"}, "epsilon is no setting of the recipe vae, got 'batch'"),
        ({"recipe": "vae", "steps": "9"}, "steps must be a valid integer, got '9'"),
        ({"recipe": "vae", "steps": True}, "steps must be a valid integer, got True"),
        ({"recipe": "vae", "steps": 0}, "steps must be greater than or equal to 1, got 0"),
        ({"recipe": "gan", "betas": [0.5, 1.0]}, "betas.1 must be less than 1, got 1.0"),
        ({"recipe": "gan", "epsilon": "all"}, "epsilon must be 'sample' or 'batch', got 'all'"),
        ({"recipe": "gan", "learning_rate": float("nan")}, "learning_rate must be .*, got nan"),
        ({"recipe": "gan", "painter": 3}, "painter must be .*, got 3"),
        ({"recipe": "vae", "steps": 300_000}, "steps must be more than stage1_steps = 300,000, got 300,000"),
        (
            {"recipe": "gan", "reconstruction_weights": [1.0]},
            "reconstruction_weights must be one more than reconstruction_boundaries, got 1 and 2",
        ),
        ({"recipe": "vae", "predictor_boundaries": [3, 2]}, r"predictor_boundaries must not fall, got \[3, 2\]"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        make_config(settings, CONFIGS)


def test_settings_of_the_command_line():
    parsed = [parse_setting(text) for text in ("painter.dim=8", "loss = l1", "betas=[0.5, 0.9]", "seed=3")]
    assert parsed == [("painter.dim", 8), ("loss", "l1"), ("betas", [0.5, 0.9]), ("seed", 3)]
    with pytest.raises(ValueError, match=re.escape("a setting is given as KEY=VALUE, got 'seed'")):
        parse_setting("seed")


def test_examples_of_the_page(tmp_path):
    page = (Path(__file__).resolve().parents[1] / "docs" / "train_painter.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```toml\n(.+?)^```$", page, re.MULTILINE | re.DOTALL)
    recipes = set()
    for number, example in enumerate(examples):
        (tmp_path / f"{number}.toml").write_text(example)
        config = make_config(read_config(tmp_path / f"{number}.toml"), CONFIGS)
        recipes.add(config.recipe)
        assert config != make_config({"recipe": config.recipe}, CONFIGS)
    assert recipes == CONFIGS.keys()
