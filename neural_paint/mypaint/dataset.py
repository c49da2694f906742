"""Strokes for neural painters to learn from: random actions that MyPaint paints, in files that outlast a killed run."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import neural_paint
from neural_paint.io.atomic import open_atomic, write_atomic
from neural_paint.io.folder_lock import locked_folder
from neural_paint.io.npz import NpzWriter, deflate
from neural_paint.mypaint.brush_files import find_brush
from neural_paint.mypaint.canvas import DEFAULT_BRUSH, paint_actions, usable_cores
from neural_paint.painters.actions import ACTION_SIZE
from neural_paint.painters.stroke_shards import ACTIONS, STROKES, list_shards, open_shard, shard_name

MANIFEST_NAME = "dataset.json"
# Strokes of a file: the published ones have 100,000. Nearly 4 GiB is what a file can hold.
DEFAULT_SHARD, MAX_SHARD = 10_000, 300_000
_FORMAT, _VERSION = "neural_paint.strokes", 1
# Strokes that a thread paints and compresses at a time: 6 MB. Another number would give other files.
_BLOCK = 512
# Enough to tell whether MyPaint paints the same here and now as when the data set was begun.
_SAMPLE = 16

# As `paint_actions`: (actions, brush, threads=...) -> strokes.
Paint = Callable[..., np.ndarray]


@dataclass(frozen=True)
class Recipe:
    """What a data set is made of, and all that it depends on but the painting program.

    Attributes:
        strokes: how many.
        brush: name of an installed brush, or path of a .myb file.
        seed: of the actions, non-negative.
        shard: strokes of a file; the last may have fewer.
    """

    strokes: int
    brush: str = DEFAULT_BRUSH
    seed: int = 0
    shard: int = DEFAULT_SHARD

    def __post_init__(self) -> None:
        if self.strokes < 1 or self.seed < 0 or not 1 <= self.shard <= MAX_SHARD:
            what = f"strokes must be positive, seed not negative and shard in 1 .. {MAX_SHARD:,}"
            raise ValueError(f"{what}, got {self.strokes}, {self.seed} and {self.shard}")

    @property
    def shards(self) -> int:
        return -(-self.strokes // self.shard)

    def count(self, shard: int) -> int:
        """Strokes of one file."""
        return min(self.shard, self.strokes - shard * self.shard)

    def actions(self, shard: int) -> np.ndarray:
        """Those of one file, (n, 12) float64 uniform in [0, 1): a function of seed and shard, whichever NumPy it is."""
        bits = np.random.PCG64(np.random.SeedSequence((shard, self.seed))).random_raw(self.count(shard) * ACTION_SIZE)
        return ((bits >> np.uint64(11)) * 2.0**-53).reshape(-1, ACTION_SIZE)


def make_dataset(
    folder: str | os.PathLike[str], recipe: Recipe, *, jobs: int | None = None, paint: Paint = paint_actions
) -> Generator[int, None, None]:
    """Paint random actions into files of `folder`, which is made; painting goes on with every step of the iterator.

    Files appear whole, one after the other, and stay whatever happens to the run: the same call goes on after the last,
    to the same bits. Wherever the iterator is closed or fails, no unfinished file is left.

    Args:
        jobs: threads that paint and compress; by default as many as there are cores to use. Files do not depend on it.
        paint: the painting program.

    Yields:
        how many strokes of the data set are painted: first those that were there, in the end all.

    Raises:
        ValueError: the folder holds another data set, or a damaged file.
        OSError: a file cannot be written; the brush or the program is missing; another run writes to the folder.
    """
    brush = find_brush(recipe.brush)
    manifest = _manifest(recipe, brush, paint)
    with locked_folder(folder):
        _adopt(Path(folder), manifest)
        there = _finished(Path(folder), recipe)
        done = sum(recipe.count(shard) for shard in there)
        yield done
        missing = [shard for shard in range(recipe.shards) if shard not in there]
        with contextlib.closing(_blocks(recipe, missing, brush, jobs or usable_cores(), paint)) as blocks:
            for shard in missing:
                with contextlib.closing(_write(Path(folder) / shard_name(shard), recipe, shard, blocks)) as counts:
                    for count in counts:
                        done += count
                        yield done


def _manifest(recipe: Recipe, brush: Path, paint: Paint) -> dict[str, Any]:
    sample = paint(Recipe(_SAMPLE).actions(0), brush, threads=1)
    return {
        "format": _FORMAT,
        "version": _VERSION,
        **asdict(recipe),
        "brush_sha256": hashlib.sha256(brush.read_bytes()).hexdigest(),
        "sample_sha256": hashlib.sha256(sample.data).hexdigest(),
        "made_by": {
            "neural_paint": neural_paint.__version__,
            "numpy": np.__version__,
            "zlib": zlib.ZLIB_RUNTIME_VERSION,
        },
    }


def _adopt(folder: Path, manifest: dict[str, Any]) -> None:
    """Make the folder that of this data set, or see that it is."""
    path = folder / MANIFEST_NAME
    if not path.exists():
        if list_shards(folder):
            raise ValueError(f"cannot write {folder}: it holds strokes of another data set, one without {path.name}")
        write_atomic(path, (json.dumps(manifest, indent=2) + "\n").encode())
        return
    try:
        found = json.loads(path.read_bytes())
        differing = [key for key in manifest if key != "made_by" and found[key] != manifest[key]]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"cannot write {folder}: its {path.name} is not that of a data set") from error
    if differing:
        key = differing[0]
        what = f"its {key} is {found[key]}, not {manifest[key]}"
        raise ValueError(f"cannot write {folder}: it holds another data set, {what}")


def _finished(folder: Path, recipe: Recipe) -> set[int]:
    """The shards that are there."""
    names = {shard_name(shard): shard for shard in range(recipe.shards)}
    for path in list_shards(folder):
        if path.name not in names:
            raise ValueError(f"cannot write {folder}: it holds {path.name}, which is not of this data set")
        with open_shard(path) as reader:
            if reader.rows != recipe.count(names[path.name]):
                raise ValueError(f"cannot write {folder}: {path.name} holds {reader.rows} strokes of another data set")
    return {names[path.name] for path in list_shards(folder)}


@dataclass(frozen=True)
class _Block:
    strokes: np.ndarray
    deflated: bytes


def _blocks(recipe: Recipe, shards: list[int], brush: Path, jobs: int, paint: Paint) -> Generator[_Block, None, None]:
    """The blocks of some shards in order, painted and compressed by threads; a few are ahead."""

    def make(actions: np.ndarray) -> _Block:
        strokes = paint(actions, brush, threads=1)
        return _Block(strokes, deflate(strokes.data))

    ahead: deque[Future[_Block]] = deque()
    with ThreadPoolExecutor(jobs, thread_name_prefix="strokes") as pool:
        try:
            for shard in shards:
                actions = recipe.actions(shard)
                for row in range(0, len(actions), _BLOCK):
                    ahead.append(pool.submit(make, actions[row : row + _BLOCK]))
                    if len(ahead) > 2 * jobs:
                        yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _write(path: Path, recipe: Recipe, shard: int, blocks: Iterator[_Block]) -> Generator[int, None, None]:
    """Write a shard of the next blocks; yields the strokes of each."""
    actions = recipe.actions(shard)
    with open_atomic(path) as file:
        writer = NpzWriter(file)
        writer.begin(ACTIONS, len(actions))
        writer.add(actions.data)
        writer.begin(STROKES, len(actions))
        for _ in range(0, len(actions), _BLOCK):
            block = next(blocks)
            writer.add(block.strokes.data, block.deflated)
            yield len(block.strokes)
        writer.finish()
