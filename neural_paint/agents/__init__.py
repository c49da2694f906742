"""Agents that draw a picture stroke by stroke (docs/agents.md)."""

from neural_paint.agents.agent import Agent, Memory, Mode
from neural_paint.agents.drawing import Draughtsman, Drawing, draw
from neural_paint.agents.files import load_agent, save_agent
from neural_paint.agents.renderers import (
    FusedRenderer,
    MyPaintRenderer,
    NeuralRenderer,
    Renderer,
    draw_in_mypaint,
    renderer_of,
)

__all__ = [
    "Agent",
    "Draughtsman",
    "Drawing",
    "FusedRenderer",
    "Memory",
    "Mode",
    "MyPaintRenderer",
    "NeuralRenderer",
    "Renderer",
    "draw",
    "draw_in_mypaint",
    "load_agent",
    "renderer_of",
    "save_agent",
]
