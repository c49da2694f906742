"""The emulator of a CUDA block, under which kernel bodies run with the sanitizers of the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import emulated
import numpy as np
import pytest

RIGHT = ["sums", "collectives", "warps_apart", "barriers", "atomics"]


@pytest.fixture
def self_test(compile_emulated: Callable[..., Path]) -> Path:
    return compile_emulated("self_test.cpp")


@pytest.fixture
def race_test(compile_emulated: Callable[..., Path]) -> Path:
    return compile_emulated("self_test.cpp", "races")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("case", RIGHT)
def test_runs_threads_as_a_gpu_does(self_test: Path, case: str, seed: int) -> None:
    done = emulated.run_program(self_test, case, seed=seed)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("case", "messages"),
    [
        ("diverged_lanes", ["block 0: divergence, lanes of a warp", "in ballot at ", "in shuffle at "]),
        ("diverged_lines", ["block 0: divergence, lanes of a warp", "thread 9 in ballot at "]),
        ("diverged_warps", ["divergence, warps of a block", "in sync at ", "in sync_or at "]),
        ("barrier_in_one_lane", ["divergence, lanes of a warp", "thread 40 in sync at ", "in ballot at "]),
        ("returned_lane", ["deadlock, thread 17 returned while thread ", "waits in sync_warp at "]),
        ("returned_warp", ["deadlock, thread ", " returned while thread ", "waits in sync at "]),
        ("shared_overrun", ["AddressSanitizer: heap-buffer-overflow", "self_test.cpp"]),
        ("stack_overrun", ["AddressSanitizer: stack-buffer-overflow", "self_test.cpp"]),
        ("overflow", ["runtime error: signed integer overflow"]),
        ("bad_lane", ["shuffle at ", "the lane or mask must be in [0, 32), got 32"]),
        ("bad_threads", ["threads must be a positive multiple of 32, got 33"]),
    ],
)
def test_stops_where_a_gpu_would_go_astray(self_test: Path, case: str, messages: list[str], seed: int) -> None:
    done = emulated.run_program(self_test, case, seed=seed)
    assert done.returncode != 0
    for message in messages:
        assert message in done.stderr


def test_other_orders_show_a_missing_barrier(self_test: Path) -> None:
    assert emulated.run_program(self_test, "missing_barrier", seed=0).returncode == 0
    assert emulated.run_program(self_test, "missing_barrier", seed=1).returncode == 1


@pytest.mark.parametrize("case", RIGHT)
def test_finds_no_race_where_barriers_are_right(race_test: Path, case: str) -> None:
    done = emulated.run_program(race_test, case)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "case", ["missing_barrier", "ballot_for_barrier", "early_overwrite", "blocks_in_one_place", "atomic_and_not"]
)
def test_finds_races(race_test: Path, case: str) -> None:
    done = emulated.run_program(race_test, case)
    assert done.returncode == emulated.RACE
    assert "ThreadSanitizer: data race" in done.stderr


def test_arrays(self_test: Path, tmp_path: Path) -> None:
    arrays = {
        "points": np.arange(6, dtype=np.float32).reshape(3, 2),
        "ids": np.array([[-1, 1 << 40]]),
        "scale": np.array(0.1),
        "empty": np.zeros((0, 4), np.uint8),
    }
    returned = emulated.run_with_arrays(self_test, tmp_path, **arrays)
    np.testing.assert_array_equal(returned.pop("unwritten"), np.full(2, -1, np.int32), strict=True)
    arrays["points"] = 2 * arrays["points"]
    assert returned.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(returned[name], array, strict=True)
