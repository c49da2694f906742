"""Memory that a program keeps for its next step."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import platform, resource, sys, torch
from neural_paint.allocation import keep_freed_memory


def mapped():
    with open("/proc/self/statm") as pages:
        return int(pages.read().split()[0]) * resource.getpagesize()


if "keep" in sys.argv:
    keep_freed_memory()
released = 0
for _ in range(4):
    step = [torch.ones(4 << 20) for _ in range(16)]
    released += mapped()
    del step
    released -= mapped()
print(platform.libc_ver()[0], released)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc")
def test_a_program_that_keeps_memory_does_not_give_it_back() -> None:
    def run(*arguments: str) -> tuple[str, int]:
        command = [sys.executable, "-c", PROGRAM, *arguments]
        libc, released = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(" ")
        return libc, int(released)

    (libc, plain), (_, kept) = run(), run("keep")
    if libc != "glibc":
        pytest.skip("of glibc")
    assert plain >= 128 << 20
    assert kept < 4 << 20
