"""The clock of the benchmarks that run on a GPU, with events made up."""

from __future__ import annotations

import gpu_time
import pytest


class Event:
    """An event of a GPU whose time is `now`, in milliseconds."""

    now = 0.0

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing

    def record(self) -> None:
        self.at = Event.now

    def synchronize(self) -> None:
        # The host learns of it late.
        Event.now += 3.0

    def elapsed_time(self, end: Event) -> float:
        return end.at - self.at


@pytest.fixture(autouse=True)
def made_up_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Event, "now", 0.0)
    monkeypatch.setattr("torch.cuda.Event", Event)


def work(milliseconds: float) -> None:
    Event.now += milliseconds


def test_the_clock_leaves_out_what_the_host_waits() -> None:
    clock = gpu_time.EventClock()
    begun = clock()
    work(8.0)
    assert clock() - begun == pytest.approx(0.008)
    work(100.0)
    begun = clock()
    clock.calls = 4
    work(8.0)
    assert clock() - begun == pytest.approx(0.002)


@pytest.mark.parametrize(("milliseconds", "calls"), [(0.0, 250), (0.02, 250), (0.5, 20), (4.0, 2), (300.0, 1)])
def test_a_round_is_long_but_not_endless(milliseconds: float, calls: int) -> None:
    assert gpu_time.calls_in_a_round(lambda: work(milliseconds)) == calls


def test_time_of_one_call_of_a_round() -> None:
    clock = gpu_time.EventClock()
    calls = gpu_time.called(lambda: lambda: work(0.5), clock)
    begun = clock()
    calls()
    assert clock() - begun == pytest.approx(0.0005)
