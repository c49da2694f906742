"""What every test and benchmark runs under."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import emulated
import hypothesis
import pytest
import torch

# Triton reads this when it is first imported.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

hypothesis.settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("ci")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(autouse=True)
def fixed_seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def deterministic(request: pytest.FixtureRequest) -> Iterator[None]:
    """On the CPU, torch then fills every `empty` with NaN: a kernel that forgets to write an element is caught."""
    if "gpu" in request.keywords:
        yield
        return
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="session")
def compile_emulated(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Compiles a source of tests/emulator with the sanitizers, once, and returns the program."""
    if reason := emulated.why_not():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("emulator")
    return cache(lambda source: emulated.compile_program(source, folder))
