"""Makes a painter that comes with the package: strokes of a brush, training, weights and where they are from.

    python benchmarks/pretrain.py classic/dry_brush --work /tmp/pretrain

What is unfinished in --work goes on. The name of the painter is that of the brush, without its folder.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neural_paint import __version__
from neural_paint.io.atomic import write_atomic
from neural_paint.painters.pretrained import FILES


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make a painter that comes with the package.")
    parser.add_argument("brush", help="a brush of MyPaint, such as classic/dry_brush")
    parser.add_argument("--work", type=Path, required=True, help="folder for strokes and training")
    parser.add_argument("--strokes", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=4_000)
    parser.add_argument("--folder", type=Path, default=FILES.folder, help="where the painter goes")
    options = parser.parse_args(arguments)
    name = Path(options.brush).stem
    strokes, run = options.work / f"{name}-strokes", options.work / f"{name}-run"
    command("dataset", "--strokes", options.strokes, "--brush", options.brush, "-o", strokes)
    command("train-painter", "--recipe", "dab", "--steps", options.steps, "--data", strokes, "-o", run)
    held_out = read(run / "evaluation.json")
    seconds = held_out.pop("training_seconds")
    # Of the machine, and what else it did.
    del held_out["strokes_per_second"]
    document = {
        "brush": options.brush,
        "neural_paint": __version__,
        "strokes": read(strokes / "dataset.json"),
        "training": read(run / "config.json"),
        "seconds of training": round(seconds),
        "held out": held_out,
    }
    write_atomic(options.folder / f"{name}.safetensors", (run / "painter.safetensors").read_bytes())
    write_atomic(options.folder / f"{name}.json", (json.dumps(document, indent=1) + "\n").encode())
    return 0


def command(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "neural_paint", *map(str, arguments)], check=True)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    raise SystemExit(main())
