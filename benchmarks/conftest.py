"""What the benchmarks share: the peak of memory while something runs."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path

import pytest


def _status(field: str) -> float:
    """A memory field of this process in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise KeyError(field)


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
