"""What a training is told: dataclasses that have defaults, read from files and flags."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

if TYPE_CHECKING:
    from neural_paint.training.recipe import Recipe, Setting

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
# rate of those to come is another one where a recipe stretches a cosine over all of them, as "dab" and agents do. Data
# are known by their digest, wherever they are.
CHANGEABLE = ("steps", "data", "log_every", "evaluate_every", "evaluate_strokes", "checkpoint_every")


@dataclass(frozen=True)
class TrainConfig(ABC):
    """What all recipes have in common. Data are counted in units: strokes for a painter, say.

    Attributes:
        steps: of all stages together; each takes a batch of its own.
        batch_size: units of a step, of all processes together.
        seed: of the initial weights, the order of the data and all noise.
        precision: of convolutions and matrix products; auto is bfloat16 on a GPU that has it.
        validation: share of the data that is kept for validation.
        log_every, evaluate_every, checkpoint_every: in steps.
        evaluate_strokes: so many units of the validation data are looked at each time; at the end all are.
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

    def check(self) -> None:  # noqa: B027 (most have nothing to check)
        """Raise ValueError where settings contradict each other."""

    @abstractmethod
    def make(self, setting: Setting) -> Recipe[Any, Any]:
        """The recipe, with initial weights by torch's own random numbers."""


Config = TypeVar("Config", bound=TrainConfig)


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


def make_config(values: Mapping[str, Any], configs: Mapping[str, type[Config]]) -> Config:
    """A config of settings, with defaults for what is not there.

    Args:
        values: the settings, with the name of the recipe as "recipe", unless there is but one.
        configs: by names of recipes.

    Raises:
        ValueError: naming the setting, the rule that it breaks, and what was found.
    """
    recipe = values.get("recipe", next(iter(configs)) if len(configs) == 1 else None)
    if not isinstance(recipe, str) or recipe not in configs:
        raise ValueError(f"recipe must be one of {', '.join(configs)}, got {recipe!r}")
    try:
        # By way of JSON, whose strict reading knows lists as tuples, and no number in quotes.
        text = json.dumps(values, default=str)
        config = TypeAdapter(configs[recipe]).validate_json(text, strict=True)
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


def default_settings(config: type[TrainConfig]) -> dict[str, Any]:
    """The settings that need not be given, as `as_settings` has them."""
    values = {}
    for field in dataclasses.fields(config):
        if field.default is not dataclasses.MISSING:
            values[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            values[field.name] = field.default_factory()
    return json.loads(json.dumps(values))


def check_stages(steps: int, **stages: int) -> None:
    """Raise ValueError where the stages leave no step for the last one."""
    if sum(stages.values()) >= steps:
        names = " + ".join(stages)
        raise ValueError(f"steps must be more than {names} = {sum(stages.values()):,}, got {steps:,}")


def check_pieces(config: TrainConfig, values: str, boundaries: str) -> None:
    """Raise ValueError where two settings of a config are no values and boundaries of `schedules.piecewise`."""
    numbers, steps = getattr(config, values), getattr(config, boundaries)
    if len(numbers) != len(steps) + 1:
        raise ValueError(f"{values} must be one more than {boundaries}, got {len(numbers)} and {len(steps)}")
    if list(steps) != sorted(steps):
        raise ValueError(f"{boundaries} must not fall, got {list(steps)}")


def _first_fault(error: ValidationError, recipe: str) -> str:
    fault = error.errors()[0]
    key = ".".join(map(str, fault["loc"]))
    if fault["type"] == "unexpected_keyword_argument":
        return f"{key} is no setting of the recipe {recipe}, got {fault['input']!r}"
    rule = fault["msg"].replace("Input should", "must")
    return f"{key} {rule[0].lower()}{rule[1:]}, got {fault['input']!r}"
