"""Makes an agent that comes with the package: its training, its weights, and where they are from.

    python benchmarks/pretrain_agents.py digits --data mnist --work /tmp/pretrain

What is unfinished in --work goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pretrain import command, read

from neural_paint import __version__
from neural_paint.agents import Agent, draw, load_agent, open_targets, renderer_of, save_agent
from neural_paint.agents.evaluation import evaluate_drawings
from neural_paint.agents.pretrained import FILES
from neural_paint.io.atomic import write_atomic
from neural_paint.training.checkpoints import checkpoints, load_checkpoint

# Settings of `train-agent`.
AGENTS: dict[str, Sequence[object]] = {
    "digits": (
        *("--medium", "neural", "--steps", 6_500, "--set", "template_weight=2000", "--set", "template_steps=1500"),
        *("--set", "template_shares=[1.0,0.2]", "--set", "template_boundaries=[1000]"),
    ),
    "glyphs": (
        *("--medium", "fused", "--steps", 2_000, "--strokes", 15),
        *("--set", "characters=hiragana", "--set", "mode=jump"),
    ),
}


DATA = {"digits": "MNIST", "glyphs": "kouzan-mouhitsu-gyosho.ttf of Debian's fonts-kouzan-mouhitsu"}


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
    # Where they were.
    del training["data"]
    options.folder.mkdir(parents=True, exist_ok=True)
    file = options.folder / f"{options.name}.safetensors"
    save_agent(load_agent(run / "agent.safetensors"), file, torch.float16)
    document = {
        "neural_paint": __version__,
        "data": DATA[options.name],
        "digest of the data": load_checkpoint(checkpoints(run)[0]).data,
        "training": training,
        "seconds of training": round(held_out["training_seconds"]),
        "held out": {"steps": held_out["steps"], **evaluated(load_agent(file), training, options.data)},
    }
    write_atomic(options.folder / f"{options.name}.json", (json.dumps(document, indent=1) + "\n").encode())
    return 0


def evaluated(agent: Agent, training: dict[str, Any], data: str) -> dict[str, Any]:
    """The agent as it is shipped, with pictures that it has not seen; nothing of the machine."""
    chosen = {name: training[name] for name in ("validation", "invert", "characters", "glyphs", "seed")}
    _, held_out = open_targets(data, **chosen)
    weight = next(agent.parameters())
    evaluation = evaluate_drawings(partial(draw, agent, renderer_of(agent)), agent.mode, held_out, weight)
    return {name: value for name, value in asdict(evaluation).items() if name != "drawings_per_second"}


if __name__ == "__main__":
    raise SystemExit(main())
