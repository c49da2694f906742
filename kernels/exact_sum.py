"""Sums to which many programs add by atomics, in Triton: of floats, or such that their last bits do not depend on the
order of the terms either.

The second kind is that of csrc/cuda/exact_sum.cuh: a number is a whole multiple of the least float, as wide as floats
reach, in digits of 32 bits that are added to as 64-bit integers. Nothing is rounded before the end. The digits of a
number lie side by side, as the one or two that a term is added to are then in one sector of memory; after them comes
how many terms were not finite. A digit holds what 2^30 terms may add to it.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .scene import LAUNCH

# From 2^-149 up to the largest float and beyond.
DIGITS = tl.constexpr(9)
# The digits of a number, and its terms that were not finite.
WORDS = tl.constexpr(10)

# Numbers that a program rounds.
_BLOCK = 128


@triton.jit
def add(sums, number, terms):
    """Add float32 terms to the numbers of `sums` that `number` counts: digits if they are int64. A term of 0 touches
    no memory, so that its number may be any."""
    if sums.dtype.element_ty == tl.int64:
        bits = terms.to(tl.int32, bitcast=True)
        exponent = (bits >> 23) & 255
        finite = exponent < 255
        normal = (exponent > 0).to(tl.int32)
        # |term| = whole * 2^(place - 149)
        whole, place = ((bits & 0x7FFFFF) | (normal << 23)).to(tl.int64), exponent - normal
        part = tl.where(finite, whole << (place % 32), 1)
        low, high = part & 0xFFFFFFFF, part >> 32
        sign = tl.where(finite & (bits < 0), -1, 1)
        to = sums + number * WORDS + tl.where(finite, place // 32, DIGITS)
        tl.atomic_add(to, sign * low, low > 0, sem="relaxed")
        tl.atomic_add(to + 1, sign * high, high > 0, sem="relaxed")
    else:
        tl.atomic_add(sums + number, terms, terms != 0.0, sem="relaxed")


@triton.jit
def round_kernel(sums, rounded, numbers, BLOCK: tl.constexpr):
    """float32 of what was added to the digits, within one unit in the last place; NaN if some term was not finite."""
    number = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    there = number < numbers
    digits = sums + number * WORDS
    carry = tl.zeros((BLOCK,), tl.int64)
    for i in tl.static_range(DIGITS):
        carry = (tl.load(digits + i, there, 0) + carry) >> 32
    # The same once more, of the absolute value: nothing cancels, and float64 adds up what is left of each digit.
    sign = tl.where(carry < 0, -1, 1)
    carry = tl.zeros((BLOCK,), tl.int64)
    total, unit = tl.zeros((BLOCK,), tl.float64), tl.full((BLOCK,), 2.0**-149, tl.float64)
    for i in tl.static_range(DIGITS):
        digit = sign * tl.load(digits + i, there, 0) + carry
        carry = digit >> 32
        total += (digit - (carry << 32)).to(tl.float64) * unit
        unit *= 4294967296.0
    total = sign * (total + carry.to(tl.float64) * unit)
    finite = tl.load(digits + DIGITS, there, 0) == 0
    tl.store(rounded + number, tl.where(finite, total.to(tl.float32), float("nan")), there)


def zeros(like: Tensor, shape: tuple[int, ...], exact: bool) -> Tensor:
    """What `add` begins with, for numbers of that shape."""
    return like.new_zeros((*shape, WORDS.value), dtype=torch.int64) if exact else like.new_zeros(shape)


def totals(sums: Tensor) -> Tensor:
    """What was added, on the current device."""
    if sums.dtype != torch.int64:
        return sums
    rounded = sums.new_empty(sums.shape[:-1], dtype=torch.float32)
    if numbers := rounded.numel():
        round_kernel[(-(-numbers // _BLOCK),)](sums, rounded, numbers, BLOCK=_BLOCK, **LAUNCH)
    return rounded
