"""Agents that draw a picture stroke by stroke (docs/agents.md)."""

from neural_paint.agents.agent import Agent, Memory, Mode
from neural_paint.agents.drawing import Drawing, draw
from neural_paint.agents.files import load_agent, save_agent
from neural_paint.agents.renderers import FusedRenderer, NeuralRenderer, Renderer, draw_in_mypaint, renderer_of

__all__ = [
    "Agent",
    "Drawing",
    "FusedRenderer",
    "Memory",
    "Mode",
    "NeuralRenderer",
    "Renderer",
    "draw",
    "draw_in_mypaint",
    "load_agent",
    "renderer_of",
    "save_agent",
]
