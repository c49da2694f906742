"""Makes an agent that comes with the package: its training, its weights, and where they are from.

    python benchmarks/pretrain_agents.py digits --data mnist --work /tmp/pretrain

What is unfinished in --work goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from pretrain import command, read

from neural_paint import __version__
from neural_paint.agents import load_agent, save_agent
from neural_paint.agents.pretrained import FILES
from neural_paint.io.atomic import write_atomic

# Settings of `train-agent`.
AGENTS: dict[str, Sequence[object]] = {
    "digits": (
        *("--medium", "neural", "--steps", 6_500, "--set", "template_weight=2000", "--set", "template_steps=1500"),
        *("--set", "template_shares=[1.0,0.2]", "--set", "template_boundaries=[1000]"),
    ),
    "glyphs": ("--medium", "fused", "--steps", 1_500, "--strokes", 15, "--set", "characters=hiragana"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make an agent that comes with the package.")
    parser.add_argument("name", choices=AGENTS)
    parser.add_argument("--data", required=True, help="mnist for digits, a font for glyphs, as `train-agent` takes it")
    parser.add_argument("--work", type=Path, required=True, help="folder for the training")
    parser.add_argument("--folder", type=Path, default=FILES.folder, help="where the agent goes")
    options = parser.parse_args(arguments)
    run = options.work / options.name
    settings = ("--set", "evaluate_every=1000", *AGENTS[options.name])
    command("train-agent", "--data", options.data, "-o", run, *settings)
    training, held_out = read(run / "config.json"), read(run / "evaluation.json")
    # Of the machine, and what else it did; and where the data were.
    del held_out["drawings_per_second"]
    training["data"] = Path(training["data"]).name
    document = {
        "neural_paint": __version__,
        "training": training,
        "seconds of training": round(held_out.pop("training_seconds")),
        "held out": held_out,
    }
    options.folder.mkdir(parents=True, exist_ok=True)
    save_agent(load_agent(run / "agent.safetensors"), options.folder / f"{options.name}.safetensors", torch.float16)
    write_atomic(options.folder / f"{options.name}.json", (json.dumps(document, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
