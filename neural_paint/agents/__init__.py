"""Agents that draw a picture stroke by stroke (docs/agents.md)."""

from neural_paint.agents.agent import Agent, Memory, Mode
from neural_paint.agents.drawing import Draughtsman, Drawing, DrawnStroke, draw, draw_strokes
from neural_paint.agents.files import load_agent, save_agent
from neural_paint.agents.packaged import TargetsMissing
from neural_paint.agents.pretrained import agent_provenance, load_pretrained_agent, pretrained_agents
from neural_paint.agents.renderers import (
    FusedRenderer,
    MyPaintRenderer,
    NeuralRenderer,
    Renderer,
    draw_in_mypaint,
    renderer_of,
)
from neural_paint.agents.spiral import SpiralEncoding
from neural_paint.agents.spiral_codes import load_spiral, save_spiral
from neural_paint.agents.spiral_tf import SpiralTFEncoding
from neural_paint.agents.targets import Targets, open_targets
from neural_paint.agents.templates import digit_templates

__all__ = [
    "Agent",
    "Draughtsman",
    "Drawing",
    "DrawnStroke",
    "FusedRenderer",
    "Memory",
    "Mode",
    "MyPaintRenderer",
    "NeuralRenderer",
    "Renderer",
    "SpiralEncoding",
    "SpiralTFEncoding",
    "Targets",
    "TargetsMissing",
    "agent_provenance",
    "digit_templates",
    "draw",
    "draw_in_mypaint",
    "draw_strokes",
    "load_agent",
    "load_pretrained_agent",
    "load_spiral",
    "open_targets",
    "pretrained_agents",
    "renderer_of",
    "save_agent",
    "save_spiral",
]
