"""A step of an agent that learns to draw, through each medium, next to the published agent's; and a drawing of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from neural_paint.agents import Targets, draw
from neural_paint.agents.training import CONFIGS
from neural_paint.painters.checkpoints import save_painter
from neural_paint.painters.gan import GANPainter
from neural_paint.training import Trainer, make_config

PICTURES, STROKES = 32, 8
_PUBLISHED = {"black": False, "doublings": 0, "see_gradients": True, "agent": {"stride": 1, "blocks": 8}}
AGENTS: dict[str, dict[str, Any]] = {
    "curves": {"medium": "fused"},
    "the dab painter": {},
    "a GAN painter": {"painter": "gan.safetensors"},
    "the published agent, a GAN painter": {"painter": "gan.safetensors", **_PUBLISHED},
}


@pytest.fixture
def trainer(name: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Trainer:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    save_painter(GANPainter(), "gan.safetensors")
    pictures = torch.randint(256, (PICTURES, 1, 28, 28), dtype=torch.uint8)
    settings = {"batch_size": PICTURES, "strokes": STROKES, "steps": 10**6, **AGENTS[name]}
    return Trainer(make_config(settings, CONFIGS), Targets(pictures, torch.zeros(PICTURES, dtype=torch.int64)))


@pytest.mark.parametrize("name", AGENTS)
def bench_step(benchmark: BenchmarkFixture, peak_memory: Any, name: str, trainer: Trainer) -> None:
    """Drawings, their error, all of it backwards, and Adam."""
    steps = iter(trainer)
    _time(benchmark, peak_memory, lambda: next(steps), "forward and backward", name)
    assert trainer.step > 0


@pytest.mark.parametrize("name", AGENTS)
def bench_drawing(benchmark: BenchmarkFixture, peak_memory: Any, name: str, trainer: Trainer) -> None:
    """Drawings alone."""
    recipe: Any = trainer.recipe
    target = torch.rand(PICTURES, 3, 64, 64)

    @torch.no_grad()
    def run() -> torch.Tensor:
        return draw(recipe.agent, recipe.renderer, target).canvas

    _time(benchmark, peak_memory, run, "forward", name)
    assert run().std() > 0


def _time(benchmark: BenchmarkFixture, peak_memory: Any, run: Callable[[], object], what: str, name: str) -> None:
    benchmark.group = f"agents, {what}"
    case = f"{PICTURES} drawings of {STROKES} strokes"
    benchmark.extra_info.update({"table": "agents", "case": case, "pass": what, "backend": name, "peak_mib": None})
    benchmark.pedantic(run, rounds=10, warmup_rounds=2)
    if not benchmark.disabled:
        benchmark.extra_info["peak_mib"] = peak_memory(run)
