"""What every test and benchmark runs under."""

from __future__ import annotations

import os
import signal
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

from neural_paint import _C, backends

# A shell that runs the tests in the background has them ignore Ctrl-C, which tests send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

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


@pytest.fixture
def deterministic_on_a_gpu() -> Iterator[None]:
    """There, torch then refuses what it has no deterministic implementation of."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def opcheck() -> Callable[..., object]:
    """`torch.library.opcheck`, which torch leaves a package for that it does not bring along."""
    pytest.importorskip("expecttest")
    return torch.library.opcheck


@pytest.fixture(params=_C.instruction_sets.split(","))
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each path of the CPU kernels that this machine can run."""
    use = torch.ops.neural_paint.use_instruction_set
    best = use(-1)
    level = _C.instruction_sets.split(",").index(request.param)
    if level > best:
        pytest.skip(f"this CPU has no {request.param}")
    assert use(level) == level
    assert backends.instruction_set() == request.param
    yield request.param
    assert use(best) == best


@pytest.fixture(scope="session")
def compile_emulated(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """compile_emulated(source, finds="memory"): the program of a source in tests/emulator, compiled once, with the
    sanitizers that find faults in memory, or with the one that finds "races"; skips where there are none."""
    folder = tmp_path_factory.mktemp("emulator")
    why_not = cache(lambda finds: emulated.why_not(finds, folder))
    compile_once = cache(lambda source, finds: emulated.compile_program(source, finds, folder))

    def compile_emulated(source: str, finds: str = "memory") -> Path:
        if reason := why_not(finds):
            pytest.skip(reason)
        return compile_once(source, finds)

    return compile_emulated


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    from neural_paint.io import save_image  # not before the above

    path = tmp_path / "photo.png"
    save_image(path, torch.rand(1, 3, 30, 45))
    return path
