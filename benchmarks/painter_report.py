"""Measures painters on the same held-out strokes, and writes a table: error, similarity, weights, speed.

python benchmarks/painter_report.py --data strokes/ --painter vae.safetensors --painter dab.safetensors
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from neural_paint.painters import load_painter
from neural_paint.painters.evaluation import evaluate
from neural_paint.painters.stroke_data import StrokeData

RESULTS = Path(__file__).resolve().parent / "results" / "painters"
COLUMNS = ("painter", "kind", "weights", "mean squared error", "SSIM", "strokes/s")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure painters on the validation strokes of a folder.")
    parser.add_argument("--data", type=Path, required=True, help="a folder of strokes")
    parser.add_argument("--painter", type=Path, action="append", required=True, help="a painter's file; several")
    parser.add_argument("--validation", type=float, default=0.05, help="share of the strokes, as in training")
    parser.add_argument("--limit", type=int, help="at most so many strokes")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--name", default="painters", help="of the two files in --results")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    data = StrokeData(options.data, "validation", validation=options.validation)
    rows = [_measure(path, data, options) for path in options.painter]
    machine = {"machine": platform.machine(), "threads": torch.get_num_threads(), "torch": torch.__version__}
    report = {**machine, "device": options.device, "painters": rows}
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / f"{options.name}.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (options.results / f"{options.name}.md").write_text(table(rows), encoding="utf-8")
    print(table(rows), end="")
    return 0


def _measure(path: Path, data: StrokeData, options: argparse.Namespace) -> dict[str, Any]:
    painter = load_painter(path).to(options.device)
    evaluation = evaluate(painter, data, limit=options.limit)
    weights = sum(weight.numel() for weight in painter.parameters())
    return {"painter": path.stem, "kind": painter.kind, "weights": weights, **dataclasses.asdict(evaluation)}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """In Markdown, the best painter first."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---|---|---:|---:|---:|---:|"]
    for row in sorted(rows, key=lambda row: row["mse"]):
        ssim = "" if row["ssim"] is None else f"{row['ssim']:.4f}"
        cells = (row["painter"], row["kind"], f"{row['weights']:,}", f"{row['mse']:.6f}", ssim)
        lines.append(f"| {' | '.join(cells)} | {row['strokes_per_second']:,.0f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
