"""Weights that come with the package: files in a folder, and next to each one that says how it was made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parent / "data"
_WEIGHTS, _RECORD = ".safetensors", ".json"


@dataclass(frozen=True)
class PretrainedFiles:
    """Such a folder, and the name of the weights that are taken by default."""

    folder: Path
    default: str

    def names(self) -> list[str]:
        """The default first."""
        names = sorted(path.stem for path in self.folder.glob(f"*{_WEIGHTS}"))
        return sorted(names, key=lambda name: name != self.default)

    def weights(self, name: str) -> Path:
        """ValueError where there are none of that name."""
        return self._file(name, _WEIGHTS)

    def provenance(self, name: str) -> dict[str, Any]:
        """What the file next to the weights says; ValueError where there are none of that name."""
        return json.loads(self._file(name, _RECORD).read_text(encoding="utf-8"))

    def _file(self, name: str, suffix: str) -> Path:
        names = self.names()
        if name not in names:
            raise ValueError(f"name must be one of {', '.join(names)}, got {name!r}")
        return self.folder / f"{name}{suffix}"
