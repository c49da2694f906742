"""What a training is told: dataclasses with the published numbers as defaults, read from files and flags."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, TypeAdapter, ValidationError

from neural_paint.painters.recipe_names import RECIPES
from neural_paint.painters.training.losses import Reduction

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Count = Annotated[int, Field(ge=1, le=10**9)]
Steps = Annotated[int, Field(ge=0, le=10**9)]
Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Betas = tuple[Share, Share]
Precision = Literal["auto", "float32", "bfloat16"]

# What may differ where a training goes on: none of it changes the steps that are done. With other `steps`, the learning
# rate of those to come is another one for the recipe "dab", whose cosine is stretched over all of them.
CHANGEABLE = ("steps", "log_every", "evaluate_every", "evaluate_strokes", "checkpoint_every")


@dataclass(frozen=True)
class TrainConfig:
    """What all recipes have in common.

    Attributes:
        steps: of all stages together; each takes a batch of its own.
        batch_size: strokes of a step, of all processes together.
        seed: of the initial weights, the order of the data and all noise.
        precision: of convolutions and matrix products; auto is bfloat16 on a GPU that has it.
        validation: share of the strokes that is kept for validation.
        log_every, evaluate_every, checkpoint_every: in steps.
        evaluate_strokes: of the validation strokes, so many are looked at each time; at the end all are.
        painter: arguments of the painter's constructor.
    """

    # Unknown keys are refused, and what is not finite.
    __pydantic_config__: ClassVar[Any] = {"extra": "forbid", "allow_inf_nan": False}

    recipe: str
    steps: Count
    batch_size: Count = 64
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    precision: Precision = "auto"
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.05
    log_every: Count = 100
    evaluate_every: Count = 5_000
    evaluate_strokes: Count = 1_000
    checkpoint_every: Count = 1_000
    painter: dict[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Raise ValueError where settings contradict each other."""


@dataclass(frozen=True)
class VAEConfig(TrainConfig):
    """The VAE painter, with the numbers of the PyTorch port.

    The TensorFlow original differs in batch_size 100, stage1_steps 200,000, steps 300,000 and a painter with
    stochastic = false, whose predictor learns a sample of the latent vector.

    Attributes:
        stage1_steps: of encoder and decoder; what is left is the predictor's.
        nonwhite_weight: of pixels that are not white, in the first `nonwhite_steps` steps; 1 afterwards.
        free_bits: for each entry of the latent vector.
        predictor_rates: from step to step of `predictor_boundaries`, counted from the predictor's first.
    """

    recipe: Literal["vae"] = "vae"
    steps: Count = 450_000
    stage1_steps: Count = 300_000
    learning_rate: Positive = 1e-4
    betas: Betas = (0.9, 0.999)
    nonwhite_weight: Weight = 10.0
    nonwhite_steps: Steps = 10_000
    free_bits: Weight = 0.5
    divergence_weight: Weight = 1.0
    predictor_rates: tuple[Positive, ...] = (1e-2, 1e-3, 1e-4)
    predictor_boundaries: tuple[Steps, ...] = (20_000, 80_000)

    def check(self) -> None:
        _check_stages(self.steps, stage1_steps=self.stage1_steps)
        _check_pieces(self, "predictor_rates", "predictor_boundaries")


@dataclass(frozen=True)
class GANConfig(TrainConfig):
    """The WGAN-GP painter, with the numbers of the PyTorch port. Steps are those of critic and generator together.

    The TensorFlow original differs in reconstruction "mean", reconstruction_weights [10] without boundaries,
    nonwhite_steps 1,770,264 (of the generator 295,044), betas [0.5, 0.9] and a painter with noise_size = 0.

    Attributes:
        critic_steps: for each step of the generator.
        epsilon: "sample" mixes each real stroke with its painted one by a number of its own, as WGAN-GP is defined;
            "batch" all of them by the same number, as published.
        reconstruction: see `losses.weighted_error`.
        reconstruction_weights: from step to step of `reconstruction_boundaries`.
        nonwhite_weight: of pixels that are not white, in the first `nonwhite_steps` steps; 1 afterwards.
    """

    recipe: Literal["gan"] = "gan"
    steps: Count = 1_400_000
    learning_rate: Positive = 1e-4
    betas: Betas = (0.9, 0.999)
    critic_dim: Count = 16
    critic_steps: Count = 5
    penalty_weight: Weight = 10.0
    epsilon: Literal["sample", "batch"] = "sample"
    reconstruction: Reduction = "sum"
    reconstruction_weights: tuple[Weight, ...] = (10.0, 1.0, 0.1)
    reconstruction_boundaries: tuple[Steps, ...] = (500_000, 550_000)
    nonwhite_weight: Weight = 10.0
    nonwhite_steps: Steps = 100_000

    def check(self) -> None:
        _check_pieces(self, "reconstruction_weights", "reconstruction_boundaries")


@dataclass(frozen=True)
class NPXConfig(TrainConfig):
    """The painter of Neural Painters X: 15, 10 and 1 passes over 100,000 strokes, without the last, short batches.

    Attributes:
        painter_steps: of the painter alone, against the feature loss.
        critic_steps: of the critic alone, the painter being frozen; what is left is of both, in turn on each batch.
        critic_batch_size: of the critic alone.
        features: the network of the feature loss: EfficientNet-Lite0, or VGG16-BN as published.
        feature_weights: of its three layers, by default (5, 15, 2) with VGG16-BN, as published, and a tenth of that
            with EfficientNet-Lite0, whose activations are larger: pixels would count for nothing.
        gram_weight: Gram matrices of a layer count by so much, times the square of its weight; by default 5,000 with
            VGG16-BN, as published, and 50 with EfficientNet-Lite0.
    """

    recipe: Literal["npx"] = "npx"
    steps: Count = 8_190
    painter_steps: Count = 5_850
    critic_steps: Count = 1_950
    batch_size: Count = 256
    critic_batch_size: Count = 512
    painter_rate: Positive = 1e-3
    painter_betas: Betas = (0.5, 0.9)
    critic_rate: Positive = 1e-3
    critic_betas: Betas = (0.5, 0.999)
    joint_rate: Positive = 1e-4
    joint_betas: Betas = (0.5, 0.9)
    critic_width: Annotated[int, Field(ge=4)] = 64
    dropout: Share = 0.15
    features: Literal["efficientnet-lite0", "vgg16-bn"] = "efficientnet-lite0"
    feature_weights: tuple[Weight, Weight, Weight] | None = None
    gram_weight: Weight | None = None

    def check(self) -> None:
        _check_stages(self.steps, painter_steps=self.painter_steps, critic_steps=self.critic_steps)


@dataclass(frozen=True)
class RegressionConfig(TrainConfig):
    """Any painter, made to paint what the strokes are: by default this project's own.

    Attributes:
        kind: of the painter, as in its file.
        loss: of pictures without noise: "mse", the mean squared error, or "l1", the mean absolute one.
        energy_weight: of the energy score of pictures with noise; 0 leaves the noise untrained.
        warmup_steps: in which the learning rate rises, before it falls as half a cosine to `last_rate`.
    """

    recipe: Literal["dab"] = "dab"
    steps: Count = 4_000
    kind: str = "dab"
    loss: Literal["mse", "l1"] = "mse"
    energy_weight: Weight = 0.2
    learning_rate: Positive = 5e-3
    last_rate: Weight = 0.0
    warmup_steps: Steps = 100
    betas: Betas = (0.9, 0.99)


CONFIGS: dict[str, type[TrainConfig]] = dict(
    zip(RECIPES, (VAEConfig, GANConfig, NPXConfig, RegressionConfig), strict=True)
)


def read_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The settings in a .toml or .json file, unchecked.

    Raises:
        ValueError: it is neither, or damaged.
        OSError: it cannot be read.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".toml", ".json"):
        raise ValueError(f"a config file ends in .toml or .json, got {path}")
    try:
        text = Path(path).read_bytes().decode()
        values = json.loads(text) if suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise OSError(error.errno, f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"cannot read {path}: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"cannot read {path}: it must be an object, got {type(values).__name__}")
    return values


def make_config(values: Mapping[str, Any]) -> TrainConfig:
    """A config of settings, with defaults for what is not there.

    Raises:
        ValueError: naming the setting, the rule that it breaks, and what was found.
    """
    recipe = values.get("recipe")
    if not isinstance(recipe, str) or recipe not in CONFIGS:
        raise ValueError(f"recipe must be one of {', '.join(CONFIGS)}, got {recipe!r}")
    try:
        # By way of JSON, whose strict reading knows lists as tuples, and no number in quotes.
        text = json.dumps(values, default=str)
        config: TrainConfig = TypeAdapter(CONFIGS[recipe]).validate_json(text, strict=True)
    except ValidationError as error:
        raise ValueError(_first_fault(error, recipe)) from error
    config.check()
    return config


def parse_setting(text: str) -> tuple[str, Any]:
    """`key=value`, or `table.key=value`, with a value as TOML has it; what TOML does not know is text."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ValueError(f"a setting is given as KEY=VALUE, got {text!r}")
    try:
        return key.strip(), tomllib.loads(f"x = {value}")["x"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def as_settings(config: TrainConfig) -> dict[str, Any]:
    """What `make_config` makes the same config of; JSON can hold it."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def _first_fault(error: ValidationError, recipe: str) -> str:
    fault = error.errors()[0]
    key = ".".join(map(str, fault["loc"]))
    if fault["type"] == "unexpected_keyword_argument":
        return f"{key} is no setting of the recipe {recipe}, got {fault['input']!r}"
    rule = fault["msg"].replace("Input should", "must")
    return f"{key} {rule[0].lower()}{rule[1:]}, got {fault['input']!r}"


def _check_stages(steps: int, **stages: int) -> None:
    if sum(stages.values()) >= steps:
        names = " + ".join(stages)
        raise ValueError(f"steps must be more than {names} = {sum(stages.values()):,}, got {steps:,}")


def _check_pieces(config: TrainConfig, values: str, boundaries: str) -> None:
    numbers, steps = getattr(config, values), getattr(config, boundaries)
    if len(numbers) != len(steps) + 1:
        raise ValueError(f"{values} must be one more than {boundaries}, got {len(numbers)} and {len(steps)}")
    if list(steps) != sorted(steps):
        raise ValueError(f"{boundaries} must not fall, got {list(steps)}")
