"""Agents in files: safetensors with a JSON header, of which nothing is executed."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from neural_paint.agents.agent import Agent
from neural_paint.io.atomic import write_atomic
from neural_paint.io.stroke_codecs import decode_safetensors, encode_safetensors
from neural_paint.io.weights import checked_weights

FORMAT = "neural_paint.agent"
# Raised when a file of the new layout could not be read by older code.
VERSION = 1
SUFFIX = ".safetensors"


def save_agent(agent: Agent, path: str | os.PathLike[str], dtype: torch.dtype | None = None) -> None:
    """Write an agent, weights and architecture, to a .safetensors file.

    Args:
        agent: on any device.
        path: the file, which is replaced only once the new one is complete.
        dtype: of the weights in the file, by default their own; half types make it half as large.

    Raises:
        ValueError: another suffix, or weights that `load_agent` would refuse.
        OSError: the file cannot be written; the old one is intact.
    """
    if Path(path).suffix.lower() != SUFFIX:
        raise ValueError(f"an agent's file ends in {SUFFIX}, got {path}")
    header = {"format": FORMAT, "version": VERSION, "architecture": agent.architecture()}
    state = {name: tensor.detach().to("cpu", dtype) for name, tensor in agent.state_dict().items()}
    try:
        tensors = checked_weights(agent, state, _described(agent))
    except ValueError as error:
        raise ValueError(f"cannot save {path}: {error}") from error
    write_atomic(path, encode_safetensors(header, tensors))


def load_agent(path: str | os.PathLike[str]) -> Agent:
    """Read an agent, frozen and on the CPU; weights of half types become float32.

    Raises:
        ValueError: naming the file, the rule that it breaks, and what was found.
        OSError: the file cannot be read.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise OSError(error.errno or errno.EIO, f"cannot load {path}: {error.strerror or error}") from error
    try:
        architecture, state = _read(data)
        agent = _build(architecture)
        agent.load_state_dict(checked_weights(agent, state, _described(agent)), assign=True)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"cannot load {path}: {error}") from error
    half = next(agent.parameters()).dtype.itemsize < 4
    return (agent.float() if half else agent).use_channels_last().freeze()


def _read(data: bytes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    header, state = decode_safetensors(data)
    if header.get("format") != FORMAT or type(header.get("version")) is not int:
        raise ValueError(f"it is not an agent's file: its format is {header.get('format')!r}, not {FORMAT!r}")
    if header["version"] > VERSION:
        raise ValueError(f"it has agent version {header['version']}, this neural_paint reads up to {VERSION}")
    architecture = header.get("architecture")
    if not isinstance(architecture, dict):
        raise ValueError(f"its architecture must be a JSON object, got {architecture!r}")
    return architecture, state


def _build(architecture: dict[str, Any]) -> Agent:
    """An agent without memory for its weights: sizes from a file cost nothing until tensors are there for them."""
    try:
        with torch.device("meta"):
            return Agent(**architecture)
    except (TypeError, OverflowError, RuntimeError) as error:
        raise ValueError(f"there is no agent with {architecture}") from error


def _described(agent: Agent) -> str:
    return f"an agent of {agent.architecture()}"
