"""Brushes of the user's own: what an image file becomes, how it paints, and `--brush my-brush.png`."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import QUICK, fails, run
from PIL import Image

from neural_paint import Stamps
from neural_paint.brushes import BitmapBrush, Brush
from neural_paint.io import ImageError, demo_photo, load_brush, load_image, load_strokes
from neural_paint.io.brushes import MAX_TEXELS
from neural_paint.tasks import reconstruct, render
from neural_paint.tasks.placement import place
from neural_paint.tasks.stamp_parameters import StampParameters


def wedge(height: int = 12, width: int = 30) -> np.ndarray:
    """Alpha in [0, 1]: full at the left, thinner and fainter to the right."""
    across, along = np.linspace(-1, 1, height)[:, None], np.linspace(0, 1, width)
    return np.where(np.abs(across) <= 1 - 0.7 * along, 1 - 0.6 * along, 0.0)


def save_alpha(path: Path, alpha: np.ndarray, margin: int = 5) -> Path:
    """An image that is black where it is opaque, and white where it is transparent."""
    alpha = np.pad(alpha, margin)
    grey = np.where(alpha > 0, 0, 255)
    Image.fromarray(np.stack([grey, alpha * 255], -1).round().astype(np.uint8), "LA").save(path)
    return path


def save_dark(path: Path, alpha: np.ndarray, margin: int = 5) -> Path:
    Image.fromarray((255 - 255 * np.pad(alpha, margin)).round().astype(np.uint8)).save(path)
    return path


@pytest.fixture
def tip(tmp_path: Path) -> Path:
    return save_alpha(tmp_path / "my-brush.png", wedge())


@pytest.mark.parametrize("save", [save_alpha, save_dark])
def test_paint_is_what_is_opaque_or_dark(tmp_path: Path, save: object) -> None:
    patch = load_brush(save(tmp_path / "a.png", wedge())).patch  # type: ignore[operator]
    assert patch.shape == (1, 12, 30) and patch.dtype == torch.float32
    assert (patch[0] - torch.from_numpy(wedge())).abs().max() < 0.51 / 255


def test_an_alpha_that_is_opaque_everywhere_says_nothing(tmp_path: Path) -> None:
    grey = (255 - 255 * np.pad(wedge(), 2)).round().astype(np.uint8)
    opaque = Image.merge("LA", (Image.fromarray(grey), Image.new("L", grey.shape[::-1], 255)))
    opaque.save(tmp_path / "a.png")
    assert load_brush(tmp_path / "a.png").patch.shape == (1, 12, 30)


def test_colours_count_by_their_lightness(tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 1), "white")
    for x, color in enumerate(("black", "red", "lime", "blue")):
        image.putpixel((x, 0), Image.new("RGB", (1, 1), color).getpixel((0, 0)))
    image.save(tmp_path / "a.png")
    black, red, green, blue = load_brush(str(tmp_path / "a.png")).patch[0, 0].tolist()
    assert (black, red, green, blue) == pytest.approx((1, 0.7874, 0.2848, 0.9278), abs=1e-3)


def test_scanned_paper_is_cut_off(tmp_path: Path) -> None:
    paper = np.random.default_rng(0).uniform(0, 3 / 255, (60, 80))
    paper[20:32, 30:60] = wedge()
    assert load_brush(save_dark(tmp_path / "a.png", paper, margin=0)).patch.shape == (1, 12, 30)


@pytest.mark.parametrize(("size", "reduced"), [((1000, 500), (256, 128)), ((3, 2000), (1, 256)), ((256, 9), (256, 9))])
def test_large_brushes_are_reduced(tmp_path: Path, size: tuple[int, int], reduced: tuple[int, int]) -> None:
    alpha = 0.2 + 0.8 * np.random.default_rng(0).random(size)
    patch = load_brush(save_alpha(tmp_path / "a.png", alpha)).patch
    assert patch.shape[1:] == reduced and max(reduced) <= MAX_TEXELS
    assert patch.mean() == pytest.approx(alpha.mean(), abs=0.02)


def test_exif_turns_a_brush_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray((255 - 255 * wedge()).astype(np.uint8)).save(tmp_path / "a.jpg", exif=exif, quality=100)
    assert load_brush(tmp_path / "a.jpg").patch.shape == (1, 30, 12)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        (b"no image", "it is not an image of a known format"),
        (Image.new("RGBA", (9, 9), (0, 0, 0, 0)), "it is empty, all of it is transparent or white"),
        (Image.new("L", (9, 9), 255), "it is empty, all of it is transparent or white"),
    ],
)
def test_bad_brush_files(tmp_path: Path, content: bytes | Image.Image | None, message: str) -> None:
    path = tmp_path / "a.png"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        content.save(path)
    with pytest.raises(ImageError, match=f"cannot read brush {path}: {message}"):
        load_brush(path)


@pytest.mark.parametrize(
    ("patch", "error", "message"),
    [
        (torch.ones(1, 4, 4, dtype=torch.uint8), TypeError, "patch must be a floating tensor, got torch.uint8"),
        ("a.png", TypeError, "patch must be a floating tensor, got str"),
        (torch.ones(4, 4), ValueError, r"patch must have shape \(1, h, w\) without an empty side, got \(4, 4\)"),
        (torch.ones(1, 0, 4), ValueError, "without an empty side"),
        (torch.full((1, 4, 4), 1.5), ValueError, r"patch must be in \[0, 1\]"),
        (torch.full((1, 4, 4), math.nan), ValueError, "got values outside or nan"),
        (torch.zeros(1, 4, 4), ValueError, "patch must have alpha somewhere"),
    ],
)
def test_rejects_bad_patches(patch: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        BitmapBrush(patch)  # type: ignore[arg-type]


def test_a_brush_of_ones_own_formula_paints_too() -> None:
    *_, step = reconstruct(load_image(demo_photo(), size=32), 12, steps=6, brush=Brush(None, radius=0.2))
    assert step.strokes.num_strokes == 12


@pytest.mark.parametrize("turned", [False, True])
def test_stamps_lie_along_the_edge(turned: bool) -> None:
    """With their long axis, however the picture of the brush lies; all of one shape."""
    photo = torch.zeros(1, 3, 64, 64)
    photo[..., 40:44] = 1  # a white vertical bar
    patch = torch.from_numpy(wedge()).float()[None]
    brush = BitmapBrush(patch.mT.contiguous() if turned else patch)
    parameters = StampParameters(1, 3, 20, 8.0, brush, photo)
    generator = torch.Generator().manual_seed(0)
    parameters.append(place(photo, torch.zeros_like(photo), 20, 2.0, generator), 2.0, generator)
    linear = parameters.strokes().validate().transform[0, :, :, :2]
    along = linear[..., 1 if turned else 0]
    assert (along[:, 1].abs() > 5 * along[:, 0].abs()).float().mean() > 0.9
    # Similarities: turned and scaled, not sheared.
    square = linear.mT @ linear
    torch.testing.assert_close(square, square[:, :1, :1] * torch.eye(2), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("height", [2, 30])
def test_stamps_are_as_large_as_they_are_placed(height: int) -> None:
    brush = BitmapBrush(torch.ones(1, height, 30))
    photo = torch.rand(1, 3, 48, 48)
    parameters = StampParameters(1, 3, 10, 8.0, brush, photo)
    generator = torch.Generator().manual_seed(0)
    parameters.append(place(photo, torch.zeros_like(photo), 5, 3.0, generator), 3.0, generator)
    small, large = parameters.count, parameters.strokes()
    parameters.append(place(photo, torch.zeros_like(photo), 5, 6.0, generator), 6.0, generator)
    areas = parameters.strokes().transform[0, :, :, :2].det() * brush.patch.sum()
    torch.testing.assert_close(areas[5:], 4 * areas[:5], rtol=1e-3, atol=0)
    assert small == large.num_strokes == 5
    assert 2 * 3.0**2 < areas[0] < 20 * 3.0**2


def test_stamps_keep_to_their_brush() -> None:
    photo = load_image(demo_photo(), size=48)
    brush = BitmapBrush(torch.from_numpy(wedge()).float()[None], opacity=0.6)
    for step in reconstruct(photo, 40, steps=30, brush=brush):
        stamps = step.strokes.validate()
        assert isinstance(stamps, Stamps) and torch.equal(stamps.patches, brush.patch)
        assert stamps.opacity is not None and stamps.opacity.min() >= 0.6
    flat = (photo - photo.mean((2, 3), keepdim=True)).square().mean()
    assert step.psnr > -10 * float(flat.log10()) + 3


def test_large_stamps_are_painted_in_full_detail() -> None:
    """The painter works with a reduced patch, and hands out the whole one, by which it is judged in the end."""
    photo = load_image(demo_photo(), size=48)
    patch = 0.5 + 0.5 * torch.rand(1, 40, 200)
    *_, step, last = reconstruct(photo, 20, steps=8, brush=BitmapBrush(patch))
    size = photo.shape[2:]
    again, finished = (render(x.strokes, size, x.background[0].tolist(), size) for x in (step, last))
    assert torch.equal(step.strokes.patches, patch)
    assert (again - step.canvas).abs().max() > 0 and (again - step.canvas).square().mean().sqrt() < 0.02
    torch.testing.assert_close(last.canvas, finished)
    torch.testing.assert_close(last.mse[0], (finished - photo).square().mean())


def test_command_line(photo: Path, tip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output, saved, again = tmp_path / "a.png", tmp_path / "a.json", tmp_path / "b.png"
    video = tmp_path / "a.gif"
    files = ("-o", output, "--save", saved, "--video", video, "--video-seconds", "0.5", "--size", 90)
    status, out, err = run(capsys, "paint", photo, *files, "--brush", tip, *QUICK)
    assert (status, err) == (0, "") and "90 x 60 pixels, 12 strokes" in out
    file = load_strokes(saved)
    assert isinstance(file.strokes, Stamps) and file.metadata["brush"] == "my-brush.png"
    assert video.exists()
    assert run(capsys, "render", saved, "-o", again)[0] == 0
    assert output.read_bytes() == again.read_bytes()


def test_a_name_is_the_brush_of_that_name(
    photo: Path, tip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tip.rename(tmp_path / "dry")
    saved = tmp_path / "a.json"
    for brush, is_bitmap in (("dry", False), ("./dry", True)):
        assert run(capsys, "paint", photo, "-o", "a.png", "--save", saved, "--brush", brush, *QUICK)[0] == 0
        assert isinstance(load_strokes(saved).strokes, Stamps) == is_bitmap


def test_bad_brushes(photo: Path, tip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "a.png"
    message = fails(capsys, "paint", photo, "-o", output, "--brush", "broom.png")
    assert "'--brush': must be one of round, dry, " in message
    assert "or an image file, and there is no file broom.png" in message
    assert f"cannot read brush {tmp_path}: it is a folder" in fails(
        capsys, "paint", photo, "-o", output, "--brush", tmp_path
    )
    assert not output.exists()
    before = tip.read_bytes()
    assert f"cannot write {tip}: it is the brush" in fails(capsys, "paint", photo, "-o", tip, "--brush", tip)
    assert tip.read_bytes() == before
