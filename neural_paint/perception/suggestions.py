"""What an unknown name may have been meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

# More are no help.
_MOST = 5


def near(name: str, known: Iterable[str], alike: float = 0.6) -> list[str]:
    """The known names that are nearest in spelling, if any are: 1 is the same, 0 has no letter in common."""
    return difflib.get_close_matches(name, list(dict.fromkeys(known)), _MOST, alike)


def did_you_mean(names: Sequence[str]) -> str:
    """The end of a sentence; empty if there are no names."""
    if not names:
        return ""
    return ": did you mean " + " or ".join(filter(None, (", ".join(names[:-1]), names[-1]))) + "?"
