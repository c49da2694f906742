"""Painters that come with the package: each has learned a brush of MyPaint from strokes of the real program.

What is told of each is also how well it paints strokes that it has not seen. benchmarks/pretrain.py makes them.
"""

from __future__ import annotations

from typing import Any

from neural_paint.painters.base import DEFAULT_PAINTER, NeuralPainter
from neural_paint.painters.checkpoints import load_painter
from neural_paint.painters.digest import digest
from neural_paint.pretrained_files import DATA, PretrainedFiles

FILES = PretrainedFiles(DATA / "painters", DEFAULT_PAINTER)


def pretrained_painters() -> list[str]:
    """The names that `NeuralPainter.pretrained` takes, the default first."""
    return FILES.names()


def load_pretrained(name: str = DEFAULT_PAINTER) -> NeuralPainter:
    """See `NeuralPainter.pretrained`."""
    return load_painter(FILES.weights(name))


def provenance(name: str = DEFAULT_PAINTER) -> dict[str, Any]:
    """How a painter of the package was made, and how well it paints: a JSON object.

    Raises:
        ValueError: there is no painter of that name.
    """
    return FILES.provenance(name)


def pretrained_like(sha256: str) -> str | None:
    """The name of the package's painter of which that is the `digest`; None where it is none of them."""
    return next((name for name in pretrained_painters() if digest(load_pretrained(name)) == sha256), None)
