"""How neural painters are trained (docs/train_painter.md)."""

from neural_paint.painters.training.config import (
    CONFIGS,
    GANConfig,
    NPXConfig,
    PainterConfig,
    RegressionConfig,
    VAEConfig,
)

__all__ = ["CONFIGS", "GANConfig", "NPXConfig", "PainterConfig", "RegressionConfig", "VAEConfig"]
