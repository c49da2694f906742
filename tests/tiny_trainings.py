"""Configs of every recipe with a step or two of each kind, and what these learn from."""

from __future__ import annotations

from typing import Any

import torch
from stroke_sets import MemoryStrokes

from neural_paint.agents import Targets
from neural_paint.agents import training as agents
from neural_paint.painters import training as painters
from neural_paint.training import TrainConfig, make_config
from neural_paint.training.data import TrainData

# Batches of 8.
TINY: dict[str, dict[str, Any]] = {
    "vae": {"stage1_steps": 1, "steps": 2},
    "vae without noise": {"recipe": "vae", "stage1_steps": 1, "steps": 2, "painter": {"stochastic": False}},
    "gan": {"critic_steps": 1, "steps": 2, "critic_dim": 4, "painter": {"dim": 4}},
    "npx": {"painter_steps": 1, "critic_steps": 1, "steps": 3, "critic_batch_size": 8, "critic_width": 8},
    "dab": {"steps": 2, "painter": {"dabs": 8, "width": 4}},
    "gan by regression": {"recipe": "dab", "kind": "gan", "steps": 2, "painter": {"dim": 4, "noise_size": 0}},
}

_SMALL = {"width": 4, "blocks": 1, "hidden": 8}
TINY_AGENTS: dict[str, dict[str, Any]] = {
    "agent": {"steps": 2, "strokes": 2, "medium": "fused", "agent": _SMALL},
    "agent with a critic": {
        **{"steps": 2, "strokes": 2, "mode": "jump", "black": False, "agent": _SMALL, "see_gradients": True},
        **{"adversarial_weight": 1.0, "critic_steps": 1, "critic_width": 4},
    },
    "agent with templates": {"steps": 2, "agent": _SMALL, "template_weight": 2000.0, "template_steps": 1},
}


def tiny(name: str, **settings: Any) -> TrainConfig:
    if name in TINY_AGENTS:
        return make_config({"batch_size": 8, **TINY_AGENTS[name], **settings}, agents.CONFIGS)
    return make_config({"recipe": name, "batch_size": 8, **TINY[name], **settings}, painters.CONFIGS)


def tiny_data(name: str) -> TrainData:
    return some_targets() if name in TINY_AGENTS else MemoryStrokes()


def some_targets(count: int = 24, channels: int = 1) -> Targets:
    """Rectangles of ink on paper, labelled by the digits in turn."""
    generator = torch.Generator().manual_seed(0)
    pictures = torch.full((count, channels, 28, 28), 255, dtype=torch.uint8)
    for picture in pictures:
        x, y = torch.randint(2, 18, (2,), generator=generator).tolist()
        picture[:, y : y + 8, x : x + 4] = torch.randint(100, (channels, 1, 1), generator=generator)
    return Targets(pictures, torch.arange(count) % 10)
