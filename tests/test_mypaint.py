"""The real MyPaint: what it paints of an action, and on one canvas after another."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import mypaint_by_ctypes
import mypaint_engine
import numpy as np
import pytest
from numpy.typing import NDArray

from neural_paint import mypaint

pytestmark = pytest.mark.skipif(not mypaint.available(), reason="libmypaint is not installed")

DRY = "classic/dry_brush"
# Scattered dabs, a grain, a spray, ink that depends on speed.
PLAIN = [DRY, "classic/charcoal", "deevad/spray", "classic/slow_ink"]
# Those that mix with what they meet, in one place or in many.
SMUDGING = ["classic/smudge+paint", "Dieterle/Pencil-_Left_Handed"]


def some_actions(count: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).random((count, 12))


def ink(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    return 255 - image.astype(np.float64)


@pytest.mark.parametrize("brush", PLAIN)
@pytest.mark.parametrize("fresh", [True, False])
def test_paints_what_the_library_does_with_the_events_of_a_stroke(brush: str, fresh: bool) -> None:
    actions = some_actions(6)
    canvas = mypaint.Canvas((64, 64), brush, mode="jump", fresh=fresh)
    painter = mypaint_by_ctypes.Painter(mypaint.find_brush(brush))
    for action in actions:
        canvas.draw(action[None])
        if fresh:
            before, painter = painter.tile().copy(), mypaint_by_ctypes.Painter(mypaint.find_brush(brush))
            painter.tile()[:] = before
        painter.draw(action)
        np.testing.assert_array_equal(canvas.image(), painter.image())


def test_is_like_the_equations_of_the_published_strokes() -> None:
    actions = some_actions(16, seed=1)
    random = np.random.default_rng(0)
    real = ink(mypaint.paint_actions(actions))
    model = np.stack([ink(mypaint_engine.render(action, random).image) for action in actions])
    assert 0.97 < (real.sum((1, 2, 3)) / model.sum((1, 2, 3))).mean() < 1.03
    assert np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(real, model, strict=True)]) > 0.93


@pytest.mark.parametrize("brush", [*PLAIN, *SMUDGING])
def test_a_stroke_is_a_function_of_its_action(brush: str) -> None:
    actions = some_actions(300)
    images = mypaint.paint_actions(actions, brush, threads=1)
    np.testing.assert_array_equal(mypaint.paint_actions(actions, brush, threads=16), images)
    np.testing.assert_array_equal(mypaint.paint_actions(actions[[7, 299, 7]], brush), images[[7, 299, 7]])


def test_memory_that_nobody_has_written_does_not_matter() -> None:
    """Brushes with a pattern, and with more places for smudged paint than one, read some of libmypaint's."""
    program = (
        "import hashlib, numpy; from neural_paint import mypaint\n"
        "actions = numpy.random.default_rng(0).random((8, 12))\n"
        "for brush in ('HalfTone#1', 'HalfToneCMY#1', 'Pencil-_Left_Handed'):\n"
        "    print(hashlib.sha256(mypaint.paint_actions(actions, f'Dieterle/{brush}').tobytes()).hexdigest())"
    )
    # What malloc gives is filled with the complement of this byte: as floats 0.75 and -1.5.
    run = partial(subprocess.run, [sys.executable, "-c", program], capture_output=True, text=True, check=True)
    first, second = (run(env={**os.environ, "MALLOC_PERTURB_": byte}).stdout for byte in ("192", "64"))
    assert first == second and len(first.split()) == 3


def test_every_installed_brush_paints_the_same_with_any_threads() -> None:
    actions, painted = some_actions(4), 0
    for brush in mypaint.brushes():
        images = mypaint.paint_actions(actions, brush, size=40, threads=1)
        np.testing.assert_array_equal(mypaint.paint_actions(actions, brush, size=40, threads=4), images, brush)
        painted += bool(ink(images).any())
    # The others smudge what is there, or erase it.
    assert painted > 0.7 * len(mypaint.brushes())


def test_no_pressure_at_the_end_is_no_stroke() -> None:
    actions = some_actions(3)
    actions[:, 0] = (0, 1e-9, 0)
    np.testing.assert_array_equal(ink(mypaint.paint_actions(actions)).any((1, 2, 3)), [False, True, False])


def test_no_actions_and_a_stroke_without_length() -> None:
    assert mypaint.paint_actions(np.empty((0, 12))).shape == (0, 64, 64, 3)
    dot = np.full((1, 12), 0.5)
    y, x = ink(mypaint.paint_actions(dot)[0]).sum(2).nonzero()
    assert len(x) and abs(x.mean() - 31.5) < 3 and abs(y.mean() - 31.5) < 3


def test_strokes_clear_the_canvas_and_jumps_do_not() -> None:
    actions = some_actions(3)
    alone = mypaint.paint_actions(actions)
    strokes, jumps = mypaint.Canvas(mode="strokes"), mypaint.Canvas(mode="jump")
    for canvas in (strokes, jumps):
        canvas.draw(actions)
    np.testing.assert_array_equal(strokes.image(), alone[-1])
    np.testing.assert_array_equal(ink(jumps.image()).any(2), ink(alone).any((0, 3)))


def test_connected_strokes_begin_where_the_last_one_ended() -> None:
    actions = some_actions(4)
    actions[2, 0] = 0  # the pen is lifted, and goes down at its end
    joined = actions.copy()
    joined[1:, 9:11], joined[1:, 11] = actions[:-1, 4:6], actions[:-1, 0]
    connected, jumps = mypaint.Canvas(mode="connected"), mypaint.Canvas(mode="jump")
    connected.draw(actions[:2])
    connected.draw(actions[2:])
    jumps.draw(joined)
    np.testing.assert_array_equal(connected.image(), jumps.image())
    connected.reset()
    connected.draw(actions[2:3])
    connected.reset()
    connected.draw(actions[3:])
    np.testing.assert_array_equal(connected.image(), mypaint.paint_actions(actions[3:])[0])


def test_a_brush_that_goes_on_differs_until_it_is_reset() -> None:
    action = some_actions(1)
    fresh, images = mypaint.paint_actions(action)[0], []
    canvas = mypaint.Canvas(fresh=False)
    for _ in range(2):
        canvas.draw(action)
        images.append(canvas.image())
    canvas.reset()
    assert not ink(canvas.image()).any()
    canvas.draw(action)
    np.testing.assert_array_equal(images[0], fresh)
    assert (images[1] != fresh).any()
    np.testing.assert_array_equal(canvas.image(), fresh)


@pytest.mark.parametrize("brush", [DRY, "classic/slow_ink"])
def test_a_larger_stroke_is_the_same_stroke(brush: str) -> None:
    actions = some_actions(12)
    actions[:, 1] = 0.6 + 0.4 * actions[:, 1]  # what is thin is anti-aliased, by pixels
    small, large = (ink(mypaint.paint_actions(actions, brush, size=size)) for size in (64, 512))
    reduced = large.reshape(-1, 64, 8, 64, 8, 3).mean((2, 4))
    assert abs(reduced.sum() / small.sum() - 1) < 0.01
    assert np.corrcoef(reduced.ravel(), small.ravel())[0, 1] > 0.998


def test_a_stroke_elsewhere_is_the_same_stroke() -> None:
    actions, place = some_actions(4), np.array([[64, 128, 64], [-16, 0, 64], [1000, 0, 64], [128, 0, 128]])
    alone = mypaint.paint_actions(actions)
    canvas = mypaint.Canvas((250, 300))
    images = []
    for action, at in zip(actions, place, strict=True):
        canvas.draw(action[None], at)
        images.append(ink(canvas.image()))
    assert np.abs(images[0][128:192, 64:128] - ink(alone[0])).mean() < 0.1
    assert np.abs(images[1][:64, :48] - ink(alone[1])[:, 16:]).mean() < 0.1
    assert not images[2].any()
    double = ink(mypaint.paint_actions(actions[3:], size=128)[0])
    assert np.abs(images[3][:128, 128:256] - double).mean() < 0.1


def test_a_canvas_shows_its_background_where_nothing_is_or_was_erased(tmp_path: Path) -> None:
    eraser = json.loads(mypaint.find_brush(DRY).read_text())
    eraser["settings"]["eraser"]["base_value"] = 1.0
    path = tmp_path / "eraser.myb"
    path.write_text(json.dumps(eraser))
    canvas = mypaint.Canvas((70, 130), path, mode="jump", background=(0.2, 0.5, 1.0))
    paper = np.broadcast_to(np.array([51, 128, 255], np.uint8), (70, 130, 3))
    np.testing.assert_array_equal(canvas.image(), paper)
    canvas.draw(some_actions(5))
    assert np.abs(canvas.image().astype(int) - paper).max() <= 1


def test_other_threads_run_meanwhile() -> None:
    from neural_paint import _mypaint
    from neural_paint.mypaint.brush_files import read_brush

    count = 3000
    canvas = _mypaint.Canvas(
        mypaint.require(), read_brush(DRY), (64, 64), (1.0, 1.0, 1.0), clear=True, connect=False, fresh=True
    )
    images = np.zeros((count, 64, 64, 3), np.uint8)
    work = threading.Thread(
        target=canvas.draw, args=(some_actions(count), np.tile((0.0, 0.0, 64.0), (count, 1)), images)
    )
    work.start()
    while not images[0].any():
        pass
    assert not images[-1].any()
    work.join()
    assert images.any((1, 2, 3)).all()


@pytest.mark.parametrize("threads", [1, 2])
def test_can_be_interrupted(threads: int) -> None:
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        mypaint.paint_actions(np.tile(some_actions(1), (100_000, 1)), threads=threads)
    timer.join()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_stroke_of_dabs_without_end_can_be_interrupted(threads: int, tmp_path: Path) -> None:
    brush = json.loads(mypaint.find_brush(DRY).read_text())
    # So steep that far from its points the dabs are the narrowest, and millions.
    brush["settings"]["elliptical_dab_ratio"] = {"base_value": 1, "inputs": {"direction": [[0, 0], [1e-6, 9]]}}
    path = tmp_path / "steep.myb"
    path.write_text(json.dumps(brush))
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        mypaint.paint_actions(some_actions(1000), path, threads=threads)
    timer.join()
