"""`neural-paint replay`: actions executed by the real MyPaint, and the sheet that compares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import fails, run
from PIL import Image

from neural_paint import ActionStrokes, Stamps, Strokes, mypaint
from neural_paint.io import load_image, save_strokes
from neural_paint.painters import DabPainter, load_painter, save_painter
from neural_paint.replay_sheet import DIFFERENCE_SCALE, sheet_size
from neural_paint.tasks import render

CANVAS, BACKGROUND = (20, 30), (0.1, 0.6, 0.9)
needs_mypaint = pytest.mark.skipif(not mypaint.available(), reason="needs libmypaint")


@pytest.fixture
def strokes() -> ActionStrokes:
    place = torch.cat([40 * torch.rand(1, 20, 2) - 10, 4 + 20 * torch.rand(1, 20, 1)], -1)
    return ActionStrokes(actions=torch.rand(1, 20, 12), place=place)


@pytest.fixture
def file(tmp_path: Path, strokes: ActionStrokes) -> Path:
    path = tmp_path / "strokes.safetensors"
    save_strokes(path, strokes, canvas=CANVAS, background=BACKGROUND)
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    save_painter(DabPainter(dabs=32, width=4), tmp_path / "dab.safetensors")
    return tmp_path / "dab.safetensors"


def painted(strokes: ActionStrokes, factor: int, **options: Any) -> np.ndarray:
    canvas = mypaint.Canvas((20 * factor, 30 * factor), mode="jump", background=BACKGROUND, **options)
    canvas.draw(strokes.actions[0].numpy(), factor * strokes.place[0].double().numpy())
    return canvas.image()


@needs_mypaint
@pytest.mark.parametrize(("options", "factor"), [((), 1), (("--size", 240), 8)])
def test_paints_what_mypaint_paints(
    file: Path, strokes: ActionStrokes, capsys: pytest.CaptureFixture[str], options: tuple[object, ...], factor: int
) -> None:
    output = file.with_name("a.png")
    status, out, _ = run(capsys, "replay", file, "-o", output, *options)
    what = f"{30 * factor} x {20 * factor} pixels, 20 strokes with MyPaint's classic/dry_brush"
    assert (status, out) == (0, f"{output}: {what}\n")
    image = np.asarray(Image.open(output))
    assert np.array_equal(image, painted(strokes, factor))
    assert np.abs(image - np.round(255 * np.array(BACKGROUND))).max() > 50


@needs_mypaint
def test_other_brushes_and_one_for_all(file: Path, strokes: ActionStrokes, capsys: pytest.CaptureFixture[str]) -> None:
    output = file.with_name("a.png")
    pictures = []
    for options, expected in (
        ((), painted(strokes, 4)),
        (("--reuse-brush",), painted(strokes, 4, fresh=False)),
        (("--brush", "classic/charcoal"), painted(strokes, 4, brush="classic/charcoal")),
    ):
        assert run(capsys, "replay", file, "-o", output, "--size", 120, *options)[0] == 0
        pictures.append(np.asarray(Image.open(output)))
        assert np.array_equal(pictures[-1], expected)
    assert not any(np.array_equal(pictures[i], pictures[i - 1]) for i in range(3))


@needs_mypaint
@pytest.mark.parametrize(
    ("record", "options", "brush"),
    [
        ({"brush": "classic/charcoal"}, (), "classic/charcoal"),
        ({"brush": "classic/charcoal"}, ("--brush", "classic/dry_brush"), "classic/dry_brush"),
        ({"brush": 3}, (), "classic/dry_brush"),
        (["classic/charcoal"], (), "classic/dry_brush"),
    ],
)
def test_the_brush_is_that_which_the_painter_has_learned(
    tmp_path: Path,
    strokes: ActionStrokes,
    capsys: pytest.CaptureFixture[str],
    record: object,
    options: tuple[str, ...],
    brush: str,
) -> None:
    saved, output = tmp_path / "a.json", tmp_path / "a.png"
    # MyPaint has random numbers of its own: seeds are not for it.
    save_strokes(saved, strokes.seeded(1), canvas=CANVAS, background=BACKGROUND, metadata={"painter": record})
    status, out, _ = run(capsys, "replay", saved, "-o", output, "--size", 120, *options)
    assert status == 0 and f"with MyPaint's {brush}\n" in out
    assert np.array_equal(np.asarray(Image.open(output)), painted(strokes, 4, brush=brush))


@needs_mypaint
def test_the_sheet_shows_both_and_their_difference(
    file: Path, weights: Path, strokes: ActionStrokes, capsys: pytest.CaptureFixture[str]
) -> None:
    output, sheet = file.with_name("a.png"), file.with_name("sheet.png")
    options = ("--compare", sheet, "--weights", weights, "--size", 240)
    status, out, _ = run(capsys, "replay", file, "-o", output, *options)
    image = load_image(sheet)
    height, width = sheet_size((160, 240))
    assert status == 0 and image.shape == (1, 3, height, width)
    gap, title = (width - 3 * 240) // 2, height - 160
    shown, real, difference = (image[..., title:, i * (240 + gap) :][..., :240] for i in range(3))
    assert (shown - render(strokes, CANVAS, BACKGROUND, (160, 240), painter=load_painter(weights))).abs().max() < 0.003
    assert torch.equal(real, load_image(output))
    assert (difference - (DIFFERENCE_SCALE * (shown - real).abs()).clamp(max=1)).abs().max() < 0.02
    assert difference.max() == 1 and difference.min() == 0
    psnr = -10 * float((shown - real).square().mean().log10())
    assert f"{output} and {sheet}: 240 x 160 pixels, 20 strokes" in out
    assert float(out.split(" dB ")[0].split(", ")[-1]) == pytest.approx(psnr, abs=0.05)
    # A title over each panel, in black on white; nothing between them.
    for i in range(3):
        over = image[..., :title, i * (240 + gap) :][..., :240]
        assert over.min() < 0.2 and over.max() == 1
        assert i == 2 or (image[..., title:, 240 + i * (240 + gap) :][..., :gap] == 1).all()


@needs_mypaint
def test_the_sheet_alone_of_tiny_paintings(file: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = file.with_name("sheet.png")
    options = ("--compare", sheet, "--weights", weights, "--size", 3)
    assert "the side of a place must be in 1" in fails(capsys, "replay", file, *options)
    assert run(capsys, "replay", file, *options[:-1], 30)[0] == 0
    assert load_image(sheet).shape[2:] == sheet_size((20, 30))


def test_without_mypaint_one_sentence_says_what_to_install(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neural_paint.mypaint.library.NAMES", ("libnothing.so",))
    message = fails(capsys, "replay", file, "-o", file.with_name("a.png"))
    assert "libmypaint-1.5-1" in message and "mypaint-brushes" in message
    assert not file.with_name("a.png").exists()


def test_other_strokes_are_no_actions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bezier = Strokes(
        points=torch.rand(1, 2, 3, 2), radius=torch.ones(1, 2, 2), color=torch.rand(1, 2, 3), opacity=torch.ones(1, 2)
    )
    stamps = Stamps(patches=torch.rand(1, 2, 3, 3), transform=torch.rand(1, 2, 2, 3), color=torch.rand(1, 2, 3))
    for kind, strokes in (("bezier", bezier), ("stamps", stamps)):
        path = tmp_path / f"{kind}.json"
        save_strokes(path, strokes, canvas=(8, 8))
        message = fails(capsys, "replay", path, "-o", tmp_path / "a.png")
        assert f"cannot replay {path}: it must hold strokes of kind 'actions', got '{kind}'" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give --output or --compare or both"),
        (("-o", "a.gif"), "cannot write a.gif: the name must end in one of .png, .jpg, .jpeg, .webp"),
        (("-o", "none/a.png"), "there is no folder"),
        (("-o", "a.png", "--size", 0), "'--size': must be in 1 .. 65,500, got 0"),
        (("-o", "a.png", "--size", 65_500), "65500 x 43667 pixels are more than 512,000,000"),
        (("-o", "a.png", "--brush", "broom"), "broom"),
        (
            ("-o", "a.png", "--weights", "no.pth"),
            "'--weights': it is for --compare, which is not asked for",
        ),
        (("-o", "a.png", "--compare", "./a.png"), "'--compare': a.png is --output already"),
        (("--compare", "a.png", "--weights", "no.pth"), "cannot load no.pth: No such file"),
    ],
)
@needs_mypaint
def test_bad_options(
    file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[object, ...],
    message: str,
) -> None:
    monkeypatch.chdir(file.parent)
    assert message in fails(capsys, "replay", file, *options)
    assert list(file.parent.iterdir()) == [file]


@needs_mypaint
def test_interrupt_leaves_no_file(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(mypaint.Canvas, "draw", interrupted)
    status, out, err = run(capsys, "replay", file, "-o", file.with_name("a.png"))
    assert (status, out) == (130, "") and "interrupted" in err
    assert list(file.parent.iterdir()) == [file]
