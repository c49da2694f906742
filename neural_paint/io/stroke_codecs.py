"""The two spellings of a stroke file, safetensors and JSON: (header, tensors) to bytes and back, bit for bit."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

Header = dict[str, Any]

_FLOAT_DTYPES = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float64": torch.float64,
}
DTYPES = {**_FLOAT_DTYPES, "int32": torch.int32, "int64": torch.int64}


# Safetensors metadata are strings: these header fields stand for themselves there, all others are JSON text.
_TEXT_FIELDS = ("format", "kind", "color_space")


def encode_safetensors(header: Header, tensors: dict[str, Tensor]) -> bytes:
    metadata = {key: value if key in _TEXT_FIELDS else json.dumps(value) for key, value in header.items()}
    return safetensors.torch.save(tensors, metadata)


def decode_safetensors(data: bytes) -> tuple[Header, dict[str, Tensor]]:
    try:
        tensors = safetensors.torch.load(data)
    except (SafetensorError, KeyError, RuntimeError) as error:  # a KeyError names a dtype that torch lacks
        raise ValueError(f"it is truncated or not a safetensors file ({error})") from error
    size = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + size]).get("__metadata__", {})
    header = {key: value if key in _TEXT_FIELDS else _parse_field(key, value) for key, value in metadata.items()}
    return header, tensors


def _parse_field(key: str, text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except ValueError as error:
        raise ValueError(f"header field {key} is not JSON: {text!r}") from error


def encode_json(header: Header, tensors: dict[str, Tensor]) -> bytes:
    document = {**header, "tensors": {name: _encode_tensor(tensor) for name, tensor in tensors.items()}}
    return json.dumps(document, allow_nan=False).encode()


def decode_json(data: bytes) -> tuple[Header, dict[str, Tensor]]:
    try:
        header = json.loads(data, parse_constant=_refuse_constant)
    except ValueError as error:
        raise ValueError(f"it is truncated or not a JSON file ({error})") from error
    tensors = header.pop("tensors", None) if isinstance(header, dict) else None
    if not isinstance(tensors, dict):
        raise ValueError("it is not a stroke file: it has no tensors")
    return header, {name: _decode_tensor(name, tensor) for name, tensor in tensors.items()}


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a finite number")


def _encode_tensor(tensor: Tensor) -> dict[str, Any]:
    dtype = str(tensor.dtype).removeprefix("torch.")
    flat = tensor.reshape(-1)
    # Every half-precision number is a float32; Python's floats write float64 in the fewest digits already.
    exact = flat.dtype == torch.float64 or not flat.is_floating_point()
    data = flat.tolist() if exact else _shortest(flat.float().numpy())
    return {"dtype": dtype, "shape": list(tensor.shape), "data": data}


def _shortest(values: np.ndarray) -> list[float]:
    """float32 numbers as the float64 with the fewest digits that rounds to them: 0.1, not 0.10000000149011612."""
    short = values.astype(str).astype(np.float64)
    return np.where(short.astype(np.float32) == values, short, values).tolist()


def _decode_tensor(name: str, encoded: Any) -> Tensor:
    encoded = encoded if isinstance(encoded, dict) else {}
    dtype, shape, data = (encoded.get(key) for key in ("dtype", "shape", "data"))
    if dtype not in DTYPES:
        raise ValueError(f"tensor {name} must have a dtype of {', '.join(DTYPES)}, got {dtype!r}")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError(f"tensor {name} must have a shape of integers >= 0, got {shape!r}")
    kinds = (int, float) if dtype in _FLOAT_DTYPES else (int,)
    if not isinstance(data, list) or not all(type(value) in kinds for value in data):
        raise ValueError(f"tensor {name} must have a list of {'numbers' if float in kinds else 'integers'} as data")
    if len(data) != math.prod(shape):
        raise ValueError(f"tensor {name} of shape {tuple(shape)} must have {math.prod(shape)} values, got {len(data)}")
    try:
        # Through float64, so that half types are rounded once and float32 exactly as it was written.
        parsed = torch.tensor(data, dtype=torch.float64 if dtype in _FLOAT_DTYPES else DTYPES[dtype])
        return parsed.to(DTYPES[dtype]).reshape(shape)
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"tensor {name} does not fit {dtype} of shape {tuple(shape)}") from error
