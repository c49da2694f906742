"""The script that writes the README's benchmark tables."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "table.py"
_spec = importlib.util.spec_from_file_location("table", SCRIPT)
assert _spec is not None and _spec.loader is not None
table = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(table)


def benchmark(group: str, seconds: float, **extra: Any) -> dict[str, Any]:
    info = {"case": group, "threads": 2, "torch": "2.13.0", "instruction_set": "neon", **extra}
    return {"group": group, "extra_info": info, "stats": {"median": seconds, "data": [seconds]}}


def paint(table: str, seconds: float, **extra: Any) -> dict[str, Any]:
    info = {"table": table, "case": "512x512", "pass": "forward", "backend": "cpp", **extra}
    return benchmark(f"{table}: forward, 512x512", seconds, **info)


def on_gpu(name: str, timed: str, forward: float, backward: float) -> list[dict[str, Any]]:
    info = {"backend": name, "timed": timed}
    return [paint("gpu", seconds, **info, **{"pass": what}) for what, seconds in
            (("forward", forward), ("backward", backward))]  # fmt: skip


def gpu_run() -> dict[str, Any]:
    """A file as pytest-benchmark writes it on a machine with a GPU."""
    benchmarks = [
        *on_gpu("cpp", "replayed", 20e-6, 30e-6),
        *on_gpu("triton", "replayed", 200e-6, 450e-6),
        *on_gpu("cpp", "called", 40e-6, 60e-6),
        *on_gpu("gaussians", "called", 1e-3, 3e-3),
        *on_gpu("plain", "called", 0.1, 0.3),
        paint("host", 33e-6),
        paint("painter", 1.75, steps=300, **{"pass": "the whole command"}),
    ]
    gpu = {"name": "NVIDIA H200", "driver": "580.1", "cuda": "13.0"}
    return {**run(), "machine_info": {**run()["machine_info"], "gpu": gpu}, "benchmarks": benchmarks}


def run() -> dict[str, Any]:
    """A file as pytest-benchmark writes it."""
    benchmarks = [
        paint("share", 0.0123456, gflop=0.142, matmul_gflops=100.0),
        paint("opponents", 0.0123456, peak_mib=12.34),
        paint("opponents", 2.0, backend="plain", peak_mib=1234.5),
        paint("opponents", 0.5, **{"pass": "forward and backward"}, peak_mib=None),
        paint("strokes", 0.5, strokes=10_000, peak_mib=99.0),
        paint("call", 0.00003),
        paint("call", 0.000005, backend="empty"),
        benchmark(
            "painter: 256x256, 5 s", 5.1, case="cat", steps=1234, flat_psnr=18.5, prefix_psnr=24, psnr=29, ssim=0.8
        ),
        benchmark(
            "painter: 256x256, 5 s", 5.2, case="dog", steps=999, flat_psnr=19.5, prefix_psnr=25, psnr=32, ssim=0.9
        ),
        benchmark("painter: 256x256, 300 steps", 9.0, case="both in one batch", steps=300, psnr=28.126),
        benchmark("painter: start", 1.234, case="start"),
    ]
    machine = {"node": "secret", "system": "Linux", "machine": "x86_64", "python_version": "3.11.7"}
    return {
        "machine_info": {**machine, "cpu": {"brand_raw": "A CPU", "count": 4, "flags": ["avx2"]}},
        "commit_info": {"id": "abc", "dirty": False, "branch": "secret"},
        "benchmarks": benchmarks,
        "datetime": "2026-01-01T00:00:00+00:00",
        "version": "5.3.1",
    }


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    (tmp_path / "README.md").write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n", encoding="utf-8")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "cpu.json").write_text(json.dumps(run()), encoding="utf-8")
    return ["--readme", str(tmp_path / "README.md"), "--results", str(tmp_path / "results")]


def test_tables_stand_between_the_markers(tmp_path: Path, arguments: list[str]) -> None:
    assert table.main([*arguments, "--check"]) == 1
    assert table.main(arguments) == 0
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert text.startswith(f"before\n{table.BEGIN}\n") and text.endswith(f"{table.END}\nafter\n")
    assert "old" not in text
    assert "A CPU, 4 cores, neon, 2 threads, torch 2.13.0:" in text
    assert "| 512x512 | forward | cpp | 12.3 | 0.142 | 11.5 | 100 | 11.5 % |" in text
    assert "| 512x512 | forward | cpp | 12.3 | 1.00 | 12.3 |" in text
    assert "| 512x512 | forward | plain PyTorch, the same method | 2,000 | 162 | 1,234.5 |" in text
    assert "| 512x512 | forward and backward | cpp | 500 | 1.00 |  |" in text
    assert "| 512x512 | forward | cpp | 500 | 50.0 | 99.0 |" in text
    assert "| 512x512 | forward | cpp | 30.0 |" in text
    assert "| 512x512 | forward | an empty `autograd.Function` | 5.00 |" in text
    assert "| 5 s | cat | 1,234 | 18.50 | 24.00 | 29.00 | 0.80 |" in text
    assert "| 5 s | **mean** |  | 19.00 | 24.50 | 30.50 | 0.85 |" in text
    assert "| 300 steps | both in one batch | 300 |  |  | 28.13 |  |" in text
    assert "Starting the painter takes 1.23 s: importing" in text
    assert table.main([*arguments, "--check"]) == 0


def test_clean_keeps_the_tables_and_drops_what_is_private(tmp_path: Path, arguments: list[str]) -> None:
    file = tmp_path / "results" / "cpu.json"
    table.main(arguments)
    assert table.main(["--clean", str(file)]) == 0
    assert table.main([*arguments, "--check"]) == 0
    assert not {"secret", "data", "avx2"} & set(file.read_text(encoding="utf-8").replace('"', " ").split())


def test_a_gpu_has_a_table_of_its_own(tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "results" / "h200.json"
    file.write_text(json.dumps(gpu_run()), encoding="utf-8")
    assert table.main(["--clean", str(file)]) == 0
    shown = capsys.readouterr().out
    assert table.main(arguments) == 0
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert text.endswith(f"{shown}\n{table.END}\nafter\n")
    assert "NVIDIA H200, driver 580.1, CUDA 13.0; A CPU, 4 cores, neon, 2 threads, torch 2.13.0:" in shown
    assert "| 512x512 | cpp | replayed | 20.0 | 1.00 | 30.0 | 1.00 |" in shown
    assert "| 512x512 | triton | replayed | 200 | 10.0 | 450 | 15.0 |" in shown
    assert "| 512x512 | cpp | called | 40.0 | 1.00 | 60.0 | 1.00 |" in shown
    assert "| 512x512 | rows of Gaussians | called | 1,000 | 25.0 | 3,000 | 50.0 |" in shown
    assert "| 512x512 | plain PyTorch, the same method | called | 100,000 | 2,500 | 300,000 | 5,000 |" in shown
    assert "| 512x512 | forward | cpp | 33.0 |" in shown
    assert "| 512x512 | the whole command | cpp | 300 | 1.75 |" in shown
    assert table.main([*arguments, "--check"]) == 0


def test_a_gpu_table_has_empty_cells_where_a_run_was_stopped() -> None:
    whole = [*on_gpu("cpp", "replayed", 20e-6, 30e-6), *on_gpu("triton", "replayed", 200e-6, 450e-6)]
    other = [{**row, "extra_info": {**row["extra_info"], "case": "64x64"}} for row in whole]
    first, second = (
        list(table.gpu_table(rows))[1].splitlines()[2:] for rows in (whole[:3], [other[1], *whole, other[2]])
    )
    assert first == [
        "| 512x512 | cpp | replayed | 20.0 | 1.00 | 30.0 | 1.00 |",
        "| 512x512 | triton | replayed | 200 | 10.0 |  |  |",
    ]
    # A scene's rows stand together, and what is missing from the first of them is no measure for the others.
    assert second[:2] == [
        "| 64x64 | cpp | replayed |  |  | 30.0 | 1.00 |",
        "| 64x64 | triton | replayed | 200 |  |  |  |",
    ]


def test_markers_are_required(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "README.md").write_text("no markers", encoding="utf-8")
    with pytest.raises(SystemExit, match="the README must hold"):
        table.main(arguments)


def test_the_readme_shows_the_committed_results() -> None:
    assert table.main(["--check"]) == 0
