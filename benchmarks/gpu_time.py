"""How long something takes on a GPU, by the GPU's own clock."""

from __future__ import annotations

from collections.abc import Callable

import torch

Run = Callable[[], object]

# What lies between two readings of the clock takes about so many seconds: long next to the time in which the host
# launches a graph. At least one call, and not so many that capturing them takes long.
ROUND = 0.01
MAX_CALLS = 250
WARM_UP = 3


class EventClock:
    """A timer for pytest-benchmark: two readings are as many seconds apart as the GPU took for one of the `calls` that
    it was given between them."""

    def __init__(self) -> None:
        self.calls = 1
        self.seconds = 0.0
        self.begun: torch.cuda.Event | None = None

    def __str__(self) -> str:
        return "CUDA events"

    def __call__(self) -> float:
        now = _event()
        now.synchronize()
        if self.begun is not None:
            self.seconds += self.begun.elapsed_time(now) / 1000 / self.calls
        # Once more: the host took a while to learn that the GPU had come so far.
        self.begun = _event()
        return self.seconds


def _event() -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def called(make: Callable[[], Run], clock: EventClock) -> Run:
    """What `make` returns, called over and over from Python: the host's time counts where it is the longer."""
    run = make()
    clock.calls = calls_in_a_round(run)

    def calls() -> None:
        for _ in range(clock.calls):
            run()

    return calls


def replayed(make: Callable[[], Run], clock: EventClock) -> Run:
    """What `make` returns, captured in a CUDA graph over and over: the GPU's time alone."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    # A backward pass runs on the stream of its forward pass: here both, and the capture, are on one.
    with torch.cuda.stream(stream):
        run = make()
        clock.calls = calls_in_a_round(run)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            for _ in range(clock.calls):
                run()
    torch.cuda.current_stream().wait_stream(stream)

    def replay(_reads_the_memory_of: Run = run) -> None:
        graph.replay()

    return replay


def calls_in_a_round(run: Run) -> int:
    """How many calls take about as long as a round should; warms up on the way."""
    for _ in range(WARM_UP):
        run()
    clock = EventClock()
    begun = clock()
    run()
    return max(1, min(MAX_CALLS, round(ROUND / max(clock() - begun, 1e-9))))
