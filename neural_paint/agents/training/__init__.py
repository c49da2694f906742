"""How agents are trained (docs/train_agent.md)."""

from neural_paint.agents.training.config import CONFIGS, AgentConfig

__all__ = ["CONFIGS", "AgentConfig"]
