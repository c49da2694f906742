"""Sums of the rows of an array by kernels/exact_sum.py: imported where Triton is present."""

from __future__ import annotations

import numpy as np
import torch
import triton
import triton.language as tl

from neural_paint.kernels import exact_sum

add = exact_sum.add
# Terms of a number that a program adds at a time.
COLUMNS = 16


@triton.jit
def add_rows_kernel(terms, sums, rows, columns, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Add some columns of `terms`, a number a row."""
    row, column = tl.arange(0, ROWS)[:, None], tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    values = tl.load(terms + row * columns + column, (row < rows) & (column < columns), 0.0)
    add(sums, row + tl.zeros((ROWS, COLUMNS), tl.int32), values)


def exact_sums(terms: np.ndarray, seed: int = 0) -> np.ndarray:
    """Another `seed` is another order of the terms."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    ordered = torch.from_numpy(np.random.default_rng(seed).permuted(terms, axis=1)).to(device)
    rows, columns = terms.shape
    sums = exact_sum.zeros(ordered, (rows,), exact=True)
    programs, block = -(-columns // COLUMNS), triton.next_power_of_2(rows)
    add_rows_kernel[(programs,)](ordered, sums, rows, columns, ROWS=block, COLUMNS=COLUMNS)
    return exact_sum.totals(sums).cpu().numpy()
