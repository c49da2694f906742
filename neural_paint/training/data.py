"""What training needs of data, whatever they are of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor


class TrainData(Protocol):
    """Data to train on: `StrokeData` is such.

    Attributes:
        digest: another one for other data.
        unit: what they are, for messages: "strokes".
    """

    digest: str
    unit: str

    def __len__(self) -> int: ...

    def batches(
        self, batch_size: int, *, seed: int, start: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[tuple[Tensor, ...]]:
        """This process's parts of batches, for ever: a pure function of seed and number; what they hold, its recipe
        knows."""


class ValidationData(Protocol):
    """Data that are not trained on: `StrokeData(folder, "validation")`."""

    def __len__(self) -> int: ...

    def once(self, batch_size: int) -> Iterator[tuple[Tensor, ...]]:
        """Each once, always in the same order; the last batch may be short."""
