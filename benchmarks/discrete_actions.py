"""Discrete actions and why they fail: the experiment of "Neural Painters" (arXiv:1904.08410), section 3.1, end to end.

    python benchmarks/discrete_actions.py --work /tmp/discrete

Strokes of the real MyPaint, a painter of discrete actions and one of continuous ones, what they make of lifts and sizes
that are on no level, and agents that draw digits with them. What is unfinished in --work goes on. What came of it is in
docs/discrete_actions.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from discrete_measures import sweep_lift, sweep_size
from discrete_pictures import Shown, draw_pictures
from discrete_training import SPACE, SPACES, InkConfig, InkRenderer, draw_ink, finish, make_strokes, train_painter

from neural_paint.agents import Targets, load_agent, open_targets
from neural_paint.agents.discrete import draw_with_lift, with_lift
from neural_paint.painters import NeuralPainter
from neural_paint.painters.evaluation import as_pictures

RESULTS = Path(__file__).resolve().parent / "results" / "agents"
IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
# Agents, by the painter that they learn with and other settings than those of `AgentConfig`.
AGENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "lift": ("discrete", {"lift": True}),
    "lift, pen down at first": ("discrete", {"lift": True, "first_lift": 0.02}),
    "lift, squared error alone": ("discrete", {"lift": True, "doublings": 0}),
    # With the weights of the published agent.
    "lift, critic": ("discrete", {"lift": True, "doublings": 0, "pixel_weight": 10.0, "adversarial_weight": 1.0}),
    "lift held at 0": ("discrete", {}),
    "continuous": ("continuous", {}),
}
LIFTS, DRAWN = 41, 10


def main(arguments: Sequence[str] | None = None) -> int:
    options = parsed(arguments)
    painters, held_out = {}, {}
    for space in SPACES:
        data = make_strokes(options.work / f"{space}-strokes", space, options.strokes)
        run = options.work / f"{space}-painter"
        painters[space] = train_painter(run, data, options.steps)
        held_out[space] = read(run / "evaluation.json")["mse"]
    generator = torch.Generator().manual_seed(0)
    actions = with_lift(SPACE.sample(options.sweep, generator), 0.0)
    lift = sweep_lift(painters["discrete"], actions, torch.linspace(0, 1, LIFTS))
    size = sweep_size(painters, actions, SPACE)
    train, validation = open_targets(options.targets)
    validation = Targets(validation.pictures[: options.pictures], validation.labels[: options.pictures])
    agents = train_agents(options, (train, validation))
    report = {
        "machine": {"machine": platform.machine(), "threads": torch.get_num_threads(), "torch": torch.__version__},
        "levels": SPACE.levels,
        "painters": {"strokes": options.strokes, "steps": options.steps, "mse of held-out strokes": held_out},
        "lift": lift,
        "size": size,
        "agents": {"pictures": len(validation), "mse of blank paper": blank(validation), "runs": agents},
    }
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "discrete_actions.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    draw_pictures(options.images, report, painters, actions, drawings(options, painters, validation))
    print(table(report), end="")
    return 0


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Discrete actions, and why they fail.")
    parser.add_argument("--work", type=Path, required=True, help="folder for strokes and trainings")
    parser.add_argument("--strokes", type=int, default=20_000, help="for each of the two painters")
    parser.add_argument("--steps", type=int, default=6_000, help="of a painter's training")
    parser.add_argument("--sweep", type=int, default=200, help="strokes that lift and size are swept of")
    parser.add_argument("--targets", default="mnist", help="that the agents draw")
    parser.add_argument("--agent", action="append", choices=AGENTS, help="several; by default all")
    parser.add_argument(
        "--agent-steps", type=int, default=400, help="of an agent; a critic takes five times as many more"
    )
    parser.add_argument("--seeds", type=int, default=3, help="of each agent")
    parser.add_argument("--pictures", type=int, default=256, help="that are held out")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--images", type=Path, default=IMAGES)
    options = parser.parse_args(arguments)
    options.agent = options.agent or list(AGENTS)
    return options


def train_agents(options: argparse.Namespace, data: tuple[Targets, Targets]) -> list[dict[str, Any]]:
    """Of every agent and seed: what became of it, and what it was on the way."""
    rows = []
    for name in options.agent:
        for seed in range(options.seeds):
            config, folder = agent_config(options, name, seed), agent_folder(options, name, seed)
            finish(config, data, folder)
            log = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
            history = [row for row in log if "validation_mse" in row]
            way = {key: [row[f"validation_{key}"] for row in history] for key in ("mse", "lifted", "lift", "ink")}
            way["share of steps"] = [round(row["step"] / config.steps, 3) for row in history]
            end = read(folder / "evaluation.json")
            del end["training_seconds"]
            rows.append({"agent": name, "seed": seed, "end": end, "way": way})
    return rows


def agent_config(options: argparse.Namespace, name: str, seed: int) -> InkConfig:
    space, settings = AGENTS[name]
    turns = InkConfig().critic_steps + 1 if settings.get("adversarial_weight") else 1
    steps = turns * options.agent_steps
    return InkConfig(
        steps=steps,
        seed=seed,
        painter=str(options.work / f"{space}-painter" / "painter.safetensors"),
        warmup_steps=min(100, options.agent_steps // 2),
        # A multiple of the turns that it takes, where the agent has just had its own.
        evaluate_every=max(1, options.agent_steps // 20) * turns,
        evaluate_strokes=32,
        checkpoint_every=100,
        **settings,
    )


def agent_folder(options: argparse.Namespace, name: str, seed: int) -> Path:
    return options.work / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"


def drawings(options: argparse.Namespace, painters: dict[str, NeuralPainter], validation: Targets) -> Shown:
    """A few of the pictures, and what the first agent of each kind makes of them: painted, and executed by MyPaint."""
    target = as_pictures(next(validation.once(DRAWN))[0], torch.device("cpu"))
    rows = {"pictures": target}
    for name in options.agent:
        space, settings = AGENTS[name]
        agent = load_agent(agent_folder(options, name, 0) / "agent.safetensors")
        drawing, actions = draw_ink(agent, InkRenderer(painters[space], settings.get("lift", False)), target)
        # The continuous environment executes what it is told.
        executed = SPACE.quantise(actions) if space == "discrete" else actions
        rows |= {name: drawing.canvas, f"{name}, MyPaint": draw_with_lift(executed) / 255}
    return rows


def blank(validation: Targets) -> float:
    target = torch.cat([pictures for pictures, _ in validation.once(64)])
    return round(float((1 - target.double() / 255).square().mean()), 6)


def table(report: dict[str, Any]) -> str:
    """In Markdown, a line for each kind of agent: means over seeds, and of the share of lifted strokes all."""
    titles = ("agent", "painter's error", "MyPaint's", "after rounding", "ink", "ink in MyPaint", "lifted")
    lines = [f"| {' | '.join(titles)} |", f"|---|{'---:|' * (len(titles) - 1)}"]
    runs: dict[str, list[dict[str, Any]]] = {}
    for run in report["agents"]["runs"]:
        runs.setdefault(run["agent"], []).append(run["end"])
    for name, ends in runs.items():
        mean = {key: statistics.fmean(end[key] for end in ends) for key in ends[0]}
        errors = (f"{mean[key]:.4f}" for key in ("mse", "mypaint_mse", "executed_mse"))
        inks = (f"{mean[key]:.0%}" for key in ("ink", "mypaint_ink"))
        lifted = ", ".join(f"{end['lifted']:.0%}" for end in ends)
        lines.append(f"| {' | '.join((name, *errors, *inks, lifted))} |")
    error = f"{report['agents']['mse of blank paper']:.4f}"
    lines.append(f"| blank paper | {error} | {error} | {error} | 0% | 0% | |")
    return "\n".join(lines) + "\n"


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    raise SystemExit(main())
