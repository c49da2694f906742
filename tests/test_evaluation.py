from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from stroke_sets import MemoryStrokes

from neural_paint.painters import GANPainter
from neural_paint.painters.evaluation import evaluate


@pytest.mark.parametrize("limit", [None, 5])
def test_measures_are_those_of_the_definitions(limit):
    data, painter = MemoryStrokes(9), GANPainter(dim=2, noise_size=0).train()
    evaluation = evaluate(painter, data, batch_size=4, limit=limit)
    count = limit or 9
    assert painter.training and evaluation.strokes == count and evaluation.strokes_per_second > 0
    with torch.no_grad():
        painted = painter.eval()(data.actions[:count]).double().numpy()
    real = data.strokes[:count].numpy() / 255
    assert evaluation.mse == pytest.approx(((painted - real) ** 2).mean())
    # Up to the edges, where the two packages reflect the picture a little differently.
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "full": True}
    maps = [
        structural_similarity(a, b, data_range=1.0, channel_axis=0, **options)[1]
        for a, b in zip(painted, real, strict=True)
    ]
    assert evaluation.ssim == pytest.approx(np.mean(maps), abs=2e-3)


def test_ssim_is_left_out_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    evaluation = evaluate(GANPainter(dim=2), MemoryStrokes(3))
    assert evaluation.ssim is None and evaluation.mse > 0


def test_no_strokes_are_refused():
    with pytest.raises(ValueError, match="there must be strokes to evaluate a painter with, got none"):
        evaluate(GANPainter(dim=2), MemoryStrokes(0))
