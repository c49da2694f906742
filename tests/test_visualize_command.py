"""`neural-paint visualize`: files written, labels found, one sentence for every mistake."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch
from command_line import fails, run

from neural_paint import ActionStrokes, visualize_work
from neural_paint.io import load_image, load_strokes
from neural_paint.tasks import render

QUICK = ("--strokes", 10, "--steps", 3, "--canvas", 32, "--views", 1)


def test_writes_painting_strokes_and_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output, save = tmp_path / "fish.png", tmp_path / "fish.json"
    options = ("--size", 96, "--judge", "efficientnet-lite1", "--seed", 2)
    status, out, err = run(capsys, "visualize", "goldfish", "-o", output, "--save", save, *options, *QUICK)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith(f"{output} and {save}: 96 x 96 pixels, 10 strokes, 3 steps, ")
    assert [line.split(":")[0] for line in lines[1:]] == ["  efficientnet-lite0", "  efficientnet-lite1"]
    assert all(line.count(" %") == 3 for line in lines[1:])
    file = load_strokes(save)
    assert file.canvas == (32, 32) and file.metadata["label"] == "goldfish"
    assert file.metadata["networks"] == ["efficientnet-lite0"] and file.metadata["medium"] == "round"
    assert 0 <= file.metadata["probability"][0] <= 1
    assert (render(file.strokes, file.canvas, file.background, (96, 96)) - load_image(output)).abs().max() <= 1 / 255
    again = tmp_path / "again.png"
    assert run(capsys, "render", save, "-o", again)[0] == 0
    assert torch.equal(load_image(again), load_image(output))


def test_batch_sheet_and_videos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = tmp_path / "sheet.png"
    files = (
        "-o",
        tmp_path / "a.png",
        "--save",
        ".json",
        "--video",
        tmp_path / "v.gif",
        "--bloom",
        tmp_path / "b.gif",
        "--sheet",
        sheet,
    )
    options = ("--batch", 2, "--size", 40, "--video-seconds", 0.5)
    status, out, _ = run(capsys, "visualize", "951", *files, *options, *QUICK)
    assert status == 0
    names = {"a.png", "a-2.png", "a.json", "a-2.json", "v.gif", "v-2.gif", "b.gif", "b-2.gif", "sheet.png"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert not torch.equal(load_image(tmp_path / "a.png"), load_image(tmp_path / "a-2.png"))
    assert (tmp_path / "v.gif").read_bytes() != (tmp_path / "b.gif").read_bytes()
    assert load_image(sheet).shape[3] > 2 * 40
    assert out.splitlines()[-1].endswith("2 paintings")


def test_grid_of_a_neural_painter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save = tmp_path / "s.safetensors"
    options = ("--medium", "neural", "--grid", "2x3", "--strokes", 12, "--steps", 2, "--views", 1, "--size", 96)
    assert run(capsys, "visualize", "bee", "-o", tmp_path / "a.png", "--save", save, *options)[0] == 0
    file = load_strokes(save)
    assert isinstance(file.strokes, ActionStrokes) and file.canvas == (80, 96)
    assert file.strokes.place[0, :, :2].unique(dim=0).shape == (6, 2)
    again = tmp_path / "again.png"
    assert run(capsys, "render", save, "-o", again)[0] == 0
    assert torch.equal(load_image(again), load_image(tmp_path / "a.png"))


def test_search(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "visualize", "--search", "panda") == (0, " 387  lesser panda\n 388  giant panda\n", "")
    assert 'no label contains "goldfsh"' in fails(capsys, "visualize", "--search", "goldfsh")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", "a.png"), "give a label and --output, or --search"),
        (("bee",), "give a label and --output, or --search"),
        (
            ("goldfsh", "-o", "a.png"),
            "'LABEL': label must be one of ImageNet's 1,000, got \"goldfsh\": did you mean gold",
        ),
        (("bee", "-o", "a.tiff"), "the name must end in one of"),
        (("bee", "-o", "a.png", "--sheet", "a.txt"), "the name must end in one of"),
        (("bee", "-o", "a.png", "--bloom", "a.txt"), "the name must end in one of .mp4, .gif"),
        (("bee", "-o", "a.png", "--sheet", "a.png"), "cannot write a.png: it is written to or read from already"),
        (("bee", "-o", "a.png", "--video", "b.gif", "--bloom", "b.gif"), "cannot write b.gif"),
        (("bee", "-o", "a.png", "--sheet", "a-2.png", "--batch", "2"), "cannot write a-2.png"),
        (("bee", "-o", "a.png", "--network", "efficientnet-lite9"), "'--network': network must be"),
        (("bee", "-o", "a.png", "--judge", "efficientnet-lite9"), "'--judge': network must be"),
        (("bee", "-o", "a.png", "--medium", "blood"), "'--medium': must be one of oil, marker"),
        (("bee", "-o", "a.png", "--weights", "w.safetensors"), "'--weights': it is for --medium neural"),
        (("bee", "-o", "a.png", "--grid", "2x2"), "'--grid': it is for --medium neural"),
        (("bee", "-o", "a.png", "--medium", "neural", "--grid", "two"), "'--grid': must be rows x columns"),
        (("bee", "-o", "a.png", "--medium", "neural", "--grid", "2x2", "--canvas", "64"), "exclude each other"),
        (("bee", "-o", "a.png", "--score", "loss"), "'--score': must be one of logit, probability, got loss"),
        (("bee", "-o", "a.png", "--steps", "5", "--seconds", "5"), "--steps and --seconds exclude each other"),
        (("bee", "-o", "a.png", "--strokes", "0"), "'--strokes': must be in 1"),
        (("bee", "-o", "nowhere/a.png"), "nowhere"),
    ],
)
def test_mistakes(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in fails(capsys, "visualize", *arguments)
    assert not list(tmp_path.iterdir())


def test_interrupt_writes_the_painting_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    visualize = visualize_work.visualize

    def interrupted(*arguments: object, **options: object) -> object:
        for step in visualize(*arguments, **options):  # type: ignore[arg-type]
            if step.index == 1:
                os.kill(os.getpid(), signal.SIGINT)
            yield step

    monkeypatch.setattr(visualize_work, "visualize", interrupted)
    output = tmp_path / "a.png"
    status, out, err = run(capsys, "visualize", "bee", "-o", output, *QUICK, "--steps", 100)
    assert status == 128 + signal.SIGINT
    assert err == "neural-paint: stopped by SIGINT, writing the painting as it is\n"
    assert "10 strokes, 2 steps" in out and load_image(output).shape == (1, 3, 640, 640)


def test_full_disk_keeps_the_sheetless_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = tmp_path / "sheet.png"
    output = tmp_path / "a.png"

    def no_room(*_: object) -> None:
        raise OSError("No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(visualize_work, "save_image", no_room)
        status, out, err = run(capsys, "visualize", "bee", "-o", output, "--sheet", sheet, *QUICK)
    assert status == 1 and output.exists() and str(output) in out
    assert err == f"neural-paint: cannot write {sheet}: No space left on device\n"
