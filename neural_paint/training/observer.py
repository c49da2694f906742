"""What is done with a training between its steps: losses and pictures are shown, checkpoints written."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from neural_paint.training.board import Board, Log
from neural_paint.training.checkpoints import Checkpoint, save_checkpoint
from neural_paint.training.data import ValidationData
from neural_paint.training.trainer import Report, Trainer


class Observer:
    """Looks at each step; with several processes each has one, and that of the first alone writes.

    Args:
        trainer: the state that it goes on from.
        data: digest of what it trains on.
        validation: what to evaluate with.
        folder: of the training.
    """

    def __init__(self, trainer: Trainer, data: str, validation: ValidationData, folder: Path) -> None:
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
            save_checkpoint(
                self._folder, Checkpoint(step, seconds, self._data, self._trainer.state(), self._trainer.recipe.inputs)
            )

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
            self._board.scalars(report.step, "losses", losses)

    def _evaluate(self, step: int) -> None:
        assert self._log is not None and self._board is not None
        recipe = self._trainer.recipe
        evaluation = recipe.evaluate(self._validation, self._trainer.config.evaluate_strokes)
        scores = recipe.scores(evaluation)
        self._log.write(step, {f"validation_{name}": score for name, score in scores.items()})
        self._board.scalars(step, "validation", {**scores, **recipe.speeds(evaluation)})
        if self._board.shows:
            self._board.picture(step, *recipe.pictures(self._validation))


def _not_finite(step: int, name: str) -> ValueError:
    return ValueError(f"training stopped at step {step:,}, as the loss {name} is no longer a finite number")
