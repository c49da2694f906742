"""`neural-paint stylize`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from command_line import fails, run
from PIL import Image

from neural_paint import ActionStrokes, Stamps, Strokes
from neural_paint.io import demo_photo, load_image, load_strokes, save_image
from neural_paint.palettes import palette_of

QUICK = ("--strokes", "12", "--steps", "3", "--fit", "48", "--layer", "stem")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    save_image(tmp_path / "photo.png", load_image(demo_photo(), size=60))
    return tmp_path / "photo.png"


@pytest.mark.parametrize(("medium", "kind"), [("watercolour", Strokes), ("neural", ActionStrokes), ("tip.png", Stamps)])
def test_paints_saves_and_renders_again(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], medium: str, kind: type
) -> None:
    if medium == "tip.png":
        save_image(tmp_path / medium, torch.rand(1, 3, 20, 30))
        medium = str(tmp_path / medium)
    output, saved, again = tmp_path / "a.png", tmp_path / "a.json", tmp_path / "b.png"
    more = ("--save", ".json", "--video", ".gif", "--video-seconds", "0.5", "--size", 90)
    status, out, _ = run(capsys, "stylize", photo, "-o", output, "--medium", medium, *more, *QUICK)
    assert status == 0 and "90 x 60 pixels, 12 strokes, 3 steps, loss" in out
    file = load_strokes(saved)
    assert isinstance(file.strokes, kind) and file.metadata["layers"] == ["stem"]
    assert file.metadata["medium"] == Path(medium).name and output.with_suffix(".gif").exists()
    assert run(capsys, "render", saved, "-o", again)[0] == 0
    assert again.read_bytes() == output.read_bytes()


def test_presets_give_what_is_not_asked_for(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("stylize", photo, "-o", tmp_path / "a.png", "--preset", "npx", "--save", ".json")
    status, out, _ = run(capsys, *arguments, "--steps", 2)
    assert status == 0 and "60 x 60 pixels, 32 strokes, 2 steps" in out
    file = load_strokes(tmp_path / "a.json")
    assert file.canvas == (64, 64) and file.metadata["preset"] == "npx" and len(file.metadata["layers"]) == 3
    status, out, _ = run(capsys, *arguments, *QUICK, "--medium", "marker")
    assert status == 0 and "12 strokes, 3 steps" in out
    assert isinstance(load_strokes(tmp_path / "a.json").strokes, Strokes)


def test_a_preset_s_canvas_is_the_middle_of_the_photograph_and_all_of_the_painting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = torch.zeros(1, 3, 64, 160)
    picture[..., 48:112] = 0.5
    save_image(tmp_path / "photo.png", picture)
    more = ("--preset", "npx", "--medium", "marker", "--start", "photo", "--strokes", 60, "--steps", 2)
    assert run(capsys, "stylize", tmp_path / "photo.png", "-o", tmp_path / "a.png", "--size", 64, *more)[0] == 0
    painting = load_image(tmp_path / "a.png")
    assert painting.shape == (1, 3, 64, 64)
    # On both sides neither the black beside the middle, nor the paper, which is white.
    assert all((side.median() - 0.5).abs() < 0.2 for side in (painting[..., :8], painting[..., -8:]))


def test_a_sheet_of_layers(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = tmp_path / "sheet.png"
    status, out, _ = run(capsys, "stylize", photo, "-o", tmp_path / "a.png", "--sheet", sheet, *QUICK)
    assert status == 0 and "sheet.png: stem, " in out and out.rstrip().endswith("expand15")
    width, height = Image.open(sheet).size
    assert width > 4 * 48 and height > 2 * 32


def test_constraints_and_style(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    style = tmp_path / "style.png"
    save_image(style, torch.rand(1, 3, 40, 50))
    limits = ("--palette", "black,#ff8000", "--thin", 4, "--opaque", "--style", style, "--style-weight", 10)
    arguments = ("stylize", photo, "-o", tmp_path / "a.png", "--save", ".json", *limits, *QUICK)
    assert run(capsys, *arguments, "--medium", "marker")[0] == 0
    file = load_strokes(tmp_path / "a.json")
    strokes = file.strokes
    assert isinstance(strokes, Strokes) and file.metadata["style"] == "style.png"
    assert (strokes.opacity == 1).all() and strokes.radius.max() <= 0.04 * 48 / 2 + 1e-4
    known = torch.tensor([[0.0, 0.0, 0.0], [1.0, 128 / 255, 0.0]])
    assert torch.cdist(strokes.color[0], known).amin(1).max() < 1e-5


def test_palettes() -> None:
    photo = load_image(demo_photo(), size=60)
    assert palette_of("5", photo).shape == (5, 3)
    assert torch.equal(palette_of(" white, #ff0000 ", photo), torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]))
    two = torch.zeros(1, 3, 8, 8)
    two[..., :4] = 1.0
    assert palette_of("7", two).sort(0).values.tolist() == [[0.0] * 3, [1.0] * 3]


def test_interrupt_writes_what_there_is(photo: Path, tmp_path: Path) -> None:
    output = tmp_path / "a.png"
    arguments = ["stylize", str(photo), "-o", str(output), "--seconds", "600", "--fit", "48", "--save", ".json"]
    process = subprocess.Popen([sys.executable, "-m", "neural_paint", *arguments], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    # A line of progress says that it has begun.
    while "step" not in process.stderr.readline():
        time.sleep(0.01)
    process.send_signal(2)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "stopped by SIGINT, writing the painting as it is" in err
    assert Image.open(output).size == (60, 40) and json.loads(output.with_suffix(".json").read_text())


def test_interrupted_files_are_told(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    output, sheet = tmp_path / "a.png", tmp_path / "sheet.png"
    arguments = ("stylize", photo, "-o", output, "--sheet", sheet, *QUICK)
    monkeypatch.setattr("neural_paint.stylizing.save_image", interrupted)
    status, out, err = run(capsys, *arguments)
    assert status == 130 and str(output) in out and err == f"neural-paint: interrupted before {sheet} was written\n"
    monkeypatch.setattr("neural_paint.painting_files.save_video", interrupted)
    monkeypatch.setattr("neural_paint.stylizing.load_network", lambda _: pytest.fail("paints a sheet after Ctrl-C"))
    status, out, err = run(capsys, *arguments, "--video", ".gif")
    assert status == 130 and str(output) in out and "a.gif was written" in err


def test_a_failed_sheet_is_told_of(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise MemoryError("no memory")

    sheet = tmp_path / "sheet.png"
    monkeypatch.setattr("neural_paint.stylizing.contact_sheet", full)
    status, out, err = run(capsys, "stylize", photo, "-o", tmp_path / "a.png", "--sheet", sheet, *QUICK)
    assert status == 1 and "a.png" in out and err == f"neural-paint: cannot paint {sheet}: no memory\n"


@pytest.mark.parametrize("written", ["--output", "--sheet"])
@pytest.mark.parametrize("read", ["photo", "style", "medium"])
def test_what_is_read_is_not_written_over(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], written: str, read: str
) -> None:
    files = {"photo": photo, "style": tmp_path / "style.png", "medium": tmp_path / "tip.png"}
    for name in ("style", "medium"):
        save_image(files[name], torch.rand(1, 3, 20, 30))
    before = files[read].read_bytes()
    arguments = ("--style", files["style"], "--medium", files["medium"], *QUICK)
    outputs = {"--output": tmp_path / "a.png"} | {written: tmp_path / "." / files[read].name}
    err = fails(capsys, "stylize", photo, *(part for pair in outputs.items() for part in pair), *arguments)
    what = {"photo": "the photograph", "style": "the picture of the style", "medium": "the brush or the painter"}
    assert f"it is {what[read]}" in err and files[read].read_bytes() == before


def test_a_sheet_is_no_file_of_the_painting(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "a.png"
    assert "it is a file of the painting" in fails(capsys, "stylize", photo, "-o", output, "--sheet", output, *QUICK)


def test_a_sheet_that_its_format_cannot_hold(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_image(photo, torch.rand(1, 3, 2, 4096))
    sheet = tmp_path / "a.webp"
    err = fails(capsys, "stylize", photo, "-o", tmp_path / "a.png", "--fit", 4096, "--sheet", sheet)
    assert "WEBP holds at most 16383 pixels a side" in err


def test_the_first_frame_is_painted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = [Image.new("RGB", (40, 30), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    status, _, err = run(capsys, "stylize", tmp_path / "a.gif", "-o", tmp_path / "a.png", *QUICK)
    assert status == 0 and "a.gif has 2 frames, the first is painted" in err


def test_transport_without_its_package_is_one_line(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ot", None)
    style = ("--style", photo, "--style-loss", "transport")
    err = fails(capsys, "stylize", photo, "-o", tmp_path / "a.png", *style, *QUICK)
    assert "transport of a style needs POT: pip install POT" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give either a photograph or --demo"),
        (("--demo", "--medium", "chalk"), "must be one of oil, .*, or an image file, and there is no file chalk"),
        (("--demo", "--preset", "monet"), "must be one of neural-painters, npx, soro, got monet"),
        (("--demo", "--preset", "npx", "--network", "resnet50"), "network must be one of .*, got 'resnet50'"),
        (("--demo", "--layer", "expand99"), "layers must be of stem, .*, got 'expand99'"),
        (("--demo", "--network", "efficientnet-lite7"), "network must be of .*, got 'efficientnet-lite7'"),
        (("--demo", "--palette", "0"), "palette must have 1 to 256 colors, got 0"),
        (("--demo", "--palette", "²"), "palette must be a number, or names such as .*, got '²'"),
        (("--demo", "--palette", "blurple"), "palette must be a number, or names such as .*, got 'blurple'"),
        (("--demo", "--start", "left"), "start must be one of photo, random, got 'left'"),
        (("--demo", "--style-loss", "vgg"), "style_loss must be one of gram, transport, got 'vgg'"),
        (("--demo", "--style", "nowhere.jpg"), "nowhere.jpg"),
        (("--demo", "--weights", "gan.safetensors"), "it is for --medium neural"),
        (("--demo", "--steps", "1", "--seconds", "1"), "--steps and --seconds exclude each other"),
        (("--demo", "--sheet", "sheet.txt"), "the name must end in one of"),
    ],
)
def test_bad_arguments_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    import re

    assert re.search(message, fails(capsys, "stylize", "-o", tmp_path / "a.png", *arguments))
    assert not (tmp_path / "a.png").exists()
