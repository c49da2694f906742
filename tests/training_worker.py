"""Run by torchrun: trains every recipe for a few steps, and leaves what the first process has."""

from __future__ import annotations

import sys
from pathlib import Path

import safetensors.torch
import torch
from stroke_sets import MemoryStrokes
from tiny_trainings import TINY, TINY_AGENTS, tiny, tiny_data

from neural_paint.training import Run, Trainer, World


def train(name: str, world: World, folder: Path) -> None:
    # In double precision: otherwise the kinks of rectifiers make more of rounding errors than they are.
    torch.set_default_dtype(torch.float64)
    trainer = Trainer(tiny(name), tiny_data(name), world=world)
    losses = {}
    for report in trainer:
        values = list(report.losses.values())
        world.average(values)
        losses.update(zip((f"{report.step} {loss}" for loss in report.losses), values, strict=True))
    torch.set_default_dtype(torch.float32)
    if world.is_first:
        kept = {key: tensor for key, tensor in trainer.state().items() if key.endswith((".exp_avg", "running_mean"))}
        safetensors.torch.save_file(
            {key: some(x) for key, x in (kept | losses).items()}, folder / f"{name}.safetensors"
        )


def some(tensor: torch.Tensor) -> torch.Tensor:
    """Ten thousand values of it: the largest painter has 36 million."""
    return tensor.reshape(-1)[:: max(tensor.numel() // 10_000, 1)].clone()


def stop(world: World, folder: Path) -> None:
    """Only the last process gets a signal; all of them stop after the same step."""
    data = MemoryStrokes(stop_before=3 if world.rank == world.size - 1 else None)
    config = tiny("dab", steps=9)
    outcome = Run(config, data, MemoryStrokes(8), folder, world=world).train()
    (folder / f"signal {world.rank}").write_text(str(outcome.signal))


if __name__ == "__main__":
    torch.set_num_threads(1)
    world, folder = World.join(), Path(sys.argv[1])
    for name in (*TINY, *TINY_AGENTS):
        train(name, world, folder)
    stop(world, folder)
    world.leave()
