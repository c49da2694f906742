"""ImageNet's labels by name."""

from __future__ import annotations

import re

import pytest

from neural_paint.perception import find_label, label_name, search_labels


@pytest.mark.parametrize(
    "text, index",
    [
        (388, 388),
        ("388", 388),
        ("giant panda", 388),
        ("Giant_Panda", 388),
        ("bee", 309),
        ("polar bear", 296),
        ("ice-bear", 296),
        # A synonym of label 744, too.
        ("missile", 657),
        ("tank suit", 639),
        ("construction crane", 517),
        ("bald eagle", 22),
        (0, 0),
        ("999", 999),
    ],
)
def test_finds(text, index):
    assert find_label(text) == index


@pytest.mark.parametrize(
    "text, message",
    [
        ("goldfsh", 'label must be one of ImageNet\'s 1,000, got "goldfsh": did you mean goldfish?'),
        (
            "panda",
            'label "panda" is more than one of ImageNet\'s 1,000: 387 (lesser panda, red panda), 388 (giant panda)',
        ),
        ("crane", "134 (crane, crane bird), 517 (crane, construction crane)"),
        ("maillot", "638 (maillot, tights"),
        (
            "bear",
            "did you mean one of 105 (koala), 294 (brown bear), 295 (American black bear), 296 (ice bear, polar bear)",
        ),
        ("zzzz", 'got "zzzz"'),
        ("1000", "label must be an index from 0 to 999, got 1000"),
        (-1, "label must be an index from 0 to 999, got -1"),
    ],
)
def test_names_what_may_be_meant(text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        find_label(text)


def test_every_label_is_found_by_its_name_or_is_one_of_several():
    names = [label_name(index).lower() for index in range(1000)]
    for index, name in enumerate(names):
        if names.count(name) == 1:
            assert find_label(name) == index
    assert sorted({name for name in names if names.count(name) > 1}) == ["cardigan", "crane", "maillot"]
    with pytest.raises(ValueError, match="label must be an index from 0 to 999, got 1000"):
        label_name(1000)


def test_searches():
    assert search_labels("PoLaR") == [(296, "polar bear"), (732, "Polaroid camera")]
    assert search_labels("no such thing") == []
    assert len(search_labels("")) == 1000
