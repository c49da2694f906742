"""Configs of every recipe with a step or two of each kind, and what its painters and critics are then."""

from __future__ import annotations

from typing import Any

from neural_paint.painters.training import CONFIGS, PainterConfig
from neural_paint.training import make_config

# Batches of 8.
TINY: dict[str, dict[str, Any]] = {
    "vae": {"stage1_steps": 1, "steps": 2},
    "vae without noise": {"recipe": "vae", "stage1_steps": 1, "steps": 2, "painter": {"stochastic": False}},
    "gan": {"critic_steps": 1, "steps": 2, "critic_dim": 4, "painter": {"dim": 4}},
    "npx": {"painter_steps": 1, "critic_steps": 1, "steps": 3, "critic_batch_size": 8, "critic_width": 8},
    "dab": {"steps": 2, "painter": {"dabs": 8, "width": 4}},
    "gan by regression": {"recipe": "dab", "kind": "gan", "steps": 2, "painter": {"dim": 4, "noise_size": 0}},
}


def tiny(name: str, **settings: Any) -> PainterConfig:
    return make_config({"recipe": name, "batch_size": 8, **TINY[name], **settings}, CONFIGS)
