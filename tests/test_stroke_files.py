"""Stroke files: bit-exact round trips, refusals in words, and no half-written file."""

from __future__ import annotations

import errno
import io
import json
import math
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import hypothesis
import hypothesis.extra.numpy
import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import strategies as st

from neural_paint import ActionStrokes, Stamps, Strokes
from neural_paint.action_strokes import AnyStrokes
from neural_paint.io import StrokeFile, load_strokes, save_strokes

SUFFIXES = ["safetensors", "json"]


def make(batch=2, count=5, degree=3, dtype=torch.float32, half=None, ends=(), textures=0) -> Strokes:
    fields = {
        "points": torch.randn(batch, count, degree, 2, dtype=dtype) * 100,
        "radius": torch.rand(batch, count, 2, dtype=dtype),
        "color": torch.randn(batch, count, *ends, 3, dtype=dtype).to(half or dtype),
        "opacity": torch.rand(batch, count, *ends, dtype=dtype).to(half or dtype),
        "feather": torch.rand(batch, count, dtype=dtype) + 0.1,
    }
    if textures:
        fields["texture"] = torch.rand(textures, 3, 4, dtype=dtype)
        fields["texture_id"] = torch.randint(-1, textures, (batch, count), dtype=torch.int32)
    return Strokes(**fields)


def make_stamps(batch=2, count=5, dtype=torch.float32, half=None, colored=False, shared=True, opacity=True) -> Stamps:
    first = (2,) if shared else (batch, count)
    fields = {
        "patches": torch.rand(*first, *((4,) if colored else ()), 5, 7, dtype=dtype).to(half or dtype),
        "transform": torch.randn(batch, count, 2, 3, dtype=dtype) * 100,
    }
    if not colored:
        fields["color"] = torch.randn(batch, count, 3, dtype=dtype).to(half or dtype)
    if opacity:
        fields["opacity"] = torch.rand(batch, count, dtype=dtype)
    if shared:
        fields["patch_id"] = torch.randint(2, (batch, count))
    return Stamps(**fields)


def make_actions(batch=2, count=5, dtype=torch.float32, seeded=False) -> ActionStrokes:
    place = torch.cat([torch.randn(batch, count, 2) * 100, torch.rand(batch, count, 1) + 0.1], -1).to(dtype)
    seed = torch.randint(2**63 - 1, (batch, count)) if seeded else None
    return ActionStrokes(actions=torch.rand(batch, count, 12, dtype=dtype), place=place, seed=seed)


def assert_same_bits(a: AnyStrokes, b: AnyStrokes) -> None:
    assert type(a) is type(b)
    assert a.fields().keys() == b.fields().keys()
    for name, tensor in a.fields().items():
        other = b.fields()[name]
        assert (tensor.dtype, tensor.shape) == (other.dtype, other.shape)
        assert torch.equal(tensor.detach().contiguous().view(torch.uint8), other.view(torch.uint8))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("maker", "options"),
    [
        (make, {}),
        (make, {"dtype": torch.float64, "ends": (2,)}),
        (make, {"half": torch.float16, "degree": 1}),
        (make, {"half": torch.bfloat16, "degree": 4, "ends": (2,)}),
        (make, {"textures": 2}),
        (make, {"count": 0}),
        (make, {"batch": 0}),
        (make_stamps, {}),
        (make_stamps, {"dtype": torch.float64, "colored": True}),
        (make_stamps, {"half": torch.float16, "shared": False}),
        (make_stamps, {"half": torch.bfloat16, "colored": True, "shared": False, "opacity": False}),
        (make_stamps, {"count": 0, "shared": False}),
        (make_actions, {}),
        (make_actions, {"dtype": torch.float64}),
        (make_actions, {"count": 0}),
        (make_actions, {"seeded": True}),
    ],
)
def test_round_trip(tmp_path, suffix, maker, options):
    strokes, path = maker(**options), tmp_path / f"cat.{suffix}"
    save_strokes(path, strokes, canvas=(300, 451))
    loaded = load_strokes(path)
    assert_same_bits(strokes, loaded.strokes)
    assert loaded == StrokeFile(strokes=loaded.strokes, canvas=(300, 451))


def finite(dtype: type) -> st.SearchStrategy:
    width = np.dtype(dtype).itemsize * 8
    numbers = st.floats(width=width, allow_nan=False, allow_infinity=False)
    return hypothesis.extra.numpy.arrays(dtype, (1, 4, 2, 2), elements=numbers)


@hypothesis.settings(max_examples=50)
@hypothesis.given(points=finite(np.float32) | finite(np.float64))
def test_every_number_survives_both_formats_in_turn(tmp_path, points):
    points = torch.from_numpy(points)
    strokes = Strokes(
        points=points,
        radius=points.new_zeros(1, 4, 2),
        color=points[:, :, 0].clone(),
        opacity=points.new_full((1, 4), -0.0),
    )
    for name in ("a.json", "b.safetensors", "c.json"):
        save_strokes(tmp_path / name, strokes, canvas=[1, 1])
        strokes_before, strokes = strokes, load_strokes(tmp_path / name).strokes
        assert_same_bits(strokes_before, strokes)
    assert math.copysign(1, strokes.opacity[0, 0].item()) == -1


@pytest.mark.parametrize(
    "value", [0.1, 1 / 3, 1e-45, 1.1754942e-38, 3.4028235e38, 16777217.0, 8.589973e9, 1.17549435e-38]
)
def test_json_writes_the_fewest_digits(tmp_path, value):
    value = torch.tensor(value).item()
    strokes = make(1, 1).replace(color=torch.full((1, 1, 3), value))
    save_strokes(tmp_path / "cat.json", strokes, canvas=(8, 8))
    written = json.loads((tmp_path / "cat.json").read_text())["tensors"]["color"]["data"][0]
    assert written == float(str(np.float32(value)))
    assert load_strokes(tmp_path / "cat.json").strokes.color[0, 0, 0].item() == value


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_header(tmp_path, suffix):
    metadata = {"photo": "cat.jpg", "seed": 0, "psnr": [20.5, None], "nested": {"true": True}, "é": "✓"}
    save_strokes(
        tmp_path / f"cat.{suffix}",
        make(),
        canvas=torch.Size([3, 4]),
        color_space="1",
        background=[1, 0.1, -0.0],
        metadata=metadata,
    )
    loaded = load_strokes(str(tmp_path / f"cat.{suffix}"))
    assert (loaded.canvas, loaded.color_space, loaded.background) == ((3, 4), "1", (1.0, 0.1, -0.0))
    assert loaded.metadata == metadata


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_saves_views_and_graphs(tmp_path, suffix):
    strokes = make(4, 8).requires_grad_()
    part = strokes[::2, ::3].scaled(2.0)
    part = part.replace(color=part.color[:, :, :1].expand(-1, -1, 3))
    save_strokes(tmp_path / f"cat.{suffix}", part, canvas=(8, 8))
    loaded = load_strokes(tmp_path / f"cat.{suffix}").strokes
    assert_same_bits(part.detach(), loaded)
    loaded.points.zero_()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "changes, message",
    [
        ({"canvas": (0, 4)}, "canvas must be"),
        ({"canvas": (4,)}, "canvas must be"),
        ({"color_space": ""}, "color_space must be"),
        ({"background": [1.0]}, "background must be 3 finite numbers"),
        ({"background": [1.0, math.nan, 0.0]}, "background must be 3 finite numbers"),
        ({"metadata": {"x": math.nan}}, "metadata must be"),
        ({"metadata": {"x": torch.zeros(1)}}, "metadata must be"),
        ({"strokes": make().replace(opacity=torch.full((2, 5), 2.0))}, r"opacity must be in \[0, 1\], got 2"),
        ({"strokes": make().replace(points=torch.full((2, 5, 3, 2), math.inf))}, "points must be finite"),
        ({"strokes": make_stamps().replace(patches=torch.full((2, 5, 7), -0.5))}, r"patches must be in \[0, 1\], got"),
        (
            {"strokes": make_stamps().replace(patches=torch.ones(2, 5, 7).to(torch.float8_e4m3fn))},
            "a stroke file holds float16, .* got torch.float8_e4m3fn as patches",
        ),
    ],
)
def test_save_rejects_what_could_not_be_loaded(tmp_path, suffix, changes, message):
    arguments = {"strokes": make(), "canvas": (8, 8), **changes}
    with pytest.raises(ValueError, match=message):
        save_strokes(tmp_path / f"cat.{suffix}", **arguments)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("call", [lambda path: save_strokes(path, make(), canvas=(8, 8)), load_strokes])
@pytest.mark.parametrize("name", ["cat", "cat.npz", "json"])
def test_unknown_suffix(tmp_path, call, name):
    with pytest.raises(ValueError, match=r"ends in \.safetensors or \.json, got .*" + name):
        call(tmp_path / name)


def parts(strokes: AnyStrokes) -> tuple[dict, dict[str, torch.Tensor]]:
    header = {
        "format": "neural_paint.strokes",
        "version": 1,
        "kind": {Strokes: "bezier", Stamps: "stamps", ActionStrokes: "actions"}[type(strokes)],
        "stroke_model": 1,
        "canvas": [8, 8],
        "color_space": "srgb",
        "background": None,
        "metadata": {},
    }
    return header, strokes.fields()


def write(path, header: dict, tensors: dict[str, torch.Tensor]) -> None:
    """A stroke file written by the text of docs/stroke_file.md alone."""
    if path.suffix == ".json":
        spelled = {
            name: {"dtype": str(x.dtype)[6:], "shape": list(x.shape), "data": x.flatten().tolist()}
            for name, x in tensors.items()
        }
        path.write_text(json.dumps({**header, "tensors": spelled}))
    else:
        text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in header.items()}
        safetensors.torch.save_file(tensors, path, text)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "strokes",
    [make(textures=2), make_stamps(), make_actions(), make_actions(seeded=True)],
    ids=["bezier", "stamps", "actions", "actions with seeds"],
)
def test_documented_layout_is_read(tmp_path, suffix, strokes):
    write(tmp_path / f"cat.{suffix}", *parts(strokes))
    assert_same_bits(load_strokes(tmp_path / f"cat.{suffix}").strokes, strokes)


def test_example_of_the_document_is_read(tmp_path):
    document = Path(__file__).parent.parent / "docs" / "stroke_file.md"
    (tmp_path / "cat.json").write_text(document.read_text().split("```json\n")[1].split("```")[0])
    loaded = load_strokes(tmp_path / "cat.json")
    assert loaded.canvas == (64, 64) and loaded.strokes.points[0, 0].tolist() == [[10.0, 20.0], [50.0, 40.5]]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "header, tensors, message",
    [
        ({"format": "other"}, {}, "not a stroke file"),
        ({"format": None}, {}, "not a stroke file"),
        ({"version": None}, {}, "not a stroke file"),
        ({"version": 2}, {}, "it has stroke file version 2, this neural_paint reads up to 1"),
        ({"kind": "dabs"}, {}, "kind 'dabs', this neural_paint reads 'bezier', 'stamps' and 'actions' only"),
        ({"kind": "stamps"}, {}, "lacks tensor transform"),
        ({"stroke_model": 2}, {}, "stroke model is 2, this neural_paint has 1"),
        ({"canvas": None}, {}, "canvas must be"),
        ({"canvas": [8, 8.5]}, {}, "canvas must be"),
        ({"canvas": [8, True]}, {}, "canvas must be"),
        ({"background": [0, 0]}, {}, "background must be 3"),
        ({"metadata": [1]}, {}, "metadata must be"),
        ({}, {"points": None}, "lacks tensor points"),
        ({}, {"feather": None}, "lacks tensor feather"),
        ({}, {"width": torch.zeros(1)}, "unknown tensor width"),
        ({}, {"points": torch.zeros(5, 3, 2)}, "points must have shape"),
        ({}, {"radius": torch.zeros(2, 4, 2)}, "radius must have shape"),
        ({}, {"points": torch.zeros(2, 5, 3, 2, dtype=torch.int32)}, "points must be float32 or float64"),
        ({}, {"texture": torch.zeros(1, 3, 4)}, "given together"),
        ({}, {"opacity": torch.full((2, 5), 1.5)}, r"opacity must be in \[0, 1\], got 1.5 at stroke \(0, 0\)"),
    ],
)
def test_load_rejects(tmp_path, suffix, header, tensors, message):
    path = tmp_path / f"cat.{suffix}"
    good_header, good_tensors = parts(make())
    header, tensors = {**good_header, **header}, {**good_tensors, **tensors}
    header = {key: value for key, value in header.items() if value is not None or key == "background"}
    write(path, header, {name: tensor for name, tensor in tensors.items() if tensor is not None})
    with pytest.raises(ValueError, match=f"cannot load {path}: .*{message}"):
        load_strokes(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("header", "tensors", "message"),
    [
        ({"kind": "bezier"}, {}, "lacks tensor points"),
        ({"background": [0.0, 0.0]}, {}, "background must be 3"),
        ({}, {"patches": None}, "lacks tensor patches"),
        ({}, {"points": torch.zeros(1)}, "unknown tensor points"),
        ({}, {"patches": torch.rand(2, 4, 5, 7)}, r"patches must have shape \(K, h, w\) with color"),
        ({}, {"patches": torch.full((2, 5, 7), 1.5)}, r"patches must be in \[0, 1\], got 1.5 at texel \(0, 0, 0\)"),
        ({}, {"patch_id": torch.full((2, 5), 2)}, r"patch_id must be in \[0, 1\], got 2 at stroke \(0, 0\)"),
        ({}, {"transform": torch.zeros(2, 5, 2, 3)}, "determinant of transform must be finite and not 0, got 0"),
    ],
)
def test_load_rejects_stamps(tmp_path, suffix, header, tensors, message):
    path = tmp_path / f"cat.{suffix}"
    good_header, good_tensors = parts(make_stamps())
    tensors = {**good_tensors, **tensors}
    write(path, {**good_header, **header}, {name: tensor for name, tensor in tensors.items() if tensor is not None})
    with pytest.raises(ValueError, match=f"cannot load {path}: .*{message}"):
        load_strokes(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("header", "tensors", "message"),
    [
        ({"kind": "stamps"}, {}, "lacks tensor transform"),
        ({"background": [0.0]}, {}, "background must be 3"),
        ({}, {"place": None}, "lacks tensor place"),
        ({}, {"color": torch.zeros(1)}, "unknown tensor color"),
        ({}, {"actions": torch.rand(2, 5, 13)}, r"actions must have shape \(B, N, 12\)"),
        ({}, {"place": torch.rand(2, 5, 3).double()}, "place must have the dtype of actions"),
        ({}, {"actions": torch.full((2, 5, 12), -0.5)}, r"actions must be in \[0, 1\], got -0.5 at stroke \(0, 0\)"),
        ({}, {"seed": torch.zeros(2, 4).long()}, r"seed must have shape \(2, 5\)"),
        ({}, {"seed": torch.zeros(2, 5).int()}, "seed must be an int64 tensor"),
        ({}, {"seed": torch.full((2, 5), -3)}, r"seed must be >= 0, got -3 at stroke \(0, 0\)"),
        ({}, {"place": torch.zeros(2, 5, 3)}, r"side of place must be finite and > 0, got 0 at stroke \(0, 0\)"),
    ],
)
def test_load_rejects_actions(tmp_path, suffix, header, tensors, message):
    path = tmp_path / f"cat.{suffix}"
    good_header, good_tensors = parts(make_actions())
    tensors = {**good_tensors, **tensors}
    write(path, {**good_header, **header}, {name: tensor for name, tensor in tensors.items() if tensor is not None})
    with pytest.raises(ValueError, match=f"cannot load {path}: .*{message}"):
        load_strokes(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_load_rejects_truncated_and_foreign_files(tmp_path, suffix):
    path = tmp_path / f"cat.{suffix}"
    save_strokes(path, make(), canvas=(8, 8))
    data = path.read_bytes()
    for length in [*range(0, len(data), 37), len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match=f"cannot load {path}: it is truncated or not a"):
            load_strokes(path)
    for content in (b"\xff\xfe\x00", b"PK\x03\x04", b"[1, 2]", b"7", b"[" * 100_000, b'{"a": 1}', os.urandom(200)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"cannot load {path}: "):
            load_strokes(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_load_missing_and_folder(tmp_path, suffix):
    with pytest.raises(FileNotFoundError, match="none"):
        load_strokes(tmp_path / f"none.{suffix}")
    (tmp_path / f"folder.{suffix}").mkdir()
    with pytest.raises(IsADirectoryError):
        load_strokes(tmp_path / f"folder.{suffix}")


@pytest.mark.parametrize(
    "points, message",
    [
        (None, "must have a dtype"),
        ([], "must have a dtype"),
        ({"dtype": "int8"}, "must have a dtype of float16, .* got 'int8'"),
        ({"shape": [2, -5]}, "must have a shape"),
        ({"shape": "2"}, "must have a shape"),
        ({"shape": [2, 5, 3, 1]}, "must have 30 values, got 60"),
        ({"data": "abc"}, "must have a list of numbers"),
        ({"data": [True] * 60}, "must have a list of numbers"),
        ({"data": [[0.0]] * 60}, "must have a list of numbers"),
        ({"data": [1e300] * 60}, "points must be finite, got inf"),
        ({"data": [10**400] * 60}, "does not fit float32"),
        ({"dtype": "int32", "data": [2**40] * 60}, "does not fit int32"),
        ({"dtype": "int32", "data": [0.5] * 60}, "must have a list of integers"),
        ({"shape": [10**30, 0], "data": []}, "does not fit float32"),
    ],
)
def test_load_rejects_malformed_json_tensors(tmp_path, points, message):
    path = tmp_path / "cat.json"
    write(path, *parts(make()))
    document = json.loads(path.read_text())
    tensors = document["tensors"]
    tensors["points"] = {**tensors["points"], **points} if isinstance(points, dict) else points
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=message):
        load_strokes(path)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_json_refuses_constants_that_are_not_numbers(tmp_path, constant):
    path = tmp_path / "cat.json"
    write(path, *parts(make()))
    path.write_text(path.read_text().replace('"data": [', f'"data": [{constant}, ', 1))
    with pytest.raises(ValueError, match=f"{constant} is not a finite number"):
        load_strokes(path)


def test_safetensors_refuses_a_header_that_lies(tmp_path):
    path = tmp_path / "cat.safetensors"
    four_bit = json.dumps({"points": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}).encode()
    for data in (struct.pack("<Q", 2**60) + b"{}", struct.pack("<Q", len(four_bit)) + four_bit + b"\0"):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="truncated or not a safetensors file"):
            load_strokes(path)
    header, tensors = parts(make())
    safetensors.torch.save_file(tensors, path, {**dict.fromkeys(header, "{"), "format": header["format"]})
    with pytest.raises(ValueError, match="is not JSON"):
        load_strokes(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("written", [0, 100])
def test_full_disk_keeps_the_old_file(tmp_path, monkeypatch, suffix, written):
    path = tmp_path / f"cat.{suffix}"
    old = make()
    save_strokes(path, old, canvas=(8, 8))

    class Full(io.FileIO):
        def write(self, data):
            super().write(data[:written])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "open", lambda path, mode: Full(path, mode))
    with pytest.raises(OSError, match=f"cannot write {path}: No space left on device") as caught:
        save_strokes(path, make(), canvas=(8, 8))
    monkeypatch.undo()
    assert caught.value.errno == errno.ENOSPC and os.listdir(tmp_path) == [path.name]
    assert_same_bits(old, load_strokes(path).strokes)


KILLED_WHILE_WRITING = """
import os, signal, sys
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
sys.path.insert(0, sys.argv[2])
from atomic import write_atomic
write_atomic(sys.argv[1], b"new" * 100_000)
"""


def test_killed_process_leaves_the_old_file(tmp_path):
    from neural_paint.io import atomic

    path = tmp_path / "cat.json"
    save_strokes(path, make(), canvas=(8, 8))
    before = path.read_bytes()
    folder = os.path.dirname(atomic.__file__)
    killed = subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, path, folder], check=False)
    assert killed.returncode == -signal.SIGKILL and path.read_bytes() == before
