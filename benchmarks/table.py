"""Writes the README's benchmark tables from the files that pytest-benchmark left in benchmarks/results.

python -m pytest benchmarks --benchmark-json benchmarks/results/MACHINE.json
python benchmarks/table.py --clean benchmarks/results/MACHINE.json
python benchmarks/table.py
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- benchmarks:begin -->", "<!-- benchmarks:end -->"

Benchmark = dict[str, Any]
# By the head of the column, what its cells hold.
Columns = dict[str, Callable[[Benchmark], str]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite the tables; with --check, return 1 where the README is not what the results say."""
    parser = argparse.ArgumentParser(description="Write the README's benchmark tables from benchmarks/results/*.json.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the README is stale")
    parser.add_argument("--clean", type=Path, metavar="FILE", help="only strip FILE of what is private, and show it")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args(arguments)
    if options.clean:
        run = clean(json.loads(options.clean.read_text(encoding="utf-8")))
        options.clean.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
        print(run_tables(run))
        return 0
    before = options.readme.read_text(encoding="utf-8")
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(options.results.glob("*.json"))]
    after = with_tables(before, "\n\n".join(map(run_tables, runs)))
    if options.check:
        if after != before:
            print(f"{options.readme} must show the results as they are: run python benchmarks/table.py")
        return int(after != before)
    if after != before:
        options.readme.write_text(after, encoding="utf-8")
    return 0


def with_tables(readme: str, tables: str) -> str:
    """The README with `tables` between the two markers."""
    between = re.compile(f"(?<={re.escape(BEGIN)}\n).*?(?={re.escape(END)})", re.DOTALL)
    if len(between.findall(readme)) != 1:
        raise SystemExit(f"the README must hold {BEGIN} and then {END}, once, each on a line of its own")
    return between.sub(lambda _: f"\n{tables}\n\n" if tables else "", readme)


def clean(run: dict[str, Any]) -> dict[str, Any]:
    """One run without the host's name, its kernel, the branch, and the time of every round."""
    machine, commit = run["machine_info"], run.get("commit_info", {})
    for benchmark in run["benchmarks"]:
        benchmark["stats"].pop("data", None)
    return {
        "machine_info": {
            **{key: machine[key] for key in ("system", "machine", "python_version")},
            "cpu": {key: machine["cpu"].get(key) for key in ("brand_raw", "count")},
            **{key: machine[key] for key in ("gpu",) if key in machine},
        },
        "commit_info": {key: commit.get(key) for key in ("id", "dirty")},
        **{key: run[key] for key in ("benchmarks", "datetime", "version")},
    }


def run_tables(run: dict[str, Any]) -> str:
    """One run as Markdown: the machine, then a table of each kind of benchmark."""
    painters = [b for b in run["benchmarks"] if "psnr" in b["extra_info"]]
    starts = [b for b in run["benchmarks"] if b["extra_info"]["case"] == "start"]
    operators = [*gpu_table(run["benchmarks"]), *operator_tables(run["benchmarks"])]
    tables = [*operators, painter_table(painters), start_line(starts)]
    return "\n\n".join([machine_line(run), *filter(None, tables)])


def machine_line(run: dict[str, Any]) -> str:
    cpu, gpu = run["machine_info"]["cpu"], run["machine_info"].get("gpu")
    versions = {
        "{instruction_set}, {threads} threads, torch {torch}".format(**b["extra_info"]) for b in run["benchmarks"]
    }
    first = "{name}, driver {driver}, CUDA {cuda}; ".format(**gpu) if gpu else ""
    return f"{first}{cpu['brand_raw']}, {cpu['count']} cores, {' and '.join(sorted(versions))}:"


def operator_tables(benchmarks: list[Benchmark]) -> Iterable[str]:
    """What each table shows, and the table; bench_paint.py notes which one a benchmark is a row of."""
    for name, (title, extra_columns) in OPERATOR_TABLES.items():
        chosen = [b for b in benchmarks if b["extra_info"].get("table") == name]
        if not chosen:
            continue
        columns = extra_columns(chosen)
        rows = [[*scene(b), *(column(b) for column in columns.values())] for b in chosen]
        yield title
        yield markdown(["scene", "pass", "implementation", *columns], rows, numeric=len(columns))


def scene(benchmark: Benchmark) -> list[str]:
    info = benchmark["extra_info"]
    return [info["case"], info["pass"], IMPLEMENTATIONS.get(info["backend"], info["backend"])]


def share_columns(_: list[Benchmark]) -> Columns:
    return {
        "ms": milliseconds,
        "GFLOP": lambda b: number(b["extra_info"]["gflop"]),
        "GFLOP/s": lambda b: number(rate(b)),
        "matrix product, GFLOP/s": lambda b: number(b["extra_info"]["matmul_gflops"]),
        "share": lambda b: f"{100 * rate(b) / b['extra_info']['matmul_gflops']:.1f} %",
    }


def opponents_columns(benchmarks: list[Benchmark]) -> Columns:
    def work(benchmark: Benchmark) -> tuple[str, str]:
        return benchmark["extra_info"]["case"], benchmark["extra_info"]["pass"]

    fastest: dict[tuple[str, str], float] = {}
    for benchmark in benchmarks:
        fastest[work(benchmark)] = min(median(benchmark), fastest.get(work(benchmark), math.inf))
    return {
        "ms": milliseconds,
        "times the fastest": lambda b: number(median(b) / fastest[work(b)]),
        "peak MiB": peak,
    }


def strokes_columns(_: list[Benchmark]) -> Columns:
    return {
        "ms": milliseconds,
        "µs a stroke": lambda b: number(1e6 * median(b) / b["extra_info"]["strokes"]),
        "peak MiB": peak,
    }


def rate_columns(_: list[Benchmark]) -> Columns:
    return {"strokes a second": lambda b: number(b["extra_info"]["strokes"] / median(b))}


def part_columns(_: list[Benchmark]) -> Columns:
    return {"ms": milliseconds, "peak MiB": peak}


def call_columns(_: list[Benchmark]) -> Columns:
    return {"µs": lambda b: microseconds(median(b))}


def painter_columns(_: list[Benchmark]) -> Columns:
    return {"steps": lambda b: str(b["extra_info"]["steps"]), "s": lambda b: number(median(b))}


OPERATOR_TABLES: dict[str, tuple[str, Callable[[list[Benchmark]], Columns]]] = {
    "share": ("How near to the limit, for which a float32 matrix product in the same run stands:", share_columns),
    "opponents": ("Next to plain PyTorch:", opponents_columns),
    "strokes": ("More and more strokes:", strokes_columns),
    "patches": ("`composite_patches`, pictures given:", opponents_columns),
    "vectors": ("`decode_strokes`, 10,000 vectors:", opponents_columns),
    "stroke mask": ("`stroke_mask` of the logits of a painter:", opponents_columns),
    "neural canvas": ("A step with a GAN painter, the decoder in one call:", opponents_columns),
    "stylize": ("Intrinsic style transfer next to the published loop:", opponents_columns),
    "stylize parts": ("What a step of that is made of:", part_columns),
    "agents": ("Agents that learn to draw, and that draw:", opponents_columns),
    "painters": ("Neural painters, 64 strokes at a time:", rate_columns),
    "mypaint": ("The real MyPaint, `mypaint.paint_actions`:", rate_columns),
    "stroke data": ("Strokes of MyPaint, made and read for training:", strokes_columns),
    "call": ("A call with next to nothing to paint:", call_columns),
    "host": ("How long such a call keeps the host, which does not wait for the GPU:", call_columns),
    "painter": ("The photograph painter, `neural-paint paint --device cuda`:", painter_columns),
}
IMPLEMENTATIONS = {
    "plain": "plain PyTorch, the same method",
    "reference": "plain PyTorch, the reference",
    "empty": "an empty `autograd.Function`",
    "gaussians": "rows of Gaussians",
    "loop": "the published loop",
    "decoder": "the painter's network alone",
}
GPU_PASSES = ("forward", "backward")


def gpu_table(benchmarks: list[Benchmark]) -> Iterable[str]:
    """Both passes of an implementation in one row, next to the scene's first that was timed in the same way; the rows
    of a scene together, in whatever order they were timed."""
    seconds: dict[tuple[str, ...], dict[str, float]] = {}
    for benchmark in benchmarks:
        info = benchmark["extra_info"]
        if info.get("table") == "gpu":
            case, what, name = scene(benchmark)
            seconds.setdefault((case, name, info["timed"]), {})[what] = median(benchmark)
    cases, timings = ([*dict.fromkeys(key[place] for key in seconds)] for place in (0, 2))
    first: dict[tuple[str, ...], dict[str, float]] = {}
    rows = []
    for case, name, timed in sorted(seconds, key=lambda key: (cases.index(key[0]), timings.index(key[2]))):
        passes = seconds[case, name, timed]
        best = first.setdefault((case, timed), passes)
        rows.append([case, name, timed, *(cell for what in GPU_PASSES for cell in pass_cells(what, passes, best))])
    if rows:
        yield "On the GPU, with the times next to the first of the scene that was timed in the same way:"
        heads = [head for what in GPU_PASSES for head in (f"{what}, µs", "times the first")]
        yield markdown(["scene", "implementation", "timed", *heads], rows, numeric=len(heads))


def pass_cells(what: str, passes: dict[str, float], best: dict[str, float]) -> tuple[str, str]:
    """The time of a pass and how many times that of `best` it is, each empty where it was not measured."""
    if what not in passes:
        return "", ""
    return microseconds(passes[what]), number(passes[what] / best[what]) if what in best else ""


def painter_table(benchmarks: list[Benchmark]) -> str:
    """The paintings of each budget, and what they are worth in the mean."""
    columns = {"mean colour, dB": "flat_psnr", "prefixes, dB": "prefix_psnr", "PSNR, dB": "psnr", "SSIM": "ssim"}
    if any("mypaint_psnr" in benchmark["extra_info"] for benchmark in benchmarks):
        columns["in MyPaint, dB"] = "mypaint_psnr"
    rows = []
    for group, members in groupby(benchmarks, key=lambda b: b["group"]):
        paintings = [benchmark["extra_info"] for benchmark in members]
        budget = group.split(", ", 1)[-1]
        for painting in paintings:
            values = [decibels(painting.get(key)) for key in columns.values()]
            rows.append([budget, painting["case"], f"{painting['steps']:,}", *values])
        if len(paintings) > 1:
            means = [decibels(mean(painting.get(key) for painting in paintings)) for key in columns.values()]
            rows.append([budget, "**mean**", "", *means])
    return markdown(["painter", "photograph", "steps", *columns], rows, numeric=1 + len(columns))


def mean(values: Iterable[float | None]) -> float | None:
    """Of what was measured."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def start_line(benchmarks: list[Benchmark]) -> str:
    """How long a new process takes before it paints."""
    return "".join(
        f"Starting the painter takes {number(median(b))} s: importing, and a first step." for b in benchmarks
    )


def decibels(value: float | None) -> str:
    """A score to hundredths, empty where it was not measured."""
    return "" if value is None else f"{value:.2f}"


def median(benchmark: Benchmark) -> float:
    return float(benchmark["stats"]["median"])


def microseconds(seconds: float) -> str:
    return number(1e6 * seconds)


def milliseconds(benchmark: Benchmark) -> str:
    return number(1000 * median(benchmark))


def rate(benchmark: Benchmark) -> float:
    """GFLOP/s, by the operations that the scene must take."""
    return float(benchmark["extra_info"]["gflop"]) / median(benchmark)


def peak(benchmark: Benchmark) -> str:
    """The peak of memory, empty where it was not measured."""
    mebibytes = benchmark["extra_info"].get("peak_mib")
    return "" if mebibytes is None else f"{mebibytes:,.1f}"


def number(value: float) -> str:
    """Three significant digits, without an exponent."""
    decimals = 2 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:,.{max(decimals, 0)}f}"


def markdown(header: list[str], rows: Iterable[list[str]], *, numeric: int) -> str:
    """A table whose last `numeric` columns are aligned to the right; empty without rows."""
    lines = [" | ".join(row) for row in rows]
    if not lines:
        return ""
    rule = ["---"] * (len(header) - numeric) + ["---:"] * numeric
    return "\n".join(f"| {line} |" for line in (" | ".join(header), " | ".join(rule), *lines))


if __name__ == "__main__":
    raise SystemExit(main())
