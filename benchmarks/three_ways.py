"""Three ways to learn the same drawings, error against time: through the fused renderer, through a neural painter, and
without gradients, by PPO, whose strokes the fused renderer draws, or MyPaint itself.

    python benchmarks/three_ways.py --data mnist --seconds 300 --seeds 3 --plot docs/images/three_ways.png

Each run is a process of its own. Those that --results has are not run again; without others to run, the table and the
plot are made anew.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch
import ways_of_learning
from three_ways_report import plot, table
from ways_of_learning import RENDERERS, Run

from neural_paint import __version__, mypaint
from neural_paint.io.atomic import write_atomic

RESULTS = Path(__file__).resolve().parent / "results" / "agents" / "three_ways.json"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    if "ppo-mypaint" in options.ways:
        mypaint.require()
    path: Path = options.results
    document = _read(path)
    missing = [run for run in _runs(options) if not _done(run, document["runs"], path)]
    with ThreadPoolExecutor(options.jobs) as pool:
        futures = [pool.submit(_execute, run) for run in missing]
        try:
            for future in as_completed(futures):
                # One that fails takes no finished one with it.
                if future.exception() is None:
                    document["runs"].append(future.result())
                    _write(path, document)
            for future in futures:
                future.result()
        finally:
            pool.shutdown(cancel_futures=True)
    print(table(document["runs"]), end="")
    if options.plot:
        plot(document["runs"], options.plot)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare three ways to learn to draw: error against time.")
    default = Run("", 0)
    parser.add_argument("--data", default=default.data, help="as `train-agent` knows it")
    parser.add_argument("--seconds", type=float, default=default.seconds, help="of learning, each run")
    parser.add_argument("--seeds", type=int, default=3, help="so many runs of each way")
    parser.add_argument("--ways", nargs="+", choices=RENDERERS, default=list(RENDERERS), metavar="WAY")
    parser.add_argument("--threads", type=int, default=default.threads, help="of a run")
    parser.add_argument("--strokes", type=int, default=default.strokes, help="of a drawing")
    parser.add_argument("--pictures", type=int, default=default.pictures, help="held-out ones of a look")
    parser.add_argument("--in-mypaint", type=int, default=default.in_mypaint, help="so many of these in MyPaint too")
    parser.add_argument("--looks", type=int, default=default.looks, help="evenly spaced in the logarithm of time")
    parser.add_argument("--agent", type=json.loads, default={}, help="sizes of its layers, as JSON")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--plot", type=Path, help="a picture to write, .png")
    return parser.parse_args(arguments)


def _runs(options: argparse.Namespace) -> list[Run]:
    """All ways with the first seed come before any with the second."""
    names = [field.name for field in dataclasses.fields(Run) if field.name not in ("way", "seed")]
    shared = {name: getattr(options, name) for name in names}
    return [Run(way, seed, **shared) for seed in range(options.seeds) for way in options.ways]


def _done(run: Run, runs: list[dict[str, Any]], path: Path) -> bool:
    """Whether the results have a run; those of other settings are no comparison."""
    wanted = dataclasses.asdict(run)
    for known in runs:
        other = {key for key in wanted if known[key] != wanted[key]}
        if other - {"way", "seed"}:
            key = min(other - {"way", "seed"})
            raise SystemExit(f"{path} has runs with {key} = {known[key]}, not {wanted[key]}: name another file")
        if not other:
            return True
    return False


def _execute(run: Run) -> dict[str, Any]:
    print(f"{run.way}, seed {run.seed}: {run.seconds:g} s", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "result.json"
        command = [sys.executable, ways_of_learning.__file__, json.dumps(dataclasses.asdict(run)), str(file)]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        result: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return result


def _read(path: Path) -> dict[str, Any]:
    if path.exists():
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return document
    machine = {"machine": platform.machine(), "torch": torch.__version__, "neural_paint": __version__}
    return {**machine, "runs": []}


def _write(path: Path, document: dict[str, Any]) -> None:
    document["runs"].sort(key=lambda run: (list(RENDERERS).index(run["way"]), run["seed"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, (json.dumps(document, indent=1) + "\n").encode())


if __name__ == "__main__":
    raise SystemExit(main())
