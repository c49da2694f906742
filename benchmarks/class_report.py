"""Paints the ten labels that "Neural Painters" shows, and asks networks that took no part what they see: a table and a
contact sheet.

    python benchmarks/class_report.py
    python benchmarks/class_report.py --network efficientnet-lite0 --network efficientnet-lite1 --name two
    python benchmarks/class_report.py --medium neural --strokes 30 --canvas 64 --name neural

A painting that is in the folder of results is not painted again, so that a report that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from neural_paint.allocation import keep_freed_memory
from neural_paint.contact_sheet import contact_sheet
from neural_paint.io import load_strokes, save_image, save_strokes
from neural_paint.media import MEDIA, named_medium
from neural_paint.painters import NeuralPainter
from neural_paint.perception import DEFAULT_NETWORK, FeatureNetwork, find_label, label_name, load_network
from neural_paint.tasks import render
from neural_paint.tasks.visualize import DEFAULT_SIZE, DEFAULT_STROKES, VisualizeStep, classified, visualize

RESULTS = Path(__file__).resolve().parent / "results" / "classes"
IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
LABELS = (
    "giant panda",
    "bee",
    "lemon",
    "ice bear",
    "monarch",
    "violin",
    "pineapple",
    "starfish",
    "honeycomb",
    "bald eagle",
)
# All are asked in the end.
NETWORKS = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
# Probability of a label that a network is sure of.
SURE = 0.9
PANEL, COLUMNS = 220, 5


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Paint labels, and ask networks what they see.")
    parser.add_argument("--label", action="append", help="several; by default those that were published")
    parser.add_argument("--seed", type=int, action="append", help="several; by default 0")
    parser.add_argument("--steps", type=int, help="of optimisation; by default those of visualize")
    parser.add_argument(
        "--network", action="append", help=f"that is painted for; several; by default {DEFAULT_NETWORK}"
    )
    parser.add_argument("--medium", default="round", help=f"one of {', '.join(MEDIA)}")
    parser.add_argument("--strokes", type=int, default=DEFAULT_STROKES)
    parser.add_argument("--canvas", type=int, default=DEFAULT_SIZE, help="its side in pixels")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--name", default="classes", help="of the files in --results")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--sheet", type=Path, help="by default the image of that --name in the documentation")
    options = parser.parse_args(arguments)
    keep_freed_memory()
    options.results.mkdir(parents=True, exist_ok=True)
    names = dict.fromkeys([*(options.network or [DEFAULT_NETWORK]), *NETWORKS])
    networks = [load_network(name).to(options.device) for name in names]
    medium = named_medium(options.medium)
    painter = medium.brush if isinstance(medium.brush, NeuralPainter) else None
    rows, pictures = [], []
    for seed in options.seed or [0]:
        for label in options.label or LABELS:
            path = options.results / f"{options.name}-{label.replace(' ', '-')}-{seed}.safetensors"
            if not path.exists():
                _paint(path, label, seed, networks, options)
            file = load_strokes(path)
            rows.append({"label": label, **file.metadata})
            pictures.append(render(file.strokes, file.canvas, file.background, (PANEL, PANEL), painter=painter))
            print(_line(rows[-1]), flush=True)
    machine = {"machine": platform.machine(), "threads": torch.get_num_threads(), "torch": torch.__version__}
    report = {**machine, "device": options.device, "paintings": rows}
    (options.results / f"{options.name}.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (options.results / f"{options.name}.md").write_text(table(rows), encoding="utf-8")
    save_image(
        options.sheet or IMAGES / f"{options.name}.jpg",
        contact_sheet(pictures, [row["label"] for row in rows], COLUMNS),
    )
    print(table(rows), end="")
    return 0


def _paint(path: Path, label: str, seed: int, networks: Sequence[FeatureNetwork], options: argparse.Namespace) -> None:
    begun = time.perf_counter()
    asked = networks[: len(options.network or [DEFAULT_NETWORK])]
    painting = visualize(
        label,
        networks=asked,
        medium=options.medium,
        strokes=options.strokes,
        size=options.canvas,
        steps=options.steps,
        seed=seed,
        device=options.device,
    )
    step = deque(painting, maxlen=1).pop()
    seconds = time.perf_counter() - begun
    metadata = {
        "seed": seed,
        "steps": step.index + 1,
        "seconds": round(seconds, 1),
        "painted for": [network.name for network in asked],
        "seen": {network.name: _seen(network, step) for network in networks},
    }
    background = step.background[0].tolist()
    save_strokes(path, step.strokes, canvas=step.canvas.shape[2:], background=background, metadata=metadata)


def _seen(network: FeatureNetwork, step: VisualizeStep) -> dict[str, Any]:
    """The probability of the label, and the most probable one."""
    probability = classified(network, step.canvas)[0]
    top = label_name(int(probability.argmax()))
    return {"probability": round(float(probability[step.label]), 4), "top": top}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """In Markdown, with the number of paintings that each network is sure of, and of those that it gets right."""
    networks = list(rows[0]["seen"])
    titles = [f"{name}, painted for" if name in rows[0]["painted for"] else name for name in networks]
    lines = [f"| label | seed | {' | '.join(titles)} | seconds |", f"|---|---:|{'---:|' * len(networks)}---:|"]
    lines += [_line(row) for row in rows]
    for title, holds in ((f"at least {SURE}", _is_sure), ("most probable", _is_right)):
        counts = (sum(holds(row, name) for row in rows) for name in networks)
        lines.append(f"| {title} | | {' | '.join(f'{count} of {len(rows)}' for count in counts)} | |")
    return "\n".join(lines) + "\n"


def _line(row: dict[str, Any]) -> str:
    cells = []
    for name, seen in row["seen"].items():
        cells.append(f"{seen['probability']:.3f}" + ("" if _is_right(row, name) else f" ({seen['top']})"))
    return f"| {row['label']} | {row['seed']} | {' | '.join(cells)} | {row['seconds']:.0f} |"


def _is_sure(row: dict[str, Any], network: str) -> bool:
    return row["seen"][network]["probability"] >= SURE


def _is_right(row: dict[str, Any], network: str) -> bool:
    return row["seen"][network]["top"] == label_name(find_label(row["label"]))


if __name__ == "__main__":
    raise SystemExit(main())
