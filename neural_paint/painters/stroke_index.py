"""What the actions of a folder of strokes tell: how many there are, and by a number for each which are equal."""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neural_paint.io.atomic import write_atomic
from neural_paint.io.npz import NpzReader
from neural_paint.io.stroke_codecs import decode_safetensors, encode_safetensors
from neural_paint.painters.stroke_shards import ACTIONS, list_shards, open_shard

INDEX_NAME = "stroke_index.safetensors"
_FORMAT = "neural_paint.stroke_index"
# Raised when the index of the same shards would be another one.
_VERSION = 1
# Rows read at a time: 6 MB.
_ROWS = 65_536


@dataclass(frozen=True)
class IndexedShard:
    """A shard as it was when its actions were read.

    Attributes:
        path: the file.
        size, changed: its length in bytes and when it was last changed, in nanoseconds.
        hashes: (n,) uint64, `hash_actions` of its actions.
    """

    path: Path
    size: int
    changed: int
    hashes: np.ndarray


def hash_actions(actions: np.ndarray) -> np.ndarray:
    """(n,) uint64 for actions (n, 12) float64: a function of their bits, evenly spread, and another for other bits (but
    for one pair in 2^64)."""
    hashes = np.zeros(len(actions), np.uint64)
    for words in np.ascontiguousarray(actions).view(np.uint64).T:
        hashes = _mixed(hashes ^ words)
    return hashes


def _mixed(words: np.ndarray) -> np.ndarray:
    """The function of the generator SplitMix64, which has an inverse; products are modulo 2^64."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def index_folder(folder: str | os.PathLike[str]) -> list[IndexedShard]:
    """The shards of a folder in the order of their numbers, each checked to be one.

    What was found is kept beside the shards where that can be written, and read again while they are unchanged.

    Raises:
        ValueError: naming the file, the rule that it breaks and what was found; or there is none.
        OSError: a file or the folder cannot be read.
    """
    paths = list_shards(folder)
    if not paths:
        raise ValueError(f"cannot load {folder}: it must hold files called episodes_0.npz and so on, got none")
    index = Path(folder) / INDEX_NAME
    known = _load(index)
    shards = []
    for path in paths:
        status = path.stat()
        hashes = known.get((path.name, status.st_size, status.st_mtime_ns))
        shards.append(IndexedShard(path, status.st_size, status.st_mtime_ns, _read(path) if hashes is None else hashes))
    if {_key(shard) for shard in shards} != known.keys():
        with contextlib.suppress(OSError):
            _save(index, shards)
    return shards


def _read(path: Path) -> np.ndarray:
    with open_shard(path) as shard:
        hashes = [hash_actions(_actions(shard, path, row)) for row in range(0, shard.rows, _ROWS)]
    return np.concatenate([np.zeros(0, np.uint64), *hashes])


def _actions(shard: NpzReader, path: Path, first: int) -> np.ndarray:
    actions = shard.read(ACTIONS.name, _ROWS)
    bad = ~((actions >= 0) & (actions <= 1)).all(axis=1)
    if bad.any():
        row = int(bad.argmax())
        worst = next(value for value in actions[row].tolist() if not 0 <= value <= 1)
        raise ValueError(f"cannot load {path}: its actions must be in [0, 1], got {worst} at stroke {first + row}")
    return actions


def _key(shard: IndexedShard) -> tuple[str, int, int]:
    return shard.path.name, shard.size, shard.changed


def _save(index: Path, shards: list[IndexedShard]) -> None:
    files = [[*_key(shard), len(shard.hashes)] for shard in shards]
    hashes = np.concatenate([shard.hashes for shard in shards]).view(np.int64)
    header = {"format": _FORMAT, "version": _VERSION, "files": files, "crc": _checksum(files, hashes)}
    write_atomic(index, encode_safetensors(header, {"hashes": torch.from_numpy(hashes)}))


def _checksum(files: list[Any], hashes: np.ndarray) -> int:
    return zlib.crc32(hashes.tobytes(), zlib.crc32(json.dumps(files).encode()))


def _load(index: Path) -> dict[tuple[str, int, int], np.ndarray]:
    """The hashes of each shard by its name, size and time; none where there is no whole index."""
    try:
        header, tensors = decode_safetensors(index.read_bytes())
        if (header["format"], header["version"]) != (_FORMAT, _VERSION):
            return {}
        files, hashes = header["files"], tensors["hashes"].numpy().view(np.uint64)
        if header["crc"] != _checksum(files, hashes):
            return {}
        ends = np.cumsum([count for *_, count in files])
        if ends[-1] != len(hashes):
            return {}
        return {(*key,): part for (*key, _), part in zip(files, np.split(hashes, ends[:-1]), strict=True)}
    except (OSError, ValueError, TypeError, KeyError, IndexError):
        return {}
