"""`neural-paint render`: the picture of a stroke file at any size, within bounded memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from neural_paint import Stamps, Strokes
from neural_paint.cli import main
from neural_paint.io import load_image, save_strokes
from neural_paint.tasks.lay import lay

CANVAS = (20, 30)


@pytest.fixture(params=["bezier", "stamps"])
def strokes(request: pytest.FixtureRequest) -> Strokes | Stamps:
    if request.param == "stamps":
        linear = 0.8 * torch.randn(1, 40, 2, 2) + 0.8 * torch.eye(2)
        return Stamps(
            patches=torch.rand(3, 6, 9),
            transform=torch.cat([linear, torch.rand(1, 40, 2, 1) * torch.tensor([[30.0], [20.0]])], -1),
            color=torch.rand(1, 40, 3),
            opacity=torch.rand(1, 40),
            patch_id=torch.arange(40)[None] % 3,
        )
    return Strokes(
        points=torch.rand(1, 40, 3, 2) * torch.tensor([30.0, 20.0]),
        radius=0.5 + 3 * torch.rand(1, 40, 2),
        color=torch.rand(1, 40, 2, 3),
        opacity=torch.rand(1, 40),
        feather=0.5 + torch.rand(1, 40),
        texture=torch.rand(1, 4, 6),
        texture_id=torch.arange(40)[None] % 2 - 1,
    )


@pytest.fixture
def file(tmp_path: Path, strokes: Strokes | Stamps) -> Path:
    path = tmp_path / "strokes.safetensors"
    save_strokes(path, strokes, canvas=CANVAS, background=(0.1, 0.6, 0.9))
    return path


def _run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main(["render", *map(str, arguments)])
    return status, *capsys.readouterr()


def _fails(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    status, out, err = _run(capsys, *arguments)
    assert status in (1, 2) and out == ""
    assert err.startswith("neural-paint: ") and err.count("\n") == 1
    return err


@pytest.mark.parametrize(("options", "factor"), [((), 1), (("--size", 240), 8), (("--size", 15), 0.5)])
def test_paints_the_strokes_at_any_size(
    file: Path,
    strokes: Strokes | Stamps,
    capsys: pytest.CaptureFixture[str],
    options: tuple[object, ...],
    factor: float,
) -> None:
    output = file.with_name("a.png")
    status, out, err = _run(capsys, file, "-o", output, *options)
    height, width = (int(side * factor) for side in CANVAS)
    assert (status, out, err) == (0, f"{output}: {width} x {height} pixels, 40 strokes\n", "")
    background = torch.tensor([0.1, 0.6, 0.9])[None, :, None, None].expand(1, 3, height, width)
    assert (load_image(output) - lay(strokes.scaled(factor), background)).abs().max() < 0.6 / 255


def test_paints_again_what_was_painted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--demo", "-o", tmp_path / "a.png", "--save", tmp_path / "a.json", "--strokes", 9, "--steps", 3)
    assert main(["paint", *map(str, options), "--fit", "32", "--size", "111"]) == 0
    capsys.readouterr()
    assert _run(capsys, tmp_path / "a.json", "-o", tmp_path / "b.png")[0] == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_video_alone_and_with_the_painting(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    av = pytest.importorskip("av")
    video, output = file.with_name("a.mp4"), file.with_name("a.png")
    status, out, _ = _run(capsys, file, "--video", video, "--video-seconds", 1, "--video-size", 64)
    assert (status, out) == (0, f"{video}: 30 x 20 pixels, 40 strokes\n")
    with av.open(str(video)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 30 and frames[0].shape == (44, 64, 3)  # 43 rows made even
    status, out, _ = _run(capsys, file, "-o", output, "--video", file.with_name("a.gif"), "--video-seconds", 1)
    assert (status, out) == (0, f"{output} and {file.with_name('a.gif')}: 30 x 20 pixels, 40 strokes\n")
    with Image.open(file.with_name("a.gif")) as gif:
        gif.seek(gif.n_frames - 1)
        last = np.asarray(gif.convert("RGB")).astype(int)
    assert np.abs(last - np.asarray(Image.open(output))).mean() < 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give --output or --video or both"),
        (("-o", "a.gif"), "cannot write a.gif: the name must end in one of .png, .jpg, .jpeg, .webp"),
        (("-o", "a.webp", "--size", 16384), "WEBP holds at most 16383 pixels a side, got 16384"),
        (("-o", "a.png", "--size", 65_500), "65500 x 43667 pixels are more than 512,000,000"),
        (("-o", "a.png", "--size", 65_501), "'--size': must be in 1 .. 65,500, got 65501"),
        (("-o", "none/a.png"), "there is no folder"),
        (("--video", "a.png"), "cannot write a.png: the name must end in one of .mp4, .gif"),
        (("-o", "a.png", "--video", "none/a.gif"), "there is no folder"),
    ],
)
def test_bad_options(
    file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[object, ...],
    message: str,
) -> None:
    monkeypatch.chdir(file.parent)
    assert message in _fails(capsys, file, *options)
    assert list(file.parent.iterdir()) == [file]


def test_bad_stroke_files(file: Path, strokes: Strokes | Stamps, capsys: pytest.CaptureFixture[str]) -> None:
    output = file.with_name("a.png")
    assert f"cannot load {file.parent}/no.json: No such file" in _fails(capsys, file.parent / "no.json", "-o", output)
    assert "a stroke file ends in" in _fails(capsys, file.with_suffix(".png"), "-o", output)
    file.write_bytes(file.read_bytes()[:-9])
    assert f"cannot load {file}: it is truncated" in _fails(capsys, file, "-o", output)
    save_strokes(file, type(strokes).cat([strokes, strokes], dim=0), canvas=CANVAS)
    assert "must hold one painting of 1 or 3 channels, got 2 paintings" in _fails(capsys, file, "-o", output)
    save_strokes(file, strokes, canvas=CANVAS, color_space="linear")
    assert "its colours must be srgb, got linear" in _fails(capsys, file, "-o", output)
    assert not output.exists()


def test_interrupt_leaves_no_file(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "save", interrupted)
    status, out, err = _run(capsys, file, "-o", file.with_name("a.png"))
    assert (status, out) == (130, "") and "interrupted" in err
    assert list(file.parent.iterdir()) == [file]


LARGE = """
import resource, sys
from neural_paint.cli import main
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for suffix in (".png", ".jpg"):
    assert main(["render", sys.argv[1], "-o", sys.argv[1] + suffix, "--size", "4899"]) == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads kilobytes of memory")
def test_memory_is_bounded(file: Path, strokes: Strokes | Stamps) -> None:
    save_strokes(file, strokes[:, :2], canvas=CANVAS)
    command = [sys.executable, "-c", LARGE, str(file)]
    *_, grown = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    # 4 bytes a pixel, where float32 takes 12, and what a band takes.
    assert int(grown) * 1024 < 4 * 4899 * 3266 + 80e6
