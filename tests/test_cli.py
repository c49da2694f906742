"""The command line: files written, one sentence for every mistake."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from command_line import QUICK, fails, run
from PIL import Image

from neural_paint import __version__, backends, cli_options
from neural_paint.brushes import BRUSHES
from neural_paint.io import load_image, load_strokes, save_image
from neural_paint.tasks import render


def test_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys)
    assert (status, err) == (0, "")
    assert "neural-paint paint cat.jpg -o painting.png" in out
    assert run(capsys, "--version")[:2] == (0, f"neural-paint {__version__}\n")
    assert "--strokes" in run(capsys, "paint", "--help")[1]


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "info")
    assert status == 0
    assert torch.__version__ in out and "cpp, reference" in out
    assert re.search(r"^mypaint +(/.*libmypaint|none, as MyPaint cannot be opened)", out, re.MULTILINE)


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_writes_painting_and_strokes(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    output, save = tmp_path / "painting.png", tmp_path / f"painting{suffix}"
    status, out, err = run(capsys, "paint", photo, "-o", output, "--save", save, *QUICK)
    assert (status, err) == (0, "")
    assert f"{output} and {save}: 45 x 30 pixels, 12 strokes, 6 steps" in out and " dB at 32 x 21" in out
    painting, file = load_image(output), load_strokes(save)
    assert painting.shape == (1, 3, 30, 45)
    assert file.canvas == (21, 32)
    assert file.metadata["photo"] == "photo.png" and file.metadata["size"] == [30, 45]
    again = render(file.strokes, file.canvas, file.background, (30, 45))
    assert (again - painting).abs().max() <= 1 / 255


@pytest.mark.parametrize(("size", "shape"), [(90, (60, 90)), (9, (6, 9)), (1, (1, 1))])
def test_size_is_the_longest_side(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], size: int, shape: tuple[int, int]
) -> None:
    output = tmp_path / "painting.webp"
    assert run(capsys, "paint", photo, "-o", output, "--size", size, *QUICK)[0] == 0
    assert load_image(output).shape[2:] == shape


def test_demo_and_the_same_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = [tmp_path / name for name in ("a.png", "b.png", "c.png")]
    for output, seed in zip(outputs, (5, 5, 6), strict=True):
        assert run(capsys, "paint", "--demo", "-o", output, "--seed", seed, *QUICK)[0] == 0
    first, again, other = (output.read_bytes() for output in outputs)
    assert first == again != other


def test_seconds(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "painting.png"
    assert run(capsys, "paint", photo, "-o", output, "--strokes", 9, "--seconds", 0.2)[0] == 0
    assert output.exists()


def test_one_pixel_wide(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo, output = tmp_path / "photo.png", tmp_path / "painting.png"
    save_image(photo, torch.rand(1, 3, 70, 1))
    assert run(capsys, "paint", photo, "-o", output, *QUICK)[0] == 0
    assert load_image(output).shape[2:] == (70, 1)


def test_turned_by_exif(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo, output = tmp_path / "photo.jpg", tmp_path / "painting.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20), "teal").save(photo, exif=exif)
    assert run(capsys, "paint", photo, "-o", output, *QUICK)[0] == 0
    assert load_image(output).shape[2:] == (40, 20)


def test_first_frame_of_an_animation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo, output = tmp_path / "photo.gif", tmp_path / "painting.png"
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "blue")]
    frames[0].save(photo, save_all=True, append_images=frames[1:])
    status, _, err = run(capsys, "paint", photo, "-o", output, *QUICK)
    assert status == 0
    assert err == f"neural-paint: {photo} has 2 frames, the first is painted\n"
    assert load_image(output)[0, 0].mean() > 0.9


def test_brush(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = tmp_path / "strokes.safetensors"
    status, _, err = run(capsys, "paint", photo, "-o", tmp_path / "a.png", "--save", saved, *QUICK, "--brush", "dry")
    assert (status, err) == (0, "")
    strokes = load_strokes(saved).strokes
    assert strokes.texture is not None and strokes.texture_id is not None
    assert strokes.texture_id.unique().numel() > 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--strokes", "0"), "'--strokes': must be in 1 .. 1,000,000, got 0"),
        (("--strokes", "1000001"), "'--strokes': must be in 1 .. 1,000,000, got 1000001"),
        (("--strokes", "many"), "'--strokes'"),
        (("--steps", "0"), "'--steps': must be in 1 .. 10,000,000, got 0"),
        (("--seconds", "-1"), "'--seconds': must be in 0.001 .. 1,000,000, got -1.0"),
        (("--seconds", "nan"), "'--seconds': must be in 0.001 .. 1,000,000, got nan"),
        (("--steps", "5", "--seconds", "5"), "--steps and --seconds exclude each other"),
        (("--size", "0"), "'--size': must be in 1 .. 65,500, got 0"),
        (("--fit", "15"), "'--fit': must be in 16 .. 16,384, got 15"),
        (
            ("--brush", "broom"),
            f"'--brush': must be one of {', '.join(BRUSHES)}, or an image file, and there is no file broom",
        ),
        (("--device", "abacus"), "'--device': must be auto, cpu, cuda or cuda:N, got abacus"),
        (("--device", "cuda:99"), "'--device': cuda:99 cannot be used here, as torch finds no such device"),
        (("--device", "meta"), "'--device': meta cannot be used here, as there is no kernel for it"),
        (("--save", "strokes.xml"), "a stroke file ends in .safetensors or .json, got strokes.xml"),
        (("--video", "a.avi"), "cannot write a.avi: the name must end in one of .mp4, .gif"),
        (("--video", "a.mp4", "--video-size", "8193"), "'--video-size': must be in 2 .. 8,192, got 8193"),
        (("--video", "a.mp4", "--video-seconds", "0"), "'--video-seconds': must be in 0.5 .. 600, got 0.0"),
        (("--save", "no-such-folder/strokes.json"), "cannot write no-such-folder/strokes.json: there is no folder"),
        (("--demo",), "give either a photograph or --demo"),
        (("--colour",), "--colour"),
    ],
)
def test_bad_options(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    output = tmp_path / "painting.png"
    assert message in fails(capsys, "paint", photo, "-o", output, *options)
    assert not output.exists()


def test_a_gpu_that_is_not_there(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    for command in (("paint", photo), ("render", tmp_path / "strokes.json")):
        message = fails(capsys, *command, "-o", tmp_path / "painting.png", "--device", "cuda")
        assert "'--device': cuda cannot be used here, as torch finds no such device" in message


@pytest.mark.parametrize(
    ("there", "kernels", "device"),
    [
        (True, ["cpp", "triton", "reference"], "cuda"),
        (True, ["triton", "reference"], "cuda"),
        (True, ["reference"], "cpu"),
        (False, ["cpp", "reference"], "cpu"),
    ],
)
def test_the_fastest_device_is_chosen(
    there: bool, kernels: list[str], device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(backends, "available", lambda device: kernels)
    assert cli_options.device("auto") == device


@pytest.mark.gpu
@pytest.mark.parametrize("device", ["auto", "cuda", "cuda:0"])
def test_paints_on_a_gpu(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], device: str) -> None:
    save, video, poster = tmp_path / "strokes.json", tmp_path / "painting.gif", tmp_path / "poster.png"
    files = ("-o", tmp_path / "painting.png", "--save", save, "--video", video, "--video-seconds", "0.5")
    for budget in (("--steps", "30"), ("--seconds", "0.5")):
        options = ("--strokes", "12", "--fit", "32", *budget, "--device", device)
        assert run(capsys, "paint", photo, *files, *options)[0::2] == (0, "")
    assert run(capsys, "render", save, "-o", poster, "--size", "90", "--device", device)[0::2] == (0, "")
    assert load_image(poster).shape == (1, 3, 60, 90)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("painting", "the name must end in one of .png, .jpg, .jpeg, .webp"),
        ("painting.gif", "the name must end in one of .png, .jpg, .jpeg, .webp"),
        ("no-such-folder/painting.png", "there is no folder"),
        ("folder", "it is a folder"),
        ("photo.png", "it is the photograph"),
        (".", "it is the photograph"),
    ],
)
def test_bad_outputs(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str, message: str
) -> None:
    (tmp_path / "folder" / "photo.png").mkdir(parents=True)
    before = photo.read_bytes()
    assert message in fails(capsys, "paint", photo, "-o", tmp_path / output)
    assert photo.read_bytes() == before


def test_output_beyond_the_format(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = fails(capsys, "paint", photo, "-o", tmp_path / "painting.webp", "--size", 20_000)
    assert "WEBP holds at most 16383 pixels a side, got 20000" in message


def test_wrong_usage(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--output" in fails(capsys, "paint", photo)
    assert "give either a photograph or --demo" in fails(capsys, "paint", "-o", "painting.png")
    assert "pant" in fails(capsys, "pant", photo)


@pytest.mark.parametrize("kind", ["missing", "truncated", "text", "folder", "empty"])
def test_bad_photos(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    bad = tmp_path / "bad.png"
    if kind == "folder":
        bad.mkdir()
    elif kind != "missing":
        bad.write_bytes({"truncated": photo.read_bytes()[:900], "text": b"not a picture", "empty": b""}[kind])
    message = fails(capsys, "paint", bad, "-o", tmp_path / "painting.png", *QUICK)
    assert f"cannot read {bad}: " in message
    assert not (tmp_path / "painting.png").exists()
