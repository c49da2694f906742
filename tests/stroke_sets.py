"""Small sets of strokes to train on: bars of the actions' colours on white, in memory and in files."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


class MemoryStrokes:
    """What `StrokeData` is to training, for so many strokes; `batches` may raise a signal before one of them."""

    unit = "strokes"

    def __init__(self, count: int = 48, stop_before: int | None = None) -> None:
        generator = torch.Generator().manual_seed(1)
        self.actions = torch.rand(count, 12, generator=generator)
        self.strokes = torch.full((count, 3, 64, 64), 255, dtype=torch.uint8)
        for action, stroke in zip(self.actions, self.strokes, strict=True):
            x, y = (action[2:4] * 40).int().tolist()
            stroke[:, y : y + 12, x : x + 20] = (action[6:9, None, None] * 255).to(torch.uint8)
        self.digest = f"{count} strokes in memory"
        self._stop_before = stop_before

    def __len__(self) -> int:
        return len(self.actions)

    def batches(
        self, batch_size: int, *, seed: int, start: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            if start == self._stop_before:
                os.kill(os.getpid(), signal.SIGINT)
            order = torch.randperm(len(self), generator=torch.Generator().manual_seed((seed + start) % 2**63))
            share = batch_size // world
            own = order[:batch_size][rank * share : (rank + 1) * share]
            yield self.actions[own], self.strokes[own]
            start += 1

    def once(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        yield from zip(self.actions.split(batch_size), self.strokes.split(batch_size), strict=True)


def write_strokes(folder: Path, count: int = 200) -> Path:
    """A folder as `neural-paint dataset` makes them."""
    strokes = MemoryStrokes(count)
    folder.mkdir()
    actions, pictures = strokes.actions.double().numpy(), strokes.strokes.permute(0, 2, 3, 1).numpy()
    np.savez_compressed(folder / "episodes_0.npz", actions=actions, strokes=pictures)
    return folder
