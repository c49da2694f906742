"""Checkpoints of a training: safetensors with a JSON header, complete or not there, the last two of them."""

from __future__ import annotations

import contextlib
import re
import zlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from neural_paint.io.atomic import write_atomic
from neural_paint.io.stroke_codecs import decode_safetensors, encode_safetensors

FORMAT = "neural_paint.training"
VERSION = 1
KEPT = 2
_NAME = re.compile(r"checkpoint-(\d{10})\.safetensors")


def checkpoints(folder: Path) -> list[Path]:
    """Those in a folder, the newest first."""
    return sorted((path for path in folder.glob("checkpoint-*") if _NAME.fullmatch(path.name)), reverse=True)


def save_checkpoint(folder: Path, step: int, config: dict[str, Any], state: dict[str, Tensor]) -> Path:
    """Write what `load_checkpoint` reads, and remove all but the last two."""
    path = folder / f"checkpoint-{step:010d}.safetensors"
    header = {"format": FORMAT, "version": VERSION, "step": step, "config": config, "checksum": _checksum(state)}
    write_atomic(path, encode_safetensors(header, state))
    for old in checkpoints(folder)[KEPT:]:
        with contextlib.suppress(OSError):
            old.unlink()
    return path


def load_checkpoint(path: Path) -> tuple[int, dict[str, Tensor]]:
    """Steps done, and the state.

    Raises:
        ValueError: what is wrong with the file.
        OSError: it cannot be read.
    """
    header, state = decode_safetensors(path.read_bytes())
    if header.get("format") != FORMAT:
        raise ValueError(f"its format is {header.get('format')!r}, not {FORMAT!r}")
    if header.get("version") != VERSION:
        raise ValueError(f"it has version {header.get('version')!r}, this neural_paint reads {VERSION}")
    step = header.get("step")
    if type(step) is not int:
        raise ValueError(f"its step must be a number, got {step!r}")
    if header.get("checksum") != _checksum(state):
        raise ValueError("its checksum is that of other tensors")
    return step, state


def _checksum(state: dict[str, Tensor]) -> int:
    """Of all bits in the order of the names: safetensors itself only notices what is cut short."""
    checksum = 0
    for name in sorted(state):
        checksum = zlib.crc32(name.encode(), checksum)
        checksum = zlib.crc32(state[name].reshape(-1).view(torch.uint8).numpy().data, checksum)
    return checksum
