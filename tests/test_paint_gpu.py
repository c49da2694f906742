"""`paint` on a GPU: the same bits every run, where torch asks for deterministic algorithms."""

from __future__ import annotations

import pytest
import torch
from test_paint import F32, F64, with_gradients

from neural_paint import backends
from neural_paint.testing import brush_strokes


@pytest.mark.gpu
@pytest.mark.usefixtures("deterministic_on_a_gpu")
# Many tiles, and a few, whose strokes several blocks share.
@pytest.mark.parametrize(("strokes", "height", "width"), [(60, 200, 300), (1000, 40, 24)], ids=str)
@pytest.mark.parametrize("textures", [0, 3])
@pytest.mark.parametrize(("backend", "dtype"), [("cpp", F32), ("cpp", F64), ("triton", F32)], ids=str)
def test_same_bits_every_run(
    backend: str, dtype: torch.dtype, textures: int, strokes: int, height: int, width: int
) -> None:
    if backend not in backends.available("cuda", dtype=dtype):
        pytest.skip(f"no backend {backend} here")
    size = {"strokes": strokes, "height": height, "width": width, "opacity": (0.0, 0.3)}
    scene = brush_strokes(**size, textures=textures, color_ends=2, opacity_ends=2, taper=0.5, dtype=dtype).cuda()
    background = torch.rand(1, 3, height, width, dtype=dtype).cuda()
    first = with_gradients(scene, background, backend=backend)
    for _ in range(19):
        for name, value in with_gradients(scene, background, backend=backend).items():
            assert torch.equal(value, first[name]), name
