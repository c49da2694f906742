"""What the real MyPaint refuses, and what is said where it is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neural_paint import mypaint
from neural_paint.mypaint import library

needs_mypaint = pytest.mark.skipif(not mypaint.available(), reason="libmypaint is not installed")
ACTION = np.full((4, 12), 0.5)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.01, 1.5])
def test_refuses_actions_out_of_range(value: float) -> None:
    actions = ACTION.copy()
    actions[2, 7] = value
    message = rf"actions must be in \[0, 1\], got {value} at stroke 2, entry 7"
    with pytest.raises(ValueError, match=message):
        mypaint.paint_actions(actions)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"actions": ACTION[0]}, r"actions must have shape \(n, 12\), got \(12,\)"),
        ({"actions": ACTION[:, :10]}, r"actions must have shape \(n, 12\), got \(4, 10\)"),
        ({"actions": ACTION, "size": 0}, "size must be in 1 .. 8192, got 0"),
        ({"actions": ACTION, "size": 8193}, "size must be in 1 .. 8192, got 8193"),
        ({"actions": ACTION, "threads": 0}, "threads must be at least 1, got 0"),
    ],
)
def test_refuses_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mypaint.paint_actions(**arguments)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"size": (0, 5)}, r"size must be a height and a width of at least 1, got \(0, 5\)"),
        ({"mode": "leap"}, "mode must be one of strokes, jump, connected, got 'leap'"),
        ({"background": (0, 0, 2)}, r"background must be in \[0, 1\], got \(0, 0, 2\)"),
    ],
)
def test_refuses_a_bad_canvas(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mypaint.Canvas(**arguments)


@needs_mypaint
@pytest.mark.parametrize(
    "place, message",
    [
        ((0, 0), r"place must have shape \(4, 3\) or \(3,\), got \(2,\)"),
        ([(0, 0, 64)] * 3, r"place must have shape \(4, 3\) or \(3,\), got \(3, 3\)"),
        ((0, 0, 0.5), r"the side of a place must be in 1 .. 8192, got 0.5 at stroke 0"),
        ((0, 0, 9000), r"the side of a place must be in 1 .. 8192, got 9000.0 at stroke 0"),
        (
            (0, float("nan"), 64),
            "place must be within 65536 pixels of the canvas's corner, got nan at stroke 0, entry 1",
        ),
        ((1e9, 0, 64), "place must be within 65536 pixels of the canvas's corner, got 1000000000.0 at stroke 0"),
    ],
)
def test_refuses_a_bad_place(place: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mypaint.Canvas().draw(ACTION, place)


def setting(**changes: Any) -> dict[str, Any]:
    return {"version": 3, "settings": {"opaque": {"base_value": 1.0, "inputs": {}} | changes}}


@needs_mypaint
@pytest.mark.parametrize(
    "brush, message",
    [
        ("a brush", "it is not JSON"),
        ([], "it has no settings"),
        ({"version": 3}, "it has no settings"),
        ({"version": 3, "settings": {}}, "it has no settings"),
        (setting() | {"version": 2}, "its version must be 3, got 2"),
        ({"version": 3, "settings": {"opaque": 1}}, "its setting opaque must have a base_value and inputs"),
        (setting(inputs=None), "its setting opaque must have a base_value and inputs"),
        (setting(base_value="1"), "the base_value of its setting opaque must be a number"),
        (setting(inputs={"pressure": 3}), "the inputs of its setting opaque must be curves of 2 to 64 points"),
        (setting(inputs={"pressure": [[0, 0]]}), "the inputs of its setting opaque must be curves of 2 to 64 points"),
        (setting(inputs={"pressure": [[0, 0], [1]]}), "the inputs of its setting opaque must be curves"),
        (setting(inputs={"pressure": [[1, 0], [0, 1]]}), "the inputs of its setting opaque must be curves"),
        (setting(inputs={"pressure": [[i, 0] for i in range(65)]}), "the inputs of its setting opaque must be curves"),
        (setting(base_value=1e30), r"the base_value of its setting opaque must be in \[0, 2\], got 1e\+30"),
        (setting(base_value=-0.1), r"the base_value of its setting opaque must be in \[0, 2\], got -0.1"),
        (setting(base_value=10**400), "the base_value of its setting opaque must be a number"),
        (setting(inputs={"random": [[0, 0], [1, -2.5]]}), r"the inputs .* y within 2 of 0, got \[1, -2.5\]"),
        (setting(inputs={"random": [[0, 0], [1001, 1]]}), r"the inputs .* x within 1000 and .* got \[1001, 1\]"),
        ("[" * 100_000 + "]" * 100_000, "it is not JSON"),
    ],
)
def test_refuses_a_file_that_is_no_brush(brush: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.myb"
    path.write_text(brush if isinstance(brush, str) else json.dumps(brush))
    with pytest.raises(mypaint.BrushError, match=f"cannot read brush .*mine.myb: {message}"):
        mypaint.paint_actions(ACTION, path)


@needs_mypaint
def test_refuses_a_brush_of_unknown_settings(tmp_path: Path) -> None:
    path = tmp_path / "mine.myb"
    path.write_text(json.dumps({"version": 3, "settings": {"opaqueness": {"base_value": 1, "inputs": {}}}}))
    with pytest.raises(ValueError, match="brush must have a setting of MyPaint's"):
        mypaint.Canvas(brush=path)


def test_a_brush_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mypaint" / "brushes" / "mine"
    folder.mkdir(parents=True)
    (folder / "wide brush.myb").write_text("{}")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "nothing"))
    assert mypaint.brushes() == ["mine/wide brush"]
    assert mypaint.find_brush("mine/wide brush") == folder / "wide brush.myb"
    with pytest.raises(mypaint.BrushError, match="there is no brush mine/thin among the 1 that are installed"):
        mypaint.find_brush("mine/thin")
    with pytest.raises(mypaint.BrushError, match=r"there is no brush file .*thin\.myb"):
        mypaint.find_brush(tmp_path / "thin.myb")


def test_no_brushes_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_DATA_HOME", "XDG_DATA_DIRS"):
        monkeypatch.setenv(name, str(tmp_path))
    assert mypaint.brushes() == []
    with pytest.raises(mypaint.MyPaintMissing, match=r"libmypaint-1\.5-1 and mypaint-brushes"):
        mypaint.find_brush("classic/dry_brush")


def test_one_sentence_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "NAMES", ("libmypaint-that-is-not-there.so",))
    assert not mypaint.available()
    with pytest.raises(mypaint.MyPaintMissing) as caught:
        mypaint.paint_actions(ACTION)
    assert isinstance(caught.value, OSError)
    assert "libmypaint-that-is-not-there.so" in str(caught.value)
    assert "libmypaint-1.5-1 and mypaint-brushes" in str(caught.value)


def test_another_library_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from neural_paint import _C

    monkeypatch.setattr(library, "NAMES", (_C.__file__,))
    with pytest.raises(mypaint.MyPaintMissing, match=r"undefined symbol|not found"):
        mypaint.require()
