"""A step of an optimisation as one CUDA graph: one launch, where a GPU would wait for each of its many kernels."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

_Step = Callable[[], tuple[Tensor, ...]]


class StepGraph:
    """Runs one step again and again: on CUDA captured in a graph and replayed, on other devices called.

    The step takes nothing and returns new tensors. It must do the same every time, on the same tensors of the same
    shapes, and change these in place: a number that it reads from Python is captured as it was. It must not synchronise
    with the device. docs/gpu.md shows the same for a step of the caller's own.

    Where it cannot be captured, as may be for lack of memory, a warning says so and it is called on CUDA too.
    """

    def __init__(self, device: torch.device) -> None:
        self._graph = _graph_on(device)
        self._warm = False
        self._outputs: tuple[Tensor, ...] | None = None

    def run(self, step: _Step) -> tuple[Tensor, ...]:
        """One step. `step` is the same in every call; it is not kept, so that it may hold what holds this object."""
        if self._graph is None:
            return step()
        if not self._warm:
            # What is made in a first call, such as compiled kernels, cannot be made in a capture.
            self._warm = True
            return self._graph.warm_up(step)
        if self._outputs is None:
            try:
                self._outputs = self._graph.capture(step)
            except RuntimeError as error:
                warnings.warn(f"steps are not replayed as a CUDA graph, which is slower: {error}", stacklevel=2)
                self._graph = None
                return step()
        self._graph.replay()
        # The next replay writes over the graph's own.
        return tuple(output.clone() for output in self._outputs)


def _graph_on(device: torch.device) -> _CudaGraph | None:
    return _CudaGraph(device) if device.type == "cuda" else None


class _CudaGraph:
    def __init__(self, device: torch.device) -> None:
        self._graph = torch.cuda.CUDAGraph()
        self._stream = torch.cuda.Stream(device)

    def warm_up(self, step: _Step) -> tuple[Tensor, ...]:
        """Run a step on the stream of the capture."""
        current = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            outputs = step()
        current.wait_stream(self._stream)
        for output in outputs:
            output.record_stream(current)
        return outputs

    def capture(self, step: _Step) -> tuple[Tensor, ...]:
        """Record a step, of which nothing is run; returns the tensors that every replay fills."""
        # What other threads do on the GPU meanwhile is no concern of this capture. torch.cuda.graph leaves its stream
        # the current one where a capture fails, hence the outer context.
        with (
            torch.cuda.stream(self._stream),
            torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode="thread_local"),
        ):
            return step()

    def replay(self) -> None:
        """Run the recorded step on the current stream."""
        self._graph.replay()
