"""SPIRAL's codes: what they mean as actions, the way back, and their files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from neural_paint import mypaint
from neural_paint.agents import SpiralEncoding, SpiralTFEncoding, digit_templates, load_spiral, save_spiral
from neural_paint.agents.spiral_codes import Codes, Encoding
from neural_paint.painters import connect
from neural_paint.painters.actions import COLOR, CONTROL, END, ENTRY_PRESSURE, PRESSURE, SIZE, START

ENCODINGS = [SpiralEncoding(), SpiralEncoding(16, (1, 2, 4, 7), 6, 5), SpiralTFEncoding(), SpiralTFEncoding(8)]
encodings = pytest.mark.parametrize("encoding", ENCODINGS, ids=repr)


def _random_codes(encoding: SpiralEncoding | SpiralTFEncoding, count: int) -> Codes:
    """Codes as `encode` writes them: no pressure above 0.8, and nothing but the end where the pen moves."""
    random = np.random.default_rng(0)
    codes = {name: random.integers(values, size=count) for name, values in encoding.counts.items()}
    if isinstance(encoding, SpiralEncoding):
        held = np.linspace(0.1, 1, encoding.pressures) < 0.8 + 1e-6
        codes["pressure"] = random.integers(held.sum(), size=count)
        moves = codes["flag"] == 0
    else:
        codes["jump"][0] = 1
        moves = codes["jump"] == 1
    for name in set(codes) - {"flag", "jump", "end"}:
        codes[name][moves] = 0
    return codes


def _curve(rows: Tensor, t: float) -> Tensor:
    """Where strokes are at time t: the quadratic Bezier curve that passes CONTROL at 0.5."""
    start, end, middle = (rows[:, field.slice] for field in (START, END, CONTROL))
    control = 2 * middle - (start + end) / 2
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end


@encodings
def test_codes_come_back(encoding: SpiralEncoding | SpiralTFEncoding) -> None:
    codes = _random_codes(encoding, 2000)
    actions, paints = encoding.decode(codes)
    assert actions.shape == (2000, 12) and 500 < paints.sum() < 1500
    assert ((actions >= 0) & (actions <= 1)).all()
    back = encoding.encode(actions)
    assert list(back) == list(encoding.counts)
    assert all(np.array_equal(back[name], codes[name]) for name in codes)


@encodings
@pytest.mark.parametrize("count", [0, 1, 500])
def test_actions_come_back_within_half_a_step(encoding: SpiralEncoding | SpiralTFEncoding, count: int) -> None:
    tf = isinstance(encoding, SpiralTFEncoding)
    cell = 1 / (encoding.grid_width - 1) if tf else 1 / encoding.grid_width
    actions = torch.rand(count, 12).clamp(0.01)
    # Points within the grid, whose last cells are a cell away from the edge; and of these, curves within it.
    for field in (START, END, CONTROL):
        actions[:, field.slice] *= 1 if tf else 1 - cell / 2
    curve = 2 * actions[:, CONTROL.slice] - (actions[:, START.slice] + actions[:, END.slice]) / 2
    within = tf or ((curve >= 0) & (curve <= 1 - cell)).all(1)
    decoded, paints = encoding.decode(encoding.encode(actions))
    found = decoded[paints]
    assert len(found) == count

    def error(name: str, places: slice) -> Tensor:
        return (found[:, places] - actions[:, places]).abs().amax(1)

    assert (error("start", START.slice) <= cell / 2 + 1e-6).all()
    assert (error("end", END.slice) <= cell / 2 + 1e-6).all()
    assert (error("control", CONTROL.slice) <= cell / 2 + 1e-6)[within].all()
    if tf:
        return
    assert (error("color", COLOR.slice) <= 0.5 / (encoding.colors - 1) + 1e-6).all()
    step = 0.9 / (encoding.pressures - 1) / PRESSURE.scale
    in_range = actions[:, PRESSURE.start] >= 0.1 / PRESSURE.scale
    assert (error("pressure", PRESSURE.slice) <= step / 2 + 1e-6)[in_range].all()
    sizes = np.log(encoding.brush_sizes) / SIZE.scale
    in_range = actions[:, SIZE.start] <= sizes[-1]
    assert (error("size", SIZE.slice) <= np.diff(sizes).max() / 2 + 1e-6)[in_range].all()


def test_a_control_point_becomes_a_point_on_the_curve() -> None:
    encoding = SpiralEncoding()
    codes = _random_codes(encoding, 100)
    actions, _ = encoding.decode(codes)
    control, end = (np.stack([codes[name] % 32, codes[name] // 32], -1) / 32 for name in ("control", "end"))
    start = np.concatenate([[[0, 0]], end[:-1]])
    for t in (0.0, 0.2, 0.5, 1.0):
        bezier = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end
        torch.testing.assert_close(_curve(actions, t).double(), torch.from_numpy(bezier), atol=1e-6, rtol=0)


def test_values_are_those_of_the_levels() -> None:
    cells = {"end": [33, 2, 40, 5], "control": [0, 0, 0, 0]}
    others = {"size": [0, 1, 2, 0], "pressure": [0, 9, 3, 5], "red": [19, 0, 0, 0], "green": [0] * 4, "blue": [0] * 4}
    codes = {name: np.array(values) for name, values in {"flag": [1, 0, 1, 1], **cells, **others}.items()}
    actions, paints = SpiralEncoding().decode(codes)
    assert paints.tolist() == [True, False, True, True]
    assert (64 * actions[:, END.slice]).tolist() == [[2, 2], [4, 0], [16, 2], [10, 0]]
    assert (64 * actions[:, START.slice]).tolist() == [[0, 0], [2, 2], [4, 0], [16, 2]]
    radii = (SIZE.scale * actions[:, SIZE.start]).exp()
    torch.testing.assert_close(radii, torch.tensor([1.0, 2.0, 3.0, 1.0]))
    # From the first on and after a move it is its own; otherwise it goes on from that of the stroke before.
    pressures = PRESSURE.scale * actions[:, [ENTRY_PRESSURE.start, PRESSURE.start]]
    torch.testing.assert_close(pressures, torch.tensor([[0.1, 0.1], [0, 0], [0.4, 0.4], [0.4, 0.6]]))
    assert actions[:, COLOR.start].tolist() == [1, 0, 0, 0]


def test_what_actions_cannot_hold_is_clamped() -> None:
    encoding = SpiralEncoding(brush_sizes=(0.5, 12, 24))
    codes = {name: np.zeros(3, int) for name in encoding.counts}
    codes |= {"flag": np.ones(3, int), "pressure": np.array([7, 8, 9]), "size": np.arange(3)}
    actions, _ = encoding.decode(codes)
    assert actions[:, PRESSURE.start].tolist() == [1, 1, 1] and actions[:, SIZE.start].tolist() == [0, 1, 1]
    back = encoding.encode(actions)
    assert back["pressure"].tolist() == [7, 7, 7] and back["size"].tolist() == [0, 1, 1]


@pytest.mark.parametrize("encoding", [SpiralEncoding(), SpiralTFEncoding()], ids=repr)
def test_the_pen_is_moved_where_strokes_do_not_hang_together(encoding: SpiralEncoding | SpiralTFEncoding) -> None:
    first = "flag" in encoding.counts
    separate = torch.rand(5, 12).clamp(0.2)
    moves = encoding.encode(separate)["flag" if first else "jump"].tolist()
    assert moves == ([0, 1] if first else [1, 0]) * 5
    connected = connect(separate)
    assert len(encoding.encode(connected)["end"]) == 6
    # A digit's jump is a move; so is what goes before it, as it does not start in the corner.
    four = encoding.encode(digit_templates()[4])
    assert (four["flag"] == 0 if first else four["jump"] == 1).nonzero()[0].tolist() == [0, 5]


def test_a_stroke_that_sets_in_anew_lifts_the_pen() -> None:
    strokes = torch.full((2, 12), 0.5)
    strokes[0, PRESSURE.start] = 1.0
    strokes[1, ENTRY_PRESSURE.start] = 0.5
    assert SpiralEncoding().encode(strokes)["flag"].tolist() == [0, 1, 0, 1]
    assert SpiralTFEncoding().encode(connect(strokes))["jump"].tolist() == [1, 0, 0]
    strokes[1, ENTRY_PRESSURE.start] = 0.0
    assert SpiralTFEncoding().encode(strokes)["jump"].tolist() == [1, 0, 1, 0]


def test_the_first_step_of_the_port_never_paints() -> None:
    codes = {name: np.zeros(2, int) for name in SpiralTFEncoding().counts} | {"end": np.array([31, 1023])}
    actions, paints = SpiralTFEncoding().decode(codes)
    assert paints.tolist() == [False, True]
    assert actions[1, START.slice].tolist() == [1, 0] and actions[1, END.slice].tolist() == [1, 1]
    assert actions[1, ENTRY_PRESSURE.start] == 0 and actions[1, PRESSURE.start] == 1
    assert actions[0, PRESSURE.start] == 0


@pytest.mark.skipif(not mypaint.available(), reason="libmypaint is not installed")
@encodings
def test_mypaint_ends_strokes_where_codes_say(encoding: SpiralEncoding | SpiralTFEncoding) -> None:
    width = encoding.grid_width
    (start, end) = ((width // 4, width // 4), (3 * width // 4, width // 2))
    cells = [width * row + column for column, row in (start, end)]
    codes = {name: np.zeros(2, int) for name in encoding.counts}
    codes |= {"end": np.array(cells), "control": np.array([0, cells[1]])}
    codes |= {"flag": np.array([0, 1]), "pressure": np.array([0, 4])} if "flag" in codes else {"jump": np.array([1, 0])}
    actions, paints = encoding.decode(codes)
    canvas = mypaint.Canvas(mode="jump")
    canvas.draw(actions[paints].numpy())
    rows, columns = np.nonzero(canvas.image().min(-1) < 200)
    scale = 64 / (width - 1) if isinstance(encoding, SpiralTFEncoding) else 64 / width
    x, y = (scale * place for place in end)
    assert np.hypot(columns + 0.5 - x, rows + 0.5 - y).min() < 2
    # Ink from end to end, give or take the brush's radius and the eighth by which such a curve overshoots.
    span = math.dist(start, end) * scale
    along = (columns - scale * start[0]) * (end[0] - start[0]) + (rows - scale * start[1]) * (end[1] - start[1])
    along = along / math.dist(start, end)
    assert -6 < along.min() < 6 and span - 3 < along.max() < 1.125 * span + 6


@encodings
def test_files_come_back(encoding: SpiralEncoding | SpiralTFEncoding, tmp_path: Path) -> None:
    codes = _random_codes(encoding, 50)
    save_spiral(tmp_path / "codes.npz", {name: values.astype(np.int32) for name, values in codes.items()}, encoding)
    loaded = load_spiral(tmp_path / "codes.npz", encoding)
    assert list(loaded) == list(encoding.counts)
    assert all(np.array_equal(loaded[name], codes[name]) and loaded[name].dtype == np.int64 for name in codes)
    assert [file.name for file in tmp_path.iterdir()] == ["codes.npz"]


def _with(**changes: object) -> dict[str, np.ndarray]:
    codes = {name: np.zeros(3, int) for name in SpiralEncoding().counts} | changes
    return {name: values for name, values in codes.items() if values is not None}


REFUSED = [
    pytest.param(_with(red=None), r"codes must be flag, .*, got ", id="missing"),
    pytest.param(_with(hue=np.zeros(3, int)), r"codes must be flag, .*blue, got .*hue", id="unknown"),
    pytest.param(_with(size=np.zeros(3)), r"size must be integers \(N,\), got float64 \(3,\)", id="dtype"),
    pytest.param(_with(size=np.zeros((3, 1), int)), r"size must be integers \(N,\), got int64 \(3, 1\)", id="shape"),
    pytest.param(_with(end=np.array([0, 1024, 0])), r"end must be in 0 \.\. 1023, got 1024 at step 1", id="too large"),
    pytest.param(_with(flag=np.array([0, 1, -1])), r"flag must be in 0 \.\. 1, got -1 at step 2", id="negative"),
    pytest.param(
        _with(blue=np.zeros(2, int)), r"codes must be as many of each, got 3 of flag, .*2 of blue", id="length"
    ),
]


@pytest.mark.parametrize(("codes", "message"), REFUSED)
def test_rejects_bad_codes(codes: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    encoding: Encoding = SpiralEncoding()
    with pytest.raises(ValueError, match=message):
        SpiralEncoding().decode(codes)
    with pytest.raises(ValueError, match=message):
        save_spiral(tmp_path / "codes.npz", codes, encoding)
    assert not list(tmp_path.iterdir())
    np.savez(tmp_path / "codes.npz", **codes)
    with pytest.raises(ValueError, match=rf"cannot load .*codes.npz: {message}"):
        load_spiral(tmp_path / "codes.npz", encoding)


def test_rejects_bad_files(tmp_path: Path) -> None:
    path, encoding = tmp_path / "codes.npz", SpiralEncoding()
    with pytest.raises(OSError, match=r"cannot load .*codes.npz: No such file"):
        load_spiral(path, encoding)
    save_spiral(path, _random_codes(encoding, 100), encoding)
    whole = path.read_bytes()
    for damage in (b"", b"nothing", whole[:-40], whole[:60] + bytes(40) + whole[100:]):
        path.write_bytes(damage)
        with pytest.raises(ValueError, match=r"cannot load .*codes.npz: "):
            load_spiral(path, encoding)
    with path.open("wb") as file:
        np.save(file, np.zeros(3, int))
    with pytest.raises(ValueError, match=r"cannot load .*codes.npz: it is not an \.npz file"):
        load_spiral(path, encoding)
    np.savez(path, **_with(flag=np.array([print, print, print])))
    with pytest.raises(ValueError, match=r"cannot load .*codes.npz: "):
        load_spiral(path, encoding)


@encodings
def test_rejects_bad_actions(encoding: SpiralEncoding | SpiralTFEncoding) -> None:
    with pytest.raises(ValueError, match=r"actions must have shape \(N, 12\), got \(2, 3, 12\)"):
        encoding.encode(torch.zeros(2, 3, 12))
    actions = torch.zeros(3, 12)
    for value in (1.5, -0.1, math.nan):
        actions[1, 4] = value
        with pytest.raises(ValueError, match=r"actions must be in \[0, 1\], got .* at stroke 1, entry 4"):
            encoding.encode(actions)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpiralEncoding(grid_width=1), r"grid_width must be at least 2, got 1"),
        (lambda: SpiralEncoding(colors=0), r"colors must be at least 2, got 0"),
        (lambda: SpiralEncoding(brush_sizes=(2, 1)), r"brush_sizes must be positive and ascending, got \(2, 1\)"),
        (lambda: SpiralEncoding(brush_sizes=()), r"brush_sizes must be positive and ascending, got \(\)"),
        (lambda: SpiralTFEncoding(grid_width=1), r"grid_width must be at least 2, got 1"),
        (lambda: SpiralTFEncoding(pressures=(0.9,)), r"pressures must be in \(0, 0\.8\], got \(0\.9,\)"),
        (lambda: SpiralTFEncoding(sizes=(0.2, 3)), r"sizes must be in \[0, 2\.0\], got \(0\.2, 3\)"),
    ],
)
def test_rejects_bad_encodings(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]
