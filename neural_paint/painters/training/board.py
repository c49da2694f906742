"""What a training leaves to look at: a log of its losses, and TensorBoard where that is installed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from neural_paint.io.atomic import write_atomic
from neural_paint.painters.base import NeuralPainter
from neural_paint.painters.evaluation import Evaluation, as_pictures
from neural_paint.progress import say

# Strokes side by side in a picture.
_COLUMNS = 8


class Log:
    """`log.jsonl`: a line for each time that losses were looked at. It is a function of config and data alone.

    Args:
        folder: of the training.
        step: from which it goes on; lines of later steps, which will come again, are removed.
    """

    def __init__(self, folder: Path, step: int) -> None:
        path = folder / "log.jsonl"
        write_atomic(path, b"".join(line for line in _lines(path) if json.loads(line)["step"] <= step))
        self._file = path.open("ab", buffering=0)

    def write(self, step: int, values: Mapping[str, float | None]) -> None:
        self._file.write(json.dumps({"step": step, **values}).encode() + b"\n")

    def sync(self) -> None:
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def _lines(path: Path) -> list[bytes]:
    """Those that are whole: the last one of a process that was killed may not be."""
    if not path.exists():
        return []
    return [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


class Board:
    """TensorBoard, or nothing and one sentence where its package is missing.

    Args:
        folder: of the training.
        step: from which it goes on; what was shown of later steps is hidden.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            say("TensorBoard shows nothing of this, as it is not installed: pip install 'neural-paint[train]'")
            return
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def losses(self, step: int, losses: Mapping[str, float]) -> None:
        self._scalars(step, "losses", losses)

    def evaluation(self, step: int, evaluation: Evaluation) -> None:
        values = {"mse": evaluation.mse, "strokes per second": evaluation.strokes_per_second}
        if evaluation.ssim is not None:
            values["ssim"] = evaluation.ssim
        self._scalars(step, "validation", values)

    def pictures(self, step: int, painter: NeuralPainter, actions: Tensor, strokes: Tensor) -> None:
        """Real strokes above painted ones."""
        if self._writer is None:
            return
        training = painter.training
        painter.eval()
        with torch.no_grad():
            painted = painter(actions.to(painter.device))
        painter.train(training)
        real = as_pictures(strokes, painter.device)
        rows = [row for pair in zip(real.split(_COLUMNS), painted.split(_COLUMNS), strict=True) for row in pair]
        sheet = torch.cat([torch.cat(list(row), 2) for row in rows if len(row) == len(rows[0])], 1)
        self._writer.add_image("real above painted", sheet.cpu(), step)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _scalars(self, step: int, group: str, values: Mapping[str, float]) -> None:
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"{group}/{name}", value, step)
