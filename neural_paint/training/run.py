"""A training in a folder: it survives whatever stops it, and leaves a file, the result of its recipe.

The folder holds `config.json`, the last two checkpoints, `log.jsonl`, what TensorBoard reads and, at the end,
the result and `evaluation.json`. With several processes the first one alone writes.
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
from neural_paint.io.folder_lock import locked_folder
from neural_paint.progress import Progress, say
from neural_paint.stop_signals import stop_signals
from neural_paint.training.checkpoints import Checkpoint, checkpoints, load_checkpoint, set_aside
from neural_paint.training.config import CHANGEABLE, TrainConfig, as_settings, default_settings
from neural_paint.training.data import TrainData, ValidationData
from neural_paint.training.observer import Observer
from neural_paint.training.trainer import Report, Trainer, choose_precision
from neural_paint.training.world import World

CONFIG, EVALUATION = "config.json", "evaluation.json"


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
        evaluation: the recipe's, on all validation data; None in processes other than the first, where a signal came,
            and where there was nothing to do.
        signal: that stopped it, or 0: it is finished.
        was_finished: there was nothing to do.
    """

    evaluation: Any = None
    signal: int = 0
    was_finished: bool = False


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
        train, validation: the data.
        folder: which is made where there is none.
        device: where.
        world: the processes that train together; each makes the same calls.

    Raises:
        ValueError: the data do not suffice.
    """

    def __init__(
        self,
        config: TrainConfig,
        train: TrainData,
        validation: ValidationData,
        folder: Path,
        *,
        device: torch.device | str = "cpu",
        world: World | None = None,
    ) -> None:
        if not len(validation):
            raise ValueError(f"there must be {train.unit} to validate with, got none")
        self.config = dataclasses.replace(config, precision=choose_precision(config, torch.device(device)))
        self.folder = folder
        self.world = world or World()
        self.trainer = Trainer(self.config, train, device, self.world)
        self._data, self._unit = train.digest, train.unit
        self._validation = validation
        self._seconds = 0.0

    def train(self) -> Outcome:
        """Do what is left of the steps; a signal stops it after a checkpoint.

        Raises:
            ValueError: the folder holds another training, or losses are no longer finite; the last checkpoint is of
                before.
            OSError: the folder cannot be written to, or another run writes to it.
        """
        with locked_folder(self.folder) if self.world.is_first else contextlib.nullcontext():
            self._check_same(recorded_settings(self.folder))
            unusable = self._go_on()
            # The first process changes nothing before all have read.
            if self.world.most(int(self._was_finished())):
                return Outcome(was_finished=True)
            if self.world.is_first:
                for path in unusable:
                    set_aside(path)
                write_atomic(self.folder / CONFIG, _json(as_settings(self.config)))
                for sentence in self.trainer.recipe.left_out():
                    say(sentence)
            signal = self._do_steps()
            return Outcome(self._finish() if self.world.is_first and not signal else None, signal)

    def _do_steps(self) -> int:
        """Those that are left; the signal that stopped them, or 0."""
        with contextlib.ExitStack() as stack:
            received = stack.enter_context(stop_signals())
            observer = Observer(self.trainer, self._data, self._validation, self.folder)
            stack.enter_context(contextlib.closing(observer))
            progress = stack.enter_context(Progress(sys.stderr)) if self.world.is_first else None
            first, seconds, begun = self.trainer.step, self._seconds, time.perf_counter()
            for report in self.trainer:
                observer.see(report)
                elapsed = time.perf_counter() - begun
                self._seconds = seconds + elapsed
                if progress is not None:
                    speed = (report.step - first) / elapsed
                    progress.show(report.step / self.config.steps, partial(self._describe, report, observer, speed))
                signal = self.world.most(received[0] if received else 0)
                if signal or report.step == self.config.steps or report.step % self.config.checkpoint_every == 0:
                    observer.save(report.step, self._seconds)
                if signal:
                    return signal
        return 0

    def _check_same(self, recorded: dict[str, Any] | None) -> None:
        if recorded is None:
            return
        # A setting that came later had its default before, or there would be none.
        there = {**default_settings(type(self.config)), **recorded}
        for key, value in as_settings(self.config).items():
            if key not in CHANGEABLE and there.get(key) != value:
                what = f"{self.folder} holds another training: {key} is {there.get(key)!r} there, got {value!r}"
                raise ValueError(f"{what}; take another folder")

    def _go_on(self) -> list[Path]:
        """From the newest checkpoint that is whole; returns those that are newer, and not."""
        paths = checkpoints(self.folder)
        for number, path in enumerate(paths):
            try:
                checkpoint = load_checkpoint(path)
                changed = self._changed(checkpoint)
                if changed is None and checkpoint.step <= self.config.steps:
                    self.trainer.load_state(checkpoint.step, checkpoint.state)
                    self._seconds = checkpoint.seconds
                    return paths[:number]
            except ValueError as error:
                if self.world.is_first:
                    last = number + 1 == len(paths)
                    instead = "training starts from the beginning" if last else "the one before it is tried"
                    say(f"cannot go on from {path}: {error}; {instead}")
                continue
            if changed is not None:
                raise ValueError(f"{self.folder} holds a training with {changed}; take another folder")
            raise ValueError(f"{self.folder} holds {checkpoint.step:,} steps already, got {self.config.steps:,} to do")
        return paths

    def _changed(self, checkpoint: Checkpoint) -> str | None:
        """What a checkpoint was made with that is another by now."""
        if checkpoint.data != self._data:
            return f"other {self._unit}"
        for name, digest in self.trainer.recipe.inputs.items():
            if checkpoint.inputs.get(name, digest) != digest:
                return f"another {name}"
        return None

    def _was_finished(self) -> bool:
        if not (self.folder / self.trainer.recipe.result).exists():
            return False
        try:
            evaluated = json.loads((self.folder / EVALUATION).read_bytes())["steps"]
        except (OSError, ValueError, TypeError, KeyError):
            return False
        return evaluated == self.trainer.step == self.config.steps

    def _finish(self) -> Any:
        recipe = self.trainer.recipe
        evaluation = recipe.evaluate(self._validation)
        recipe.save(self.folder / recipe.result)
        done = {"steps": self.trainer.step, "training_seconds": round(self._seconds, 3)}
        write_atomic(self.folder / EVALUATION, _json(done | dataclasses.asdict(evaluation)))
        return evaluation

    def _describe(self, report: Report, observer: Observer, speed: float) -> str:
        left = _duration((self.config.steps - report.step) / speed)
        return f"{report.stage}, step {report.step:,}, {observer.describe()}, {speed:.3g} steps/s, {left} left"


def _duration(seconds: float) -> str:
    minutes = int(seconds) // 60
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min {int(seconds) % 60:02} s"


def _json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=1) + "\n").encode()
