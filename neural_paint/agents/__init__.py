"""Agents that draw pictures stroke by stroke, and what they draw (docs/agent_data.md)."""

from neural_paint.agents.packaged import TargetsMissing
from neural_paint.agents.spiral import SpiralEncoding
from neural_paint.agents.spiral_codes import load_spiral, save_spiral
from neural_paint.agents.spiral_tf import SpiralTFEncoding
from neural_paint.agents.targets import Targets, open_targets
from neural_paint.agents.templates import digit_templates

__all__ = [
    "SpiralEncoding",
    "SpiralTFEncoding",
    "Targets",
    "TargetsMissing",
    "digit_templates",
    "load_spiral",
    "open_targets",
    "save_spiral",
]
