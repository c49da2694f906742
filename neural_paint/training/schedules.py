"""Numbers that change in the course of training."""

from __future__ import annotations

import math
from collections.abc import Sequence


def piecewise(step: int, values: Sequence[float], boundaries: Sequence[int]) -> float:
    """values[0] in the first boundaries[0] steps, values[1] up to boundaries[1], and so on; steps count from 0."""
    return values[sum(step >= boundary for boundary in boundaries)]


def cosine(step: int, steps: int, peak: float, warmup: int = 0, last: float = 0.0) -> float:
    """Up to `peak` in a straight line in `warmup` steps, then as half a cosine down to `last` at step `steps`."""
    if step < warmup:
        return peak * (step + 1) / warmup
    share = (step - warmup) / max(steps - warmup, 1)
    return last + (peak - last) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
