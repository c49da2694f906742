"""A painting as it comes out of the optimisation: all strokes at once, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from neural_paint.action_strokes import AnyStrokes
from neural_paint.painters.base import NeuralPainter
from neural_paint.tasks.render import render

# More than a video has frames; where there are more steps, every second, fourth ... of them is kept.
_MOST_KEPT = 1024


class Bloom:
    """What the strokes of one painting were at steps spread evenly over its optimisation, and at the last one.

    bloom = Bloom()
    for step in visualize("goldfish"):
        bloom.add(step.strokes)
    save_video("bloom.mp4", bloom.frames(canvas, background, (640, 640), 300, hold=60), fps=30)
    """

    def __init__(self) -> None:
        self._kept: list[AnyStrokes] = []
        self._last: list[AnyStrokes] = []
        self._every = 1
        self._steps = 0

    def add(self, strokes: AnyStrokes) -> None:
        """The (1, N) strokes after one step more."""
        if self._steps % self._every == 0:
            self._kept.append(strokes)
        self._last = [strokes]
        self._steps += 1
        if len(self._kept) > _MOST_KEPT:
            del self._kept[1::2]
            self._every *= 2

    def frames(
        self,
        canvas: Sequence[int],
        background: Sequence[float],
        size: Sequence[int],
        frames: int,
        *,
        hold: int = 0,
        painter: NeuralPainter | None = None,
    ) -> Iterator[Tensor]:
        """Yield so many (1, C, H, W) frames of `size`, the last `hold` of them like the one before; see `timelapse`.

        Raises:
            ValueError: no strokes were added; `frames` is below 1, or `hold` not in [0, frames - 1].
        """
        if frames < 1 or not 0 <= hold < frames:
            raise ValueError(f"frames must be at least 1, and hold in [0, frames - 1], got {frames} and {hold}")
        if not self._last:
            raise ValueError("strokes must be added before there are frames")
        states = [*self._kept[: -1 if self._kept[-1] is self._last[0] else None], *self._last]
        end = frames - 1 - hold
        shown = -1
        for index in range(frames):
            state = round(index / end * (len(states) - 1)) if index < end else len(states) - 1
            if state != shown:
                frame = render(states[state], canvas, background, size, painter=painter)
                shown = state
            yield frame
