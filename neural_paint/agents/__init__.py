"""Agents that draw a picture stroke by stroke (docs/agents.md)."""

from neural_paint.agents.agent import Agent, Memory, Mode
from neural_paint.agents.drawing import Drawing, DrawnStroke, draw, draw_strokes
from neural_paint.agents.files import load_agent, save_agent
from neural_paint.agents.pretrained import agent_provenance, load_pretrained_agent, pretrained_agents
from neural_paint.agents.renderers import FusedRenderer, NeuralRenderer, Renderer, draw_in_mypaint, renderer_of

__all__ = [
    "Agent",
    "Drawing",
    "DrawnStroke",
    "FusedRenderer",
    "Memory",
    "Mode",
    "NeuralRenderer",
    "Renderer",
    "agent_provenance",
    "draw",
    "draw_in_mypaint",
    "draw_strokes",
    "load_agent",
    "load_pretrained_agent",
    "pretrained_agents",
    "renderer_of",
    "save_agent",
]
