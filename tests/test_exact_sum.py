"""Sums of floating-point numbers that do not depend on their order: csrc/cuda/exact_sum.cuh, kernels/exact_sum.py."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from pathlib import Path

import emulated
import numpy as np
import pytest

Sums = Callable[..., np.ndarray]


@pytest.fixture(params=["cuda-float32", "cuda-float64", "triton-float32"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def dtype(kind: str) -> type[np.floating]:
    return np.float64 if kind.endswith("64") else np.float32


@pytest.fixture
def exact_sums(kind: str, compile_emulated: Callable[..., Path], tmp_path: Path) -> Sums:
    """exact_sums(terms, seed=0): the sums of rows; another `seed` is another order of the terms."""
    if kind.startswith("triton"):
        pytest.importorskip("triton")
        return importlib.import_module("triton_exact_sum").exact_sums

    def exact_sums(terms: np.ndarray, seed: int = 0) -> np.ndarray:
        program = compile_emulated("exact_sum.cpp", "memory")
        is_double = np.array([terms.dtype == np.float64], np.uint8)
        return emulated.run_with_arrays(program, tmp_path, seed, terms=terms, is_double=is_double)["sums"]

    return exact_sums


def test_of_random_bits(exact_sums: Sums, dtype: type[np.floating]) -> None:
    """Numbers of all sizes, so that most are lost in a plain sum; those that are nearly infinite left out."""
    random = np.random.default_rng(0)
    size = np.dtype(dtype).itemsize
    terms = random.integers(0, 256, (40, 100 * size), np.uint8).view(dtype).copy()
    terms[~(np.abs(terms) < np.finfo(dtype).max / 256)] = 0
    expected = np.array([math.fsum(row) for row in terms.astype(np.float64)])
    first, *others = (exact_sums(terms, seed) for seed in range(3))
    np.testing.assert_allclose(first, expected.astype(dtype), rtol=np.finfo(dtype).eps, atol=0)
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_of_what_cancels(exact_sums: Sums, dtype: type[np.floating]) -> None:
    """What is left is a ten billionth of the terms, or nothing, or the least number there is."""
    random = np.random.default_rng(0)
    large = random.standard_normal((3, 300)).astype(dtype) * dtype(2.0**60)
    small = np.zeros((3, 1), dtype)
    small[0], small[2] = -1.25, np.finfo(dtype).smallest_subnormal
    terms = random.permuted(np.hstack([large, -large, small]), axis=1)
    np.testing.assert_array_equal(exact_sums(terms), small[:, 0])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_of_many_of_the_largest(exact_sums: Sums, dtype: type[np.floating]) -> None:
    largest = np.finfo(dtype).max
    terms = np.array([[largest] * 1000 + [-largest] * 999, [-largest] * 999 + [largest] * 1000])
    np.testing.assert_array_equal(exact_sums(terms), [largest, largest])
    np.testing.assert_array_equal(exact_sums(np.full((1, 1000), -largest)), [-np.inf])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_of_what_is_not_finite(exact_sums: Sums, dtype: type[np.floating], value: float) -> None:
    terms = np.ones((3, 5), dtype)
    terms[1, 3], terms[2, :2] = value, (value, -value)
    np.testing.assert_array_equal(exact_sums(terms), np.array([5, np.nan, np.nan], dtype))
