"""Painters that come with the package: each has learned a brush of MyPaint from strokes of the real program.

Next to each file of weights is one of the same name that says how it was made, and how well it paints strokes that it
has not seen. benchmarks/pretrain.py makes both.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from neural_paint.painters.base import DEFAULT_PAINTER, NeuralPainter
from neural_paint.painters.checkpoints import SUFFIX, load_painter

FOLDER = Path(__file__).resolve().parent.parent / "data" / "painters"


def pretrained_painters() -> list[str]:
    """The names that `NeuralPainter.pretrained` takes, the default first."""
    names = sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}"))
    return sorted(names, key=lambda name: name != DEFAULT_PAINTER)


def load_pretrained(name: str = DEFAULT_PAINTER) -> NeuralPainter:
    """See `NeuralPainter.pretrained`."""
    return load_painter(_file(name, SUFFIX))


def provenance(name: str = DEFAULT_PAINTER) -> dict[str, Any]:
    """How a painter of the package was made, and how well it paints: a JSON object.

    Raises:
        ValueError: there is no painter of that name.
    """
    return json.loads(_file(name, ".json").read_text(encoding="utf-8"))


def _file(name: str, suffix: str) -> Path:
    names = pretrained_painters()
    if name not in names:
        raise ValueError(f"name must be one of {', '.join(names)}, got {name!r}")
    return FOLDER / f"{name}{suffix}"
