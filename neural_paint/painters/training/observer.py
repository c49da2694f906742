"""What is done with a training between its steps: losses and pictures are shown, checkpoints written."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Protocol

import torch

from neural_paint.painters.evaluation import Strokes, evaluate
from neural_paint.painters.training.board import Board, Log
from neural_paint.painters.training.checkpoints import Checkpoint, save_checkpoint
from neural_paint.painters.training.trainer import Report, Trainer

# Strokes in the pictures.
_SHOWN = 16


class Validation(Strokes, Protocol):
    """Strokes that are not trained on: `StrokeData(folder, "validation")`."""

    def __len__(self) -> int: ...


class Observer:
    """Looks at each step; with several processes each has one, and that of the first alone writes.

    Args:
        trainer: the state that it goes on from.
        data: digest of the strokes that it trains on.
        validation: strokes to evaluate the painter with.
        folder: of the training.
    """

    def __init__(self, trainer: Trainer, data: str, validation: Validation, folder: Path) -> None:
        self._trainer = trainer
        self._data = data
        self._validation = validation
        self._folder = folder
        self._world = trainer.setting.world
        self._latest: dict[str, torch.Tensor] = {}
        self._log = Log(folder, trainer.step) if self._world.is_first else None
        self._board = Board(folder, trainer.step) if self._world.is_first else None

    def see(self, report: Report) -> None:
        """Raises ValueError where a loss is not finite."""
        config = self._trainer.config
        self._latest.update(report.losses)
        if report.step % config.log_every == 0:
            self._tell_losses(report)
        if report.step % config.evaluate_every == 0 and self._world.is_first:
            self._evaluate(report.step)

    def describe(self) -> str:
        """The latest losses of this process; waits for the device."""
        shown = [name for name in self._trainer.recipe.shown if name in self._latest]
        return ", ".join(f"{name} {float(self._latest[name]):.4g}" for name in shown)

    def save(self, step: int, seconds: float) -> None:
        """A checkpoint after so many steps and seconds; ValueError, in every process, where a loss is not finite."""
        broken = [name for name, loss in self._latest.items() if not math.isfinite(float(loss))]
        if self._world.most(len(broken)):
            raise _not_finite(step, broken[0] if broken else "of another process")
        if self._log is not None:
            self._log.sync()
            save_checkpoint(self._folder, Checkpoint(step, seconds, self._data, self._trainer.state()))

    def close(self) -> None:
        if self._log is not None and self._board is not None:
            self._log.close()
            self._board.close()

    def _tell_losses(self, report: Report) -> None:
        mean = torch.stack([loss.float() for loss in report.losses.values()])
        self._world.average([mean])
        losses = dict(zip(report.losses, mean.tolist(), strict=True))
        for name, value in losses.items():
            if not math.isfinite(value):
                raise _not_finite(report.step, name)
        if self._log is not None and self._board is not None:
            self._log.write(report.step, losses)
            self._board.losses(report.step, losses)

    def _evaluate(self, step: int) -> None:
        assert self._log is not None and self._board is not None
        painter = self._trainer.recipe.painter
        evaluation = evaluate(painter, self._validation, limit=self._trainer.config.evaluate_strokes)
        self._log.write(step, {"validation_mse": evaluation.mse, "validation_ssim": evaluation.ssim})
        self._board.evaluation(step, evaluation)
        self._board.pictures(step, painter, *next(iter(self._validation.once(_SHOWN))))


def _not_finite(step: int, name: str) -> ValueError:
    return ValueError(f"training stopped at step {step:,}, as the loss {name} is no longer a finite number")
