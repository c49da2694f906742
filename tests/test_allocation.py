"""Memory that a program keeps for its next step."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import platform, resource, sys, torch
from neural_paint.allocation import keep_freed_memory

if "keep" in sys.argv:
    keep_freed_memory()
faults = []
for _ in range(8):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step = [torch.ones(1 << 20) for _ in range(16)]
    del step
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(platform.libc_ver()[0], sum(faults[4:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc")
def test_a_program_that_keeps_memory_does_not_fetch_it_again() -> None:
    def run(*arguments: str) -> tuple[str, int]:
        command = [sys.executable, "-c", PROGRAM, *arguments]
        libc, faults = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(" ")
        return libc, int(faults)

    (libc, plain), (_, kept) = run(), run("keep")
    if libc != "glibc":
        pytest.skip("of glibc")
    assert kept < plain / 4
