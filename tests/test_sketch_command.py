"""`neural-paint sketch`."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import fails, run
from PIL import Image
from tiny_agents import tiny_agent, tiny_painter

from neural_paint import ActionStrokes, Strokes, mypaint, sketching
from neural_paint.agents import agent_provenance, load_agent, load_pretrained_agent, pretrained_agents, save_agent
from neural_paint.agents.pretrained import FILES
from neural_paint.io import load_image, load_strokes, save_image
from neural_paint.painters import NeuralPainter, save_painter
from neural_paint.tasks import SketchStep, sketch

needs_mypaint = pytest.mark.skipif(not mypaint.available(), reason="needs libmypaint")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    save_image(tmp_path / "seven.png", 0.5 + torch.rand(1, 3, 20, 30) / 2)
    return tmp_path / "seven.png"


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    """That draws curves in colours."""
    save_agent(tiny_agent(), tmp_path / "curves.safetensors")
    return tmp_path / "curves.safetensors"


@pytest.fixture
def neural(tmp_path: Path) -> Path:
    """That draws in black with the package's painter."""
    painter = NeuralPainter.pretrained()
    save_agent(tiny_agent(painter, mode="connected", black=True), tmp_path / "neural.safetensors")
    return tmp_path / "neural.safetensors"


@pytest.fixture
def agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the agents that come with the package: two."""
    folder = tmp_path / "agents"
    folder.mkdir()
    for name, strokes in (("digits", 2), ("birds", 4)):
        save_agent(tiny_agent(strokes=strokes), folder / f"{name}.safetensors")
        (folder / f"{name}.json").write_text(json.dumps({"drawn": name}))
    monkeypatch.setattr("neural_paint.agents.pretrained.FILES", replace(FILES, folder=folder))
    return folder


@pytest.mark.parametrize("kind", [Strokes, ActionStrokes])
def test_draws_saves_and_renders_again(
    picture: Path, agent: Path, neural: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: type
) -> None:
    output, again = tmp_path / "a.png", tmp_path / "b.png"
    used = agent if kind is Strokes else neural
    more = ("--save", ".json", "--video", ".gif", "--video-seconds", "0.5", "--size", 90, "--blocks", 3)
    status, out, _ = run(capsys, "sketch", picture, "-o", output, "--agent", used, *more)
    assert status == 0 and "90 x 60 pixels, 18 strokes, " in out and " dB at 30 x 20, " in out
    file = load_strokes(tmp_path / "a.json")
    assert isinstance(file.strokes, kind) and file.metadata["agent"] == used.name and file.metadata["blocks"] == 3
    assert output.with_suffix(".gif").exists()
    assert run(capsys, "render", tmp_path / "a.json", "-o", again)[0] == 0
    assert again.read_bytes() == output.read_bytes()


def test_the_drawing_is_what_the_task_draws(
    picture: Path, agent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "sketch", picture, "-o", tmp_path / "a.png", "--agent", agent, "--strokes", 5)[0] == 0
    *_, step = sketch(load_image(picture), load_agent(agent), strokes=5)
    assert (load_image(tmp_path / "a.png") - step.canvas.clamp(0, 1)).abs().max() <= 0.51 / 255
    assert step.canvas.min() < 0.9


@needs_mypaint
def test_mypaint_replays_it(picture: Path, neural: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "sketch", picture, "-o", tmp_path / "a.png", "--agent", neural, "--save", ".json")[0] == 0
    status, out, _ = run(capsys, "replay", tmp_path / "a.json", "-o", tmp_path / "b.png")
    assert status == 0 and "3 strokes with MyPaint's classic/dry_brush" in out
    ours, theirs = load_image(tmp_path / "a.png"), load_image(tmp_path / "b.png")
    assert (ours - theirs).square().mean() < 0.2 * (1 - theirs).square().mean()


def test_several_pictures_and_their_sheet(
    picture: Path, neural: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second, folder, sheet = picture.with_name("two.png"), tmp_path / "drawings", tmp_path / "sheet.png"
    save_image(second, torch.rand(1, 3, 40, 25))
    status, out, _ = run(capsys, "sketch", picture, second, "-o", folder, "--agent", neural, "--compare", sheet)
    assert status == 0 and {path.name for path in folder.iterdir()} == {"seven.png", "two.png"}
    assert out.splitlines()[2].endswith("pixels, seven.png and two.png")
    # The picture, three drawings and MyPaint's.
    width, height = Image.open(sheet).size
    panels = 5 if mypaint.available() else 4
    assert panels * 192 <= width < panels * 200 and 2 * 192 < height < 2 * 220
    shown = load_image(sheet)[..., -192:, :192]
    assert shown[..., :30].min() == 1  # the second is narrow, and in the middle


def test_light_on_dark_is_inverted_where_the_agent_has_only_black(
    agent: Path, neural: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digit = torch.zeros(1, 3, 28, 28)
    digit[..., 6:22, 10:18] = torch.rand(1, 3, 16, 8)
    for name, pixels in (("dark.png", digit), ("light.png", 1 - digit)):
        save_image(tmp_path / name, pixels)

    def drawn(name: str, used: Path, *more: str) -> tuple[bytes, bool]:
        arguments = ("sketch", tmp_path / name, "-o", tmp_path / "a.png", "--agent", used, *more)
        status, _, err = run(capsys, *arguments)
        assert status == 0
        return (tmp_path / "a.png").read_bytes(), f"{name} is light on dark and is inverted" in err

    dark, light = drawn("dark.png", neural), drawn("light.png", neural)
    assert dark[0] == light[0] and dark[1] and not light[1]
    left = drawn("dark.png", neural, "--no-invert")
    assert left[0] != dark[0] and not left[1]
    assert drawn("light.png", neural, "--invert") == left
    assert drawn("dark.png", agent) == drawn("light.png", agent, "--invert")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_writes_what_there_is(
    picture: Path,
    agent: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    def interrupted(*arguments: Any, **options: Any) -> Iterator[SketchStep]:
        for step in sketch(*arguments, **options):
            if step.index == 1:
                signal.raise_signal(number)
            yield step

    monkeypatch.setattr(sketching, "sketch", interrupted)
    sheet, folder = tmp_path / "sheet.png", tmp_path / "drawings"
    other = picture.with_name("two.png")
    other.write_bytes(picture.read_bytes())
    more = ("--agent", agent, "--compare", sheet, "--save", ".json")
    status, out, err = run(capsys, "sketch", picture, other, "-o", folder, *more)
    assert status == 128 + number and "2 strokes" in out
    assert load_strokes(folder / "seven.json").strokes.num_strokes == 2
    assert f"stopped by {number.name}, writing the drawing as it is" in err
    assert "1 of 2 pictures are left undrawn" in err
    assert not (folder / "two.png").exists()
    # Of what there is.
    assert sheet.exists()


def test_a_bad_picture_stops_no_other(
    picture: Path, agent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, sheet = tmp_path / "bad.png", tmp_path / "sheet.png"
    bad.write_text("no picture")
    status, out, err = run(capsys, "sketch", bad, picture, "-o", tmp_path / "b/", "--agent", agent, "--compare", sheet)
    assert status == 1 and "seven.png: 30 x 20 pixels" in out and "it is not an image" in err
    assert out.rstrip().endswith("pixels, seven.png") and sheet.exists()


def test_a_failed_sheet_is_told_of(
    picture: Path, agent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    sheet = tmp_path / "sheet.png"
    arguments = ("sketch", picture, "-o", tmp_path / "a.png", "--agent", agent, "--compare", sheet)
    monkeypatch.setattr("neural_paint.sketching.save_image", full)
    status, out, err = run(capsys, *arguments)
    assert status == 1 and "a.png" in out and err == f"neural-paint: cannot write {sheet}: No space left on device\n"
    monkeypatch.setattr("neural_paint.sketching.save_image", interrupted)
    status, out, err = run(capsys, *arguments)
    assert status == 130 and "a.png" in out and err == f"neural-paint: interrupted before {sheet} was written\n"


def test_the_first_frame_is_drawn(agent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = [Image.new("RGB", (40, 30), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    status, _, err = run(capsys, "sketch", tmp_path / "a.gif", "-o", tmp_path / "a.png", "--agent", agent)
    assert status == 0 and "a.gif has 2 frames, the first is drawn" in err


def test_agents_that_learned_with_a_painter_of_a_file(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    painter, own, weights = tiny_painter(), tmp_path / "own.safetensors", tmp_path / "dab.safetensors"
    save_painter(painter, weights)
    save_agent(tiny_agent(painter), own)
    arguments = ("sketch", picture, "-o", tmp_path / "a.png", "--agent", own, "--save", ".json")
    assert run(capsys, *arguments, "--weights", weights)[0] == 0
    assert load_strokes(tmp_path / "a.json").metadata["painter"]["name"] == "dab.safetensors"
    status, _, err = run(capsys, "render", tmp_path / "a.json", "-o", tmp_path / "b.png", "--weights", weights)
    assert (
        status == 0
        and "another painter" not in err
        and (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    )
    assert "painter must be given, as the one that this agent learned with" in fails(capsys, *arguments)
    save_painter(tiny_painter(), tmp_path / "another.safetensors")
    err = fails(capsys, *arguments, "--weights", tmp_path / "another.safetensors")
    assert "painter must be the one that this agent learned with" in err


def test_agents_of_the_package(picture: Path, agents: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pretrained_agents() == ["digits", "birds"]
    assert load_pretrained_agent().strokes == 2 and load_pretrained_agent("birds").strokes == 4
    assert agent_provenance() == {"drawn": "digits"}
    with pytest.raises(ValueError, match="name must be one of digits, birds, got 'dogs'"):
        load_pretrained_agent("dogs")
    for options, strokes in (((), 2), (("--agent", "birds"), 4)):
        status, out, _ = run(capsys, "sketch", picture, "-o", tmp_path / "a.png", *options)
        assert status == 0 and f"{strokes} strokes" in out
    err = fails(capsys, "sketch", picture, "-o", tmp_path / "a.png", "--agent", "dogs")
    assert "must be one of digits, birds, or an agent's file, and there is no file dogs" in err


@pytest.mark.parametrize("written", ["--output", "--compare", "--save"])
@pytest.mark.parametrize(("read", "what"), [("agent", "the agent"), ("painter", "the painter"), ("picture", "the p")])
def test_what_is_read_is_not_written_over(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], written: str, read: str, what: str
) -> None:
    # Each may be called anything that an output may be.
    ending = ".safetensors" if written == "--save" else ".png"
    painter, files = tiny_painter(), {name: tmp_path / f"{name}.safetensors" for name in ("agent", "painter")}
    save_painter(painter, files["painter"])
    save_agent(tiny_agent(painter), files["agent"])
    files = {name: path.rename(tmp_path / f"{name}{ending}") for name, path in files.items()}
    files["picture"] = picture.rename(tmp_path / f"picture{ending}")
    before = files[read].read_bytes()
    arguments = ("--agent", files["agent"], "--weights", files["painter"])
    outputs = {"--output": tmp_path / "a.png"} | {written: files[read]}
    err = fails(capsys, "sketch", files["picture"], *(part for pair in outputs.items() for part in pair), *arguments)
    assert f"cannot write {files[read]}: it is {what}" in err and files[read].read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--agent", "nobody"), "and there is no file nobody"),
        (("--agent", "seven.png"), "cannot load seven.png"),
        (("--weights", "seven.png"), "cannot load seven.png"),
        (("--blocks", "0"), "must be in 1 .. 64, got 0"),
        (("--blocks", "60"), "blocks must be in 1 .. 30, the pixels of the longer side, got 60"),
        (("--strokes", "13"), "strokes must be in 1 .. 12, 4 times what the agent learned with, got 13"),
        (("--compare", "sheet.txt"), "the name must end in one of"),
        (("--compare", "a.png"), "cannot write a.png: it is a drawing's file"),
        (("--compare", "nowhere/sheet.png"), "nowhere"),
        (("--video", "a.avi"), "a.avi"),
    ],
)
def test_bad_arguments_are_one_line(
    picture: Path,
    agent: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(picture.parent)
    assert message in fails(capsys, "sketch", "seven.png", "-o", "a.png", "--agent", agent, *arguments)
    assert not Path("a.png").exists()


def test_a_sheet_has_room_for_so_many(
    picture: Path, agent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = [tmp_path / f"{index}.png" for index in range(65)]
    arguments = ("-o", tmp_path / "b/", "--agent", agent, "--compare", tmp_path / "sheet.png")
    assert "--compare is for up to 64 pictures, got 65" in fails(capsys, "sketch", *pictures, *arguments)
