"""A training in a folder: it survives whatever stops it, and leaves a painter's file.

The folder holds `config.json`, the last two checkpoints, `log.jsonl`, what TensorBoard reads and, at the end,
`painter.safetensors` and `evaluation.json`. With several processes the first one alone writes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from neural_paint.io.atomic import write_atomic
from neural_paint.painters.checkpoints import save_painter
from neural_paint.painters.evaluation import Evaluation, evaluate, ssim_is_available
from neural_paint.painters.training.checkpoints import checkpoints, load_checkpoint
from neural_paint.painters.training.config import CHANGEABLE, TrainConfig, as_settings
from neural_paint.painters.training.observer import Observer, Validation
from neural_paint.painters.training.trainer import Report, TrainData, Trainer, choose_precision
from neural_paint.painters.training.world import World
from neural_paint.progress import Progress, say
from neural_paint.stop_signals import stop_signals

CONFIG, PAINTER, EVALUATION = "config.json", "painter.safetensors", "evaluation.json"


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
        evaluation: on all validation strokes; None in processes other than the first, and where a signal came.
        signal: that stopped it, or 0: it is finished.
    """

    evaluation: Evaluation | None = None
    signal: int = 0


def recorded_settings(folder: Path) -> dict[str, Any] | None:
    """The settings of the training in a folder, or None where there is none.

    Raises:
        ValueError: they are damaged.
    """
    path = folder / CONFIG
    if not path.exists():
        return None
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"cannot go on with {folder}: {path.name} is damaged ({error})") from error
    if not isinstance(settings, dict):
        raise ValueError(f"cannot go on with {folder}: {path.name} must be an object")
    return settings


class Run:
    """A training in `folder`, which goes on from the last checkpoint there.

    Args:
        config: as `make_config` gives it; what it comes to is written to the folder.
        train, validation: the strokes.
        folder: which exists.
        device: where.
        world: the processes that train together; each makes the same call.

    Raises:
        ValueError: the folder holds another training, or the data do not suffice.
        OSError: it cannot be written to.
    """

    def __init__(
        self,
        config: TrainConfig,
        train: TrainData,
        validation: Validation,
        folder: Path,
        *,
        device: torch.device | str = "cpu",
        world: World | None = None,
    ) -> None:
        self.config = dataclasses.replace(config, precision=choose_precision(config, torch.device(device)))
        self.folder = folder
        self.world = world or World()
        self._validation = validation
        self._check_same(recorded_settings(folder))
        self.trainer = Trainer(self.config, train, device, self.world)
        if self.world.is_first:
            for unfinished in folder.glob(".neural-paint-*.tmp"):
                # Of a process that was killed while it wrote.
                unfinished.unlink()
            write_atomic(folder / CONFIG, _json(as_settings(self.config)))
        self._go_on()

    @property
    def finished(self) -> bool:
        path = self.folder / EVALUATION
        return path.exists() and json.loads(path.read_text(encoding="utf-8"))["steps"] == self.trainer.step

    def train(self) -> Outcome:
        """Do what is left of the steps; a signal stops it after a checkpoint.

        Raises:
            ValueError: losses are no longer finite; the last checkpoint is of before.
        """
        if self.world.is_first and not ssim_is_available():
            say("SSIM is left out, as torchmetrics is not installed: pip install 'neural-paint[train]'")
        with contextlib.ExitStack() as stack:
            received = stack.enter_context(stop_signals())
            observer = stack.enter_context(contextlib.closing(Observer(self.trainer, self._validation, self.folder)))
            progress = stack.enter_context(Progress(sys.stderr)) if self.world.is_first else None
            first, begun = self.trainer.step, time.perf_counter()
            for report in self.trainer:
                observer.see(report)
                if progress is not None:
                    speed = (report.step - first) / (time.perf_counter() - begun)
                    progress.show(report.step / self.config.steps, partial(self._describe, report, observer, speed))
                signal = self.world.most(received[0] if received else 0)
                if signal or report.step == self.config.steps or report.step % self.config.checkpoint_every == 0:
                    observer.save(report.step)
                if signal:
                    return Outcome(signal=signal)
        return Outcome(self._finish() if self.world.is_first else None)

    def _check_same(self, recorded: dict[str, Any] | None) -> None:
        if recorded is None:
            return
        for key, value in as_settings(self.config).items():
            if key not in CHANGEABLE and recorded.get(key) != value:
                what = f"{self.folder} holds another training: {key} is {recorded.get(key)!r} there, got {value!r}"
                raise ValueError(f"{what}; take another folder")

    def _go_on(self) -> None:
        """From the newest checkpoint that is whole."""
        for path in checkpoints(self.folder):
            try:
                step, state = load_checkpoint(path)
                if step <= self.config.steps:
                    self.trainer.load_state(step, state)
                    return
            except ValueError as error:
                if self.world.is_first:
                    say(f"cannot go on from {path}: {error}; the one before it is tried")
                continue
            raise ValueError(f"{self.folder} holds {step:,} steps already, got {self.config.steps:,} to do")

    def _finish(self) -> Evaluation:
        painter = self.trainer.recipe.painter
        evaluation = evaluate(painter, self._validation)
        save_painter(painter, self.folder / PAINTER)
        write_atomic(self.folder / EVALUATION, _json({"steps": self.trainer.step, **dataclasses.asdict(evaluation)}))
        return evaluation

    def _describe(self, report: Report, observer: Observer, speed: float) -> str:
        left = _duration((self.config.steps - report.step) / speed)
        return f"{report.stage}, step {report.step:,}, {observer.describe()}, {speed:.3g} steps/s, {left} left"


def _duration(seconds: float) -> str:
    minutes = int(seconds) // 60
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min {int(seconds) % 60:02} s"


def _json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=1) + "\n").encode()
