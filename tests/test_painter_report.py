from __future__ import annotations

import json

import painter_report
import pytest
from stroke_sets import write_strokes

from neural_paint.painters import GANPainter, save_painter
from neural_paint.painters.evaluation import evaluate
from neural_paint.painters.stroke_data import StrokeData


def test_report_is_what_evaluate_says(tmp_path, capsys):
    data = write_strokes(tmp_path / "strokes")
    painters = {name: GANPainter(dim=dim).freeze() for name, dim in (("small", 2), ("large", 4))}
    files = [tmp_path / f"{name}.safetensors" for name in painters]
    for painter, file in zip(painters.values(), files, strict=True):
        save_painter(painter, file)
    arguments = [part for file in files for part in ("--painter", str(file))]
    assert (
        painter_report.main(["--data", str(data), "--results", str(tmp_path), "--validation", "0.2", *arguments]) == 0
    )
    rows = json.loads((tmp_path / "painters.json").read_text())["painters"]
    for row in rows:
        expected = evaluate(painters[row["painter"]], StrokeData(data, "validation", validation=0.2))
        assert row["mse"] == pytest.approx(expected.mse, rel=1e-6) and row["strokes"] == expected.strokes
        assert row["ssim"] == pytest.approx(expected.ssim, rel=1e-5)
    table = (tmp_path / "painters.md").read_text()
    assert capsys.readouterr().out == table and table.count("\n") == 4
    best = min(rows, key=lambda row: row["mse"])["painter"]
    assert table.splitlines()[2].startswith(f"| {best} | gan | ")
