"""Checkpoints of a training: safetensors with a JSON header, complete or not there, the last two of them."""

from __future__ import annotations

import contextlib
import os
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from neural_paint.io.atomic import write_atomic
from neural_paint.io.stroke_codecs import decode_safetensors, encode_safetensors

FORMAT = "neural_paint.training"
VERSION = 2
KEPT = 2
_NAME = re.compile(r"checkpoint-(\d{10})\.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """What a training goes on from.

    Attributes:
        step: how many are done.
        seconds: that they took.
        data: digest of what it is trained on.
        state: as of `Trainer.state`.
        inputs: as of the recipe; what was written before there were any says nothing of them.
    """

    step: int
    seconds: float
    data: str
    state: dict[str, Tensor]
    inputs: Mapping[str, str] = field(default_factory=dict)


def checkpoints(folder: Path) -> list[Path]:
    """Those in a folder, the newest first."""
    return sorted((path for path in folder.glob("checkpoint-*") if _NAME.fullmatch(path.name)), reverse=True)


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write what `load_checkpoint` reads, and keep one more, the newest of the others."""
    path = folder / _name(checkpoint.step)
    header = {
        "format": FORMAT,
        "version": VERSION,
        "step": checkpoint.step,
        "seconds": round(checkpoint.seconds, 3),
        "data": checkpoint.data,
        "inputs": dict(checkpoint.inputs),
        "checksum": _checksum(checkpoint.state),
    }
    write_atomic(path, encode_safetensors(header, checkpoint.state))
    for old in [other for other in checkpoints(folder) if other != path][KEPT - 1 :]:
        with contextlib.suppress(OSError):
            old.unlink()
    return path


def set_aside(path: Path) -> None:
    """Rename a checkpoint that is of no use, so that it neither comes first again nor is kept for a good one."""
    with contextlib.suppress(OSError):
        os.replace(path, path.with_name(f"unusable-{path.name}"))


def load_checkpoint(path: Path) -> Checkpoint:
    """What `save_checkpoint` wrote.

    Raises:
        ValueError: what is wrong with the file.
        OSError: it cannot be read.
    """
    header, state = decode_safetensors(path.read_bytes())
    if header.get("format") != FORMAT:
        raise ValueError(f"its format is {header.get('format')!r}, not {FORMAT!r}")
    if header.get("version") != VERSION:
        raise ValueError(f"it has version {header.get('version')!r}, this neural_paint reads {VERSION}")
    step, seconds, data, inputs = (header.get(key) for key in ("step", "seconds", "data", "inputs"))
    if type(step) is not int or path.name != _name(step):
        raise ValueError(f"its step must be the number in its name, got {step!r}")
    if not isinstance(seconds, (int, float)) or not isinstance(data, str):
        raise ValueError(f"its seconds and data must be a number and text, got {seconds!r} and {data!r}")
    if inputs is not None and not isinstance(inputs, dict):
        raise ValueError(f"its inputs must be an object, got {inputs!r}")
    if header.get("checksum") != _checksum(state):
        raise ValueError("its checksum is that of other tensors")
    return Checkpoint(step, seconds, data, state, inputs or {})


def _name(step: int) -> str:
    return f"checkpoint-{step:010d}.safetensors"


def _checksum(state: dict[str, Tensor]) -> int:
    """Of all bits in the order of the names: safetensors itself only notices what is cut short."""
    checksum = 0
    for name in sorted(state):
        checksum = zlib.crc32(name.encode(), checksum)
        checksum = zlib.crc32(state[name].reshape(-1).view(torch.uint8).numpy().data, checksum)
    return checksum
