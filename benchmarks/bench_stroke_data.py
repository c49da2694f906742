"""Strokes of MyPaint: how fast they are made, and how fast training gets them, next to whole files in memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from neural_paint.mypaint.canvas import usable_cores
from neural_paint.mypaint.dataset import Recipe, make_dataset
from neural_paint.painters import StrokeData

RECIPE = Recipe(8192, shard=2048)
BATCH = 64
# Enough that it does not count what is read ahead of the last batch.
EPOCHS = 4
STROKES = EPOCHS * RECIPE.strokes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("strokes")
    for _ in make_dataset(folder, RECIPE):
        pass
    return folder


def published_loop(folder: Path) -> Iterator[tuple[Tensor, Tensor]]:
    """Every file whole in memory, one after the other, shuffled within."""
    for path in sorted(folder.glob("episodes_*.npz")):
        with np.load(path) as arrays:
            actions, strokes = arrays["actions"].astype(np.float32), arrays["strokes"]
        order = np.random.default_rng(0).permutation(len(actions))
        for rows in np.split(order, range(BATCH, len(order), BATCH)):
            yield torch.from_numpy(actions[rows]), torch.from_numpy(strokes[rows]).permute(0, 3, 1, 2)


READERS: dict[str, Callable[[Path], Iterator[tuple[Tensor, Tensor]]]] = {
    "batches": lambda folder: itertools.islice(StrokeData(folder, "all").batches(BATCH, seed=0), STROKES // BATCH),
    "once": lambda folder: itertools.chain(*(StrokeData(folder, "all").once(BATCH) for _ in range(EPOCHS))),
    "loop": lambda folder: itertools.chain(*(published_loop(folder) for _ in range(EPOCHS))),
}


@pytest.mark.parametrize("jobs", sorted({1, usable_cores()}))
def bench_making(benchmark: BenchmarkFixture, tmp_path: Path, jobs: int) -> None:
    recipe = Recipe(2048, shard=1024)
    folders = (tmp_path / str(number) for number in itertools.count())
    benchmark.group = "strokes of MyPaint: painted and written"
    benchmark.extra_info.update(
        {"table": "stroke data", "case": "painted and written", "pass": "", "backend": f"{jobs} jobs"},
        strokes=recipe.strokes,
    )
    benchmark.pedantic(lambda: list(make_dataset(next(folders), recipe, jobs=jobs)), rounds=3)


@pytest.mark.parametrize("name", READERS)
def bench_reading(benchmark: BenchmarkFixture, peak_memory: Any, folder: Path, name: str) -> None:
    assert_whole(READERS[name](folder))
    case = f"read in batches of {BATCH}"
    benchmark.group = f"strokes of MyPaint: {case}"
    benchmark.extra_info.update({"table": "stroke data", "case": case, "pass": "", "backend": name}, strokes=STROKES)

    def run() -> None:
        for _ in READERS[name](folder):
            pass

    benchmark.pedantic(run, rounds=3)
    benchmark.extra_info["peak_mib"] = peak_memory(run)


def assert_whole(batches: Iterator[tuple[Tensor, Tensor]]) -> None:
    """No time is worth anything if strokes are missing, or with the actions of others."""
    paper = {}
    for actions, strokes in batches:
        paper.update(zip(map(tuple, actions.tolist()), strokes.sum((1, 2, 3)).tolist(), strict=True))
    expected = {}
    for shard in range(RECIPE.shards):
        expected.update(dict.fromkeys(map(tuple, RECIPE.actions(shard).astype(np.float32).tolist())))
    assert paper.keys() == expected.keys()
    assert len(set(paper.values())) > RECIPE.strokes / 2
