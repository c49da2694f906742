"""The report on class visualisation: what it counts, and that it goes on where it was stopped."""

from __future__ import annotations

import json
from pathlib import Path

import class_report
import pytest

from neural_paint.io import load_image


def test_paints_once_and_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sheet = tmp_path / "sheet.png"
    arguments = ["--label", "bee", "--seed", "0", "--steps", "1", "--results", str(tmp_path), "--sheet", str(sheet)]
    assert class_report.main(arguments) == 0
    report = json.loads((tmp_path / "classes.json").read_text(encoding="utf-8"))
    monkeypatch.setattr(class_report, "visualize", None)
    assert class_report.main(arguments) == 0
    assert json.loads((tmp_path / "classes.json").read_text(encoding="utf-8")) == report
    (row,) = report["paintings"]
    assert row["label"] == "bee" and row["steps"] == 1 and len(row["seen"]) == 3
    assert load_image(sheet).shape[3] == class_report.PANEL


def test_counts_who_is_sure_and_who_is_right() -> None:
    seen = [{"probability": 0.95, "top": "bee"}, {"probability": 0.4, "top": "bee"}, {"probability": 0.3, "top": "fly"}]
    rows = [
        {"label": "bee", "seed": 0, "seconds": 60.2, "painted for": ["a"], "seen": {"a": seen[0], "b": x}} for x in seen
    ]
    lines = class_report.table(rows).splitlines()
    assert lines[0] == "| label | seed | a, painted for | b | seconds |"
    assert lines[2] == "| bee | 0 | 0.950 | 0.950 | 60 |"
    assert lines[4] == "| bee | 0 | 0.950 | 0.300 (fly) | 60 |"
    assert lines[5] == "| at least 0.9 | | 3 of 3 | 1 of 3 | |"
    assert lines[6] == "| most probable | | 3 of 3 | 2 of 3 | |"
