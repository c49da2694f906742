"""Painters in files: the published checkpoints, read without running anything in them, and safetensors of our own."""

from __future__ import annotations

import errno
import io
import os
import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from neural_paint.io.atomic import write_atomic
from neural_paint.io.stroke_codecs import decode_safetensors, encode_safetensors
from neural_paint.io.weights import checked_weights
from neural_paint.painters.actions import ACTION_SIZE
from neural_paint.painters.base import NeuralPainter
from neural_paint.painters.dab import WIDTH, DabPainter
from neural_paint.painters.gan import GANPainter
from neural_paint.painters.npx import NPXPainter
from neural_paint.painters.vae import VAEPainter

FORMAT = "neural_paint.painter"
# Raised when a file of the new layout could not be read by older code.
VERSION = 1
SUFFIX = ".safetensors"

_PAINTERS: dict[str, type[NeuralPainter]] = {
    painter.kind: painter for painter in (DabPainter, VAEPainter, GANPainter, NPXPainter)
}
# The parts of a training checkpoint that paint; critic, encoder and optimisers are left out.
_PARTS = {
    "predictor_state_dict": "predictor.",
    "decoder_state_dict": "decoder.",
    "generator_state_dict": "generator.",
}


def save_painter(painter: NeuralPainter, path: str | os.PathLike[str]) -> None:
    """Write a painter, weights and architecture, to a .safetensors file; it loads back with the same bits.

    Args:
        painter: a `DabPainter`, `VAEPainter`, `GANPainter` or `NPXPainter` on any device, frozen or in training.
        path: the file, which is replaced only once the new one is complete.

    Raises:
        TypeError: `painter` is something else.
        ValueError: another suffix, or weights that `load_painter` would refuse.
        OSError: the file cannot be written; the old one is intact.
    """
    if type(painter) not in _PAINTERS.values():
        names = ", ".join(known.__name__ for known in _PAINTERS.values())
        raise TypeError(f"painter must be one of {names}, got {type(painter).__name__}")
    if Path(path).suffix.lower() != SUFFIX:
        raise ValueError(f"a painter's file ends in {SUFFIX}, got {path}")
    header = {"format": FORMAT, "version": VERSION, "kind": painter.kind, "architecture": painter.architecture()}
    state = {name: tensor.detach().cpu() for name, tensor in painter.state_dict().items()}
    try:
        tensors = checked_weights(painter, state, _described(painter))
    except ValueError as error:
        raise ValueError(f"cannot save {path}: {error}") from error
    write_atomic(path, encode_safetensors(header, tensors))


def load_painter(path: str | os.PathLike[str]) -> NeuralPainter:
    """Read a painter, frozen and on the CPU, from a file of `save_painter` or a published checkpoint.

    Those of the PyTorch port of Neural Painters (`gan_neural_painter_latest.tar`, `vae_neural_painter_latest.tar`) and
    of Neural Painters X (`neuro_painter_x_final_GAN_generator_param.pth`) are read as they are, and so are the state
    dicts of the painters here; what they paint is told by names and shapes. Nothing in a file is executed.

    Raises:
        ValueError: naming the file, the rule that it breaks, and what was found: not a checkpoint, damaged, with code
            in it, of a newer version, weights missing, unknown, of the wrong shape or type, or not finite.
        OSError: the file cannot be read.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise OSError(error.errno or errno.EIO, f"cannot load {path}: {error.strerror or error}") from error
    try:
        # A safetensors file is the length of its header in 8 bytes, then a JSON object.
        kind, architecture, state = _read_safetensors(data) if data[8:9] == b"{" else _read_checkpoint(data)
        painter = _build(kind, architecture)
        painter.load_state_dict(checked_weights(painter, state, _described(painter)), assign=True)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"cannot load {path}: {error}") from error
    return painter.use_channels_last().freeze()


def make_painter(kind: str, architecture: Mapping[str, Any]) -> NeuralPainter:
    """A new painter, with initial weights.

    Args:
        kind: its name in files, such as "gan".
        architecture: arguments of its constructor.

    Raises:
        ValueError: there is no such painter.
    """
    if kind not in _PAINTERS:
        raise ValueError(f"kind must be one of {', '.join(_PAINTERS)}, got {kind!r}")
    try:
        return _PAINTERS[kind](**architecture)
    except (TypeError, OverflowError, RuntimeError) as error:
        raise ValueError(f"there is no painter of kind {kind!r} with {dict(architecture)}") from error


def _build(kind: str, architecture: dict[str, Any]) -> NeuralPainter:
    """A painter without memory for its weights: sizes from a file cost nothing until tensors are there for them."""
    with torch.device("meta"):
        return make_painter(kind, architecture)


def _read_safetensors(data: bytes) -> tuple[str, dict[str, Any], dict[str, Any]]:
    header, state = decode_safetensors(data)
    if header.get("format") != FORMAT or type(header.get("version")) is not int:
        raise ValueError(f"it is not a painter's file: its format is {header.get('format')!r}, not {FORMAT!r}")
    if header["version"] > VERSION:
        raise ValueError(f"it has painter version {header['version']}, this neural_paint reads up to {VERSION}")
    kind, architecture = header.get("kind"), header.get("architecture")
    if kind not in _PAINTERS:
        raise ValueError(f"its kind must be one of {', '.join(_PAINTERS)}, got {kind!r}")
    if not isinstance(architecture, dict):
        raise ValueError(f"its architecture must be a JSON object, got {architecture!r}")
    return kind, architecture, state


def _read_checkpoint(data: bytes) -> tuple[str, dict[str, Any], dict[str, Any]]:
    checkpoint = _unpickle(data)
    if not isinstance(checkpoint, Mapping):
        raise ValueError(f"it must hold a dict of weights, got {type(checkpoint).__name__}")
    parts = {prefix: checkpoint[key] for key, prefix in _PARTS.items() if key in checkpoint}
    for part in parts.values():
        if not isinstance(part, Mapping):
            raise ValueError(f"its parts must be dicts of weights, got {type(part).__name__}")
    state = {f"{prefix}{name}": value for prefix, part in parts.items() for name, value in part.items()}
    state = state if parts else {str(name): value for name, value in checkpoint.items()}
    return *_infer(state), state


def _unpickle(data: bytes) -> Any:
    # A zip archive, or the pickles that torch wrote before 1.6.
    if not data.startswith((b"PK\x03\x04", b"\x80")):
        raise ValueError(f"it is no checkpoint of torch and no safetensors file: it begins with {data[:8]!r}")
    try:
        with warnings.catch_warnings():
            # What it says of protocols, the error says too.
            warnings.simplefilter("ignore")
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # Only the name: torch's own message advises to execute the file.
        code = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"it holds code, {code[1]}, which is not run" if code else "it is damaged, or no checkpoint of torch"
        raise ValueError(f"{what}; a checkpoint may hold tensors, numbers, text, lists and dicts") from error
    except Exception as error:  # torch reads fields of damaged files as they come, and raises whatever follows
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"it is truncated or damaged ({reason})") from error


def _infer(state: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Kind and architecture, by names and shapes; what does not fit them is for `_check_tensors` to say."""
    if any(name.startswith(("predictor.", "decoder.")) for name in state):
        stochastic = any(name.startswith("predictor.fc_log_var.") for name in state)
        _, latent_size = _shape(state, "decoder.fc.weight", (1024, 64))
        return "vae", {"latent_size": max(latent_size, 1), "stochastic": stochastic}
    if any(name.startswith("generator.fc1.") for name in state):
        rows, columns = _shape(state, "generator.fc1.weight", (4096, ACTION_SIZE + 16))
        return "gan", {"dim": max(rows // 256, 1), "noise_size": max(columns - ACTION_SIZE, 0)}
    if any(name.startswith("network.") for name in state):
        width, _ = _shape(state, "network.0.weight", (WIDTH, 0))
        return "dab", {"width": max(width, 1)}
    if any(name.startswith("generator.0.") for name in state):
        return "npx", {}
    found = ", ".join(list(state)[:4]) or "none"
    raise ValueError(f"it must hold the weights of a dab, VAE, GAN or NPX painter, got names of no painter: {found}")


def _shape(state: Mapping[str, Any], name: str, default: tuple[int, int]) -> tuple[int, int]:
    tensor = state.get(name)
    return (tensor.shape[0], tensor.shape[1]) if isinstance(tensor, Tensor) and tensor.ndim == 2 else default


def _described(painter: NeuralPainter) -> str:
    return f"a {painter.kind} painter of {painter.architecture()}"
