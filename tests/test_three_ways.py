"""The comparison of three ways to learn to draw, in small."""

import itertools
import json
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import three_ways
import torch
from PIL import Image
from three_ways_report import plot, table
from torch import Tensor
from ways_of_learning import RENDERERS, WITHOUT_GRADIENTS, Run, drawing_error, learn

from neural_paint import mypaint

SMALL = {"width": 4, "blocks": 0, "hidden": 8}
WAYS = [way for way in RENDERERS if mypaint.available() or way != "ppo-mypaint"]
TINY = Run("fused", 0, seconds=0.5, strokes=2, pictures=6, in_mypaint=3, looks=3, agent=SMALL)


class Bars:
    """White pictures with a black bar down, somewhere."""

    def batches(self, batch_size: int, *, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(seed)
        while True:
            place = torch.randint(56, (batch_size, 1), generator=generator)
            inside = (torch.arange(64) >= place) & (torch.arange(64) < place + 8)
            pictures = 255 * (~inside).byte()[:, None, None].expand(-1, 3, 64, -1)
            yield pictures.contiguous(), torch.zeros(batch_size, dtype=torch.int64)

    def __len__(self) -> int:
        return 6

    def once(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        yield next(self.batches(len(self), seed=9))


def result(way: str, seed: int, errors: list[float], in_mypaint: list[float] | None = None) -> dict[str, Any]:
    looks = [
        {"mark": 10.0 * n, "seconds": 10.0 * n + seed, "iterations": n, "drawings": 32 * n, "mse": error}
        for n, error in enumerate(errors, 1)
    ]
    for place, look in enumerate(looks):
        look["mypaint_mse"] = in_mypaint[place] if in_mypaint else None
    return {**asdict(replace(TINY, way=way, seed=seed)), "blank": 0.1, "targets": "", "records": looks}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """An iteration takes a second."""
    ticks = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("clock")
def test_every_way_learns_and_is_looked_at(way: str) -> None:
    records = learn(replace(TINY, way=way, seconds=4.0, looks=4), Bars(), Bars())
    # Marks: 0.04, 0.19, 0.86 and 4 seconds.
    assert [look["mark"] for look in records] == pytest.approx([0.04 * 100 ** (2 / 3), 4])
    assert [(look["seconds"], look["iterations"]) for look in records] == [(1, 1), (4, 4)]
    assert [look["drawings"] for look in records] == ([64, 256] if way in WITHOUT_GRADIENTS else [32, 128])
    for look in records:
        assert set(look) == {"mark", "seconds", "iterations", "drawings", "mse", "mypaint_mse"}
        assert 0 < look["mse"] < 1
        assert (look["mypaint_mse"] is not None) == mypaint.available()


@pytest.mark.usefixtures("clock")
def test_gradients_lower_the_error() -> None:
    errors = [look["mse"] for look in learn(replace(TINY, seconds=150.0, looks=6), Bars(), Bars())]
    assert errors[-1] < errors[0] - 0.005


def test_error_feels_ink_from_afar() -> None:
    target, near, far = (torch.ones(1, 3, 64, 64) for _ in range(3))
    for picture, left in ((target, 0), (near, 8), (far, 48)):
        picture[..., left : left + 8] = 0
    assert drawing_error(target, target) == 0
    assert drawing_error(near, target) < drawing_error(far, target)
    # Squares of 2, 4 and 8 pixels see what one pixel does; those of 16 pixels see half of each bar.
    assert drawing_error(far, target).item() == pytest.approx(0.25 * (1 + 2 + 4 + 8) + 16 * 0.125)


def test_finished_runs_are_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    executed = []

    def execute(run: Run) -> dict[str, Any]:
        executed.append((run.way, run.seed))
        if run.way == "neural" and len(executed) < 3:
            raise subprocess.CalledProcessError(1, "python")
        return {**result(run.way, run.seed, [0.08, 0.04]), **asdict(run)}

    monkeypatch.setattr(three_ways, "_execute", execute)
    arguments = ["--results", str(tmp_path / "new" / "r.json"), "--ways", "neural", "fused", "--seeds", "1"]
    with pytest.raises(subprocess.CalledProcessError):
        three_ways.main([*arguments[:2], "--ways", "fused", "neural", "--seeds", "1"])
    assert executed == [("fused", 0), ("neural", 0)]
    three_ways.main([*arguments[:-1], "2"])
    assert executed[2:] == [("neural", 0), ("neural", 1), ("fused", 1)]
    capsys.readouterr()
    three_ways.main([*arguments[:-1], "2", "--plot", str(tmp_path / "plot.png")])
    assert len(executed) == 5
    document = json.loads((tmp_path / "new" / "r.json").read_text())
    assert [(run["way"], run["seed"]) for run in document["runs"]] == [
        ("fused", 0),
        ("fused", 1),
        ("neural", 0),
        ("neural", 1),
    ]
    assert capsys.readouterr().out == table(document["runs"])
    with pytest.raises(SystemExit, match=r"r.json has runs with seconds = 300.0, not 60.0: name another file"):
        three_ways.main([*arguments, "--seconds", "60"])


def test_table() -> None:
    runs = [
        result("ppo", 0, [0.09, 0.08]),
        result("fused", 0, [0.06, 0.04, 0.021], [0.07, 0.05, 0.03]),
        result("fused", 1, [0.045, 0.029, 0.025], [0.06, 0.04, 0.04]),
    ]
    assert table(runs).splitlines() == [
        "| way | seeds | drawings | best MSE | in MyPaint | s to 0.07 | s to 0.05 | s to 0.03 | s to 0.02 |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| through the fused renderer | 2 | 96 | 0.0230 (0.0210 to 0.0250) | 0.0350 (0.0300 to 0.0400) "
        "| 10.5 | 15.5 | 25.5 | never |",
        "| PPO, fused renderer | 1 | 64 | 0.0800 |  | never | never | never | never |",
    ]
    assert "| 10.0 (1 of 2) |" in table([result("ppo", 0, [0.04]), result("ppo", 1, [0.06])])


def test_plot(tmp_path: Path) -> None:
    runs = [
        result("fused", 0, [0.06, 0.04, 0.02], [0.07, 0.05, 0.03]),
        result("fused", 1, [0.05, 0.03, 0.01], [0.06, 0.04, 0.02]),
        result("ppo", 0, [0.09, 0.08]),
    ]
    plot(runs, tmp_path / "new" / "plot.png")
    with Image.open(tmp_path / "new" / "plot.png") as image:
        assert image.size == (1200, 750)
        assert len(image.convert("RGB").getcolors(2**20) or ()) > 10


def test_all_of_it(tmp_path: Path, capsys: Any) -> None:
    for name, count in (("train", 64), ("t10k", 8)):
        bars = next(Bars().batches(count, seed=count))[0][:, 0]
        pixels = (255 - bars).contiguous().numpy().tobytes()
        (tmp_path / f"{name}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 0x803, count, 64, 64) + pixels)
        (tmp_path / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, count) + bytes(count))
    results = tmp_path / "results.json"
    options = {
        "data": tmp_path,
        "seconds": 0.5,
        "seeds": 1,
        "strokes": 2,
        "pictures": 6,
        "in-mypaint": 3,
        "looks": 2,
        "jobs": 2,
        "agent": json.dumps(SMALL),
        "results": results,
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    assert three_ways.main([*arguments, "--ways", *WAYS]) == 0
    runs = json.loads(results.read_text())["runs"]
    assert [run["way"] for run in runs] == WAYS
    assert all(run["blank"] == pytest.approx(0.125) and run["records"] for run in runs)
    assert len({run["targets"] for run in runs}) == 1
    assert capsys.readouterr().out == table(runs)
