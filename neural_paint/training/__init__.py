"""How networks are trained: one loop, in a folder, by one process or several. What is trained is a recipe's affair."""

from neural_paint.training.config import TrainConfig, make_config, read_config
from neural_paint.training.data import TrainData, ValidationData
from neural_paint.training.recipe import Recipe, Setting, Stage
from neural_paint.training.run import Outcome, Run
from neural_paint.training.trainer import Report, Trainer
from neural_paint.training.world import World

__all__ = [
    "Outcome",
    "Recipe",
    "Report",
    "Run",
    "Setting",
    "Stage",
    "TrainConfig",
    "TrainData",
    "Trainer",
    "ValidationData",
    "World",
    "make_config",
    "read_config",
]
