"""What a program of its own may ask of the allocator, and a library may not."""

from __future__ import annotations

import ctypes
import sys

# Of glibc's mallopt: when memory at the end of the heap goes back, and what is a mapping of its own.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
# The most that it takes.
_NEVER, _LARGEST = 2**31 - 1, 32 << 20


def keep_freed_memory() -> None:
    """Have this process keep the memory that it frees, up to 2 GiB, as each step of an optimisation wants it again: to
    get it from the system, page by page, costs up to a third of a step. On Linux with glibc; elsewhere nothing."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST)
        mallopt(_TRIM_THRESHOLD, _NEVER)
