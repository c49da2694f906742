"""The stroke file: strokes with the canvas they belong to, as .safetensors or .json (docs/stroke_file.md)."""

from __future__ import annotations

import errno
import json
import math
import operator
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from neural_paint.action_strokes import ActionStrokes, AnyStrokes
from neural_paint.io.atomic import write_atomic
from neural_paint.io.stroke_codecs import (
    DTYPES,
    Header,
    decode_json,
    decode_safetensors,
    encode_json,
    encode_safetensors,
)
from neural_paint.stamps import Stamps
from neural_paint.strokes import Strokes

FORMAT = "neural_paint.strokes"
# Raised when a file of the new layout could not be read by older code.
VERSION = 1
# Raised when the same fields would paint other pixels.
STROKE_MODEL = 1
_Kind = type[Strokes] | type[Stamps] | type[ActionStrokes]
KINDS: dict[str, _Kind] = {
    "bezier": Strokes,
    "stamps": Stamps,
    "actions": ActionStrokes,
}

Encoder = Callable[[Header, dict[str, Tensor]], bytes]
Decoder = Callable[[bytes], tuple[Header, dict[str, Tensor]]]
_CODECS: dict[str, tuple[Encoder, Decoder]] = {
    ".safetensors": (encode_safetensors, decode_safetensors),
    ".json": (encode_json, decode_json),
}


@dataclass(frozen=True)
class StrokeFile:
    """What a stroke file holds.

    Attributes:
        strokes: the strokes, stamps or actions, on the CPU.
        canvas: (H, W) in pixels of the canvas that the strokes' coordinates refer to.
        color_space: the space of the colours, "srgb" for sRGB-encoded values.
        background: the colour under the first stroke, one number per channel, or None where it is not recorded.
        metadata: whatever the writer added, a JSON object.
    """

    strokes: AnyStrokes
    canvas: tuple[int, int]
    color_space: str = "srgb"
    background: tuple[float, ...] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


def save_strokes(
    path: str | os.PathLike[str],
    strokes: AnyStrokes,
    *,
    canvas: Sequence[int],
    color_space: str = "srgb",
    background: Sequence[float] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write strokes, detached, to a .safetensors or .json file; either loads back with the same bits.

    Args:
        path: the file; its suffix picks the format. It is replaced only once the new file is complete.
        strokes: any batch of strokes, stamps or actions whose values are valid.
        canvas: (H, W) in pixels.
        color_space: the space of the colours.
        background: the colour under the first stroke, one number per channel.
        metadata: anything that JSON can hold, e.g. `{"photo": "cat.jpg", "seed": 0}`.

    Raises:
        ValueError: unknown suffix, or a value that a stroke file cannot hold.
        OSError: the file cannot be written; the old one is intact.
    """
    encode, _ = _CODECS[stroke_suffix(path)]
    tensors = {name: _storable(name, tensor) for name, tensor in strokes.fields().items()}
    strokes.validate()
    header = {
        "format": FORMAT,
        "version": VERSION,
        "kind": next(kind for kind, container in KINDS.items() if isinstance(strokes, container)),
        "stroke_model": STROKE_MODEL,
        "canvas": [operator.index(size) for size in canvas],
        "color_space": color_space,
        "background": None if background is None else [float(value) for value in background],
        "metadata": _plain(metadata or {}),
    }
    _check_content(header, strokes.channels)
    write_atomic(path, encode(header, tensors))


def load_strokes(path: str | os.PathLike[str]) -> StrokeFile:
    """Read a stroke file. Nothing in it is executed, and every value is checked.

    Raises:
        ValueError: not a stroke file, one of a newer version or another kind, damaged, or with invalid values.
        OSError: the file cannot be read.
    """
    _, decode = _CODECS[stroke_suffix(path)]
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise OSError(error.errno or errno.EIO, f"cannot load {path}: {error.strerror or error}") from error
    try:
        header, tensors = decode(data)
        _check_identity(header)
        strokes = _assemble(KINDS[header["kind"]], tensors)
        _check_content(header, strokes.channels)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"cannot load {path}: {error}") from error
    background = header.get("background")
    return StrokeFile(
        strokes=strokes,
        canvas=(header["canvas"][0], header["canvas"][1]),
        color_space=header["color_space"],
        background=None if background is None else tuple(float(value) for value in background),
        metadata=header["metadata"],
    )


def stroke_suffix(path: str | os.PathLike[str]) -> str:
    """The suffix of a stroke file's name, in lower case; ValueError where it is not one of a stroke file."""
    suffix = Path(path).suffix.lower()
    if suffix not in _CODECS:
        raise ValueError(f"a stroke file ends in {' or '.join(_CODECS)}, got {path}")
    return suffix


def _storable(name: str, tensor: Tensor) -> Tensor:
    if tensor.dtype not in DTYPES.values():
        raise ValueError(f"a stroke file holds {', '.join(DTYPES)}, got {tensor.dtype} as {name}")
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def _plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata as they will be read back: tuples become lists, keys strings."""
    try:
        return json.loads(json.dumps(dict(metadata), allow_nan=False))
    except (ValueError, TypeError) as error:
        raise ValueError(f"metadata must be an object that JSON can hold: {error}") from error


def _check_identity(header: Header) -> None:
    if header.get("format") != FORMAT or type(header.get("version")) is not int:
        raise ValueError("it is not a stroke file")
    if header["version"] > VERSION:
        raise ValueError(f"it has stroke file version {header['version']}, this neural_paint reads up to {VERSION}")
    if header.get("kind") not in tuple(KINDS):
        *others, last = map(repr, KINDS)
        read = f"{', '.join(others)} and {last}"
        raise ValueError(f"it holds strokes of kind {header.get('kind')!r}, this neural_paint reads {read} only")
    if header.get("stroke_model") != STROKE_MODEL:
        raise ValueError(f"its stroke model is {header.get('stroke_model')!r}, this neural_paint has {STROKE_MODEL}")


def _check_content(header: Header, channels: int) -> None:
    canvas, background = header.get("canvas"), header.get("background")
    if not isinstance(canvas, list) or len(canvas) != 2 or not all(type(x) is int and x >= 1 for x in canvas):
        raise ValueError(f"canvas must be (H, W) with H, W >= 1, got {canvas!r}")
    if not isinstance(header.get("color_space"), str) or not header["color_space"]:
        raise ValueError(f"color_space must be a name such as 'srgb', got {header.get('color_space')!r}")
    if background is not None and not _is_color(background, channels):
        raise ValueError(f"background must be {channels} finite numbers, one per channel, got {background!r}")
    if not isinstance(header.get("metadata"), dict):
        raise ValueError(f"metadata must be a JSON object, got {header.get('metadata')!r}")


def _is_color(value: Any, channels: int) -> bool:
    numbers = isinstance(value, list) and all(type(x) in (int, float) and math.isfinite(x) for x in value)
    return numbers and len(value) == channels


def _assemble(kind: _Kind, tensors: dict[str, Tensor]) -> AnyStrokes:
    missing = [name for name in kind.REQUIRED if name not in tensors]
    unknown = [name for name in tensors if name not in kind.FIELDS]
    if missing or unknown:
        what = f"lacks tensor {missing[0]}" if missing else f"has the unknown tensor {unknown[0]}"
        raise ValueError(f"it {what}")
    return kind(**tensors).validate()
