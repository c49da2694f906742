"""How neural painters are trained (docs/train_painter.md)."""

from neural_paint.painters.training.config import (
    GANConfig,
    NPXConfig,
    RegressionConfig,
    TrainConfig,
    VAEConfig,
    make_config,
    read_config,
)
from neural_paint.painters.training.run import Outcome, Run
from neural_paint.painters.training.trainer import Report, Trainer
from neural_paint.painters.training.world import World

__all__ = [
    "GANConfig",
    "NPXConfig",
    "Outcome",
    "RegressionConfig",
    "Report",
    "Run",
    "TrainConfig",
    "Trainer",
    "VAEConfig",
    "World",
    "make_config",
    "read_config",
]
