"""What the benchmarks share: their conditions, the peak of memory while something runs, a matrix product's rate."""

from __future__ import annotations

import ctypes
import gc
import signal
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from neural_paint import backends

# Side of the matrices: the product is too large for a cache and takes a tenth of a second.
SIDE = 2048


def pytest_sessionstart(session: pytest.Session) -> None:
    """A run that is told to stop, as by timeout(1), ends with the row in hand: results are only written at the end."""

    def stop(*_: object) -> None:
        session.shouldstop = "out of time"

    signal.signal(signal.SIGTERM, stop)


def _status(field: str) -> float:
    """A memory field of this process in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise KeyError(field)


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Name the GPU, for table.py."""
    if torch.cuda.is_available():
        machine_info["gpu"] = {"name": torch.cuda.get_device_name(), "driver": _driver(), "cuda": torch.version.cuda}


def _driver() -> str:
    """The driver's version; without nvidia-smi unknown, which is no reason to lose a run."""
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


@pytest.fixture(autouse=True)
def conditions(benchmark: BenchmarkFixture) -> None:
    """What every result was measured with."""
    benchmark.extra_info.update(
        threads=torch.get_num_threads(), torch=torch.__version__, instruction_set=backends.instruction_set()
    )


@pytest.fixture
def peak_memory() -> Callable[[Callable[[], object]], float | None]:
    """Run a function and return by how many MiB its peak of resident memory exceeds what there was; None off Linux."""

    def measure(function: Callable[[], object]) -> float | None:
        reset = Path("/proc/self/clear_refs")
        if not reset.exists():
            return None
        # What the allocator keeps of earlier runs would be used again without being counted.
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        before = _status("VmRSS")
        reset.write_text("5")
        function()
        return round(max(0.0, _status("VmHWM") - before), 1)

    return measure


@pytest.fixture(scope="session")
def matmul_rate() -> float:
    """Floating-point operations a second in a float32 matrix product, now: the median of 9."""
    a, b = torch.rand(2, SIDE, SIDE)
    times = []
    for _ in range(10):
        begun = time.perf_counter()
        torch.mm(a, b)
        times.append(time.perf_counter() - begun)
    return 2 * SIDE**3 / statistics.median(times[1:])
