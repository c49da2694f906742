"""Time-lapses end as the painting, and videos show their frames; nothing is lost where they cannot be written."""

from __future__ import annotations

import errno
import importlib
import os
import weakref
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from neural_paint import Stamps, Strokes, paint
from neural_paint.io import ImageError, load_strokes, save_strokes, save_video
from neural_paint.tasks import render, render_bands, timelapse
from neural_paint.tasks.lay import lay

av = pytest.importorskip("av")

BACKGROUND = (0.2, 0.5, 0.8)
CANVAS = (24, 40)


def some_strokes(count: int = 30) -> Strokes:
    """Strokes of which two thirds are textured."""
    center = torch.rand(1, count, 1, 2) * torch.tensor([40.0, 24.0])
    return Strokes(
        points=center + 6 * torch.randn(1, count, 3, 2),
        radius=1 + 3 * torch.rand(1, count, 2),
        color=torch.rand(1, count, 3),
        opacity=torch.rand(1, count),
        texture=torch.rand(2, 5, 7),
        texture_id=torch.arange(count)[None] % 3 - 1,
    )


def some_stamps(count: int = 30) -> Stamps:
    linear = torch.randn(1, count, 2, 2) + torch.eye(2)
    return Stamps(
        patches=torch.rand(2, 5, 7),
        transform=torch.cat([linear, torch.rand(1, count, 2, 1) * torch.tensor([[40.0], [24.0]])], -1),
        color=torch.rand(1, count, 3),
        opacity=torch.rand(1, count),
        patch_id=torch.arange(count)[None] % 2,
    )


KINDS = pytest.mark.parametrize("make", [some_strokes, some_stamps])


def background(height: int, width: int) -> torch.Tensor:
    return torch.tensor(BACKGROUND)[None, :, None, None].expand(1, 3, height, width)


@KINDS
@pytest.mark.parametrize(("frames", "hold"), [(1, 0), (2, 0), (9, 3), (100, 20)])
def test_timelapse_adds_strokes_in_order(make: Callable[[], Strokes | Stamps], frames: int, hold: int) -> None:
    strokes = make()
    shown = list(timelapse(strokes, CANVAS, BACKGROUND, CANVAS, frames, hold=hold))
    assert len(shown) == frames
    steps = [lay(strokes[:, :count], background(*CANVAS)) for count in range(31)]
    counts = [min(range(31), key=lambda count: (steps[count] - frame).abs().max()) for frame in shown]
    assert all((steps[count] - frame).abs().max() < 1e-5 for count, frame in zip(counts, shown, strict=True))
    assert counts == sorted(counts) and counts[-1 - hold :] == [30] * (hold + 1)
    if frames > 1:
        assert counts[0] == 0 < counts[1]
    if frames == 100:
        assert counts[40] < 15  # the first strokes, which are broad, take more time


def test_textured_strokes_keep_their_texture_at_every_size(tmp_path: Path) -> None:
    strokes = some_strokes()
    save_strokes(tmp_path / "a.safetensors", strokes, canvas=CANVAS, background=BACKGROUND)
    file = load_strokes(tmp_path / "a.safetensors")
    whole = paint(strokes.scaled(3.0), background(72, 120))
    plain = paint(strokes.scaled(3.0).replace(texture=None, texture_id=None), background(72, 120))
    assert (whole - plain).abs().max() > 0.1
    assert (render(file.strokes, CANVAS, BACKGROUND, (72, 120)) - whole).abs().max() < 1e-4
    *_, last = timelapse(file.strokes, CANVAS, BACKGROUND, (72, 120), 10)
    assert (last - whole).abs().max() < 1e-4


@KINDS
def test_bands_are_the_painting(make: Callable[[], Strokes | Stamps], monkeypatch: pytest.MonkeyPatch) -> None:
    strokes = make()
    whole = render(strokes, CANVAS, BACKGROUND, (72, 120))
    monkeypatch.setattr(importlib.import_module("neural_paint.tasks.render"), "_BAND_PIXELS", 1000)
    bands = list(render_bands(strokes, CANVAS, BACKGROUND, (72, 120)))
    assert [band.shape[2] for band in bands] == [8] * 9
    assert (torch.cat(bands, 2) - whole).abs().max() < 1e-4


@pytest.mark.parametrize(("frames", "hold"), [(0, 0), (5, 5), (5, -1)])
def test_timelapse_rejects_bad_lengths(frames: int, hold: int) -> None:
    with pytest.raises(ValueError, match=f"got {frames} and {hold}"):
        next(timelapse(some_strokes(), CANVAS, BACKGROUND, CANVAS, frames, hold=hold))


@KINDS
def test_several_paintings_are_refused(make: Callable[[], Strokes | Stamps]) -> None:
    strokes = type(make()).cat([make(), make()], dim=0)
    for work in (timelapse(strokes, CANVAS, BACKGROUND, CANVAS, 5), render_bands(strokes, CANVAS, BACKGROUND, CANVAS)):
        with pytest.raises(ValueError, match=r"one painting, \(1, N\), got \(2, 30\)"):
            next(work)


def decoded(path: Path) -> list[torch.Tensor]:
    """The frames of a video, exactly as BT.709 says."""
    with av.open(str(path)) as container:
        planes = [frame.to_ndarray(format="yuv444p") for frame in container.decode(video=0)]
    y, u, v = (torch.tensor(np.stack(planes)).float() - torch.tensor([16.0, 128, 128])[:, None, None]).unbind(1)
    y, u, v = y / 219, u / 224, v / 224
    return list(torch.stack([y + 1.5748 * v, y - 0.1873 * u - 0.4681 * v, y + 1.8556 * u], 1))


def flat(*color: float, size: tuple[int, int] = (32, 48)) -> torch.Tensor:
    return torch.tensor(color)[:, None, None].expand(-1, *size)


def test_mp4_plays_everywhere_in_the_right_colors(tmp_path: Path) -> None:
    colors = [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.8, 0.1, 0.1), (0.1, 0.1, 0.9), (0.5, 0.5, 0.5)]
    save_video(tmp_path / "a.mp4", (flat(*color) for color in colors for _ in range(4)), fps=12.5)
    frames = decoded(tmp_path / "a.mp4")
    assert len(frames) == 20
    for frame, color in zip(frames[3::4], colors, strict=True):
        assert (frame - flat(*color)).abs().max() < 4 / 255
    with av.open(str(tmp_path / "a.mp4")) as container:
        (stream,) = container.streams
        context = stream.codec_context
        assert (context.name, context.pix_fmt, stream.average_rate) == ("h264", "yuv420p", Fraction(25, 2))
        assert (context.color_range, context.colorspace, context.color_primaries, context.color_trc) == (1, 1, 1, 1)
        assert container.duration == 1_600_000  # microseconds
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # plays before it has come whole


@pytest.mark.parametrize(("size", "even"), [((1, 1), (2, 2)), ((70, 1), (70, 2)), ((3, 5), (4, 6)), ((16, 8), (16, 8))])
def test_mp4_has_even_sides(tmp_path: Path, size: tuple[int, int], even: tuple[int, int]) -> None:
    save_video(tmp_path / "a.mp4", [flat(0.6, size=size)] * 3)
    frames = decoded(tmp_path / "a.mp4")
    assert len(frames) == 3 and frames[0].shape[1:] == even
    assert (frames[0] - 0.6).abs().max() < 2 / 255


def gif_frames(path: Path) -> Iterator[tuple[np.ndarray, int]]:
    with Image.open(path) as image:
        for index in range(image.n_frames):
            image.seek(index)
            yield np.asarray(image.convert("RGB")).astype(int), image.info["duration"]


def test_gif_shows_the_frames_without_flicker(tmp_path: Path) -> None:
    frames = list(timelapse(some_strokes(), CANVAS, BACKGROUND, (48, 80), 30, hold=6))
    save_video(tmp_path / "a.gif", frames, fps=15)
    shown = list(gif_frames(tmp_path / "a.gif"))
    assert sum(duration for _, duration in shown) == 2000 and shown[-1][1] >= 400
    assert Image.open(tmp_path / "a.gif").info["loop"] == 0
    distinct = [frame for index, frame in enumerate(frames) if index == 0 or frame is not frames[index - 1]]
    before = None
    for (pixels, _), frame in zip(shown, distinct, strict=True):
        wanted = (frame[0] * 255).round().permute(1, 2, 0).numpy()
        assert np.abs(pixels - wanted).mean() < 1.5
        if before is not None:
            same = (wanted == before[1]).all(2)
            assert same.any() and np.array_equal(pixels[same], before[0][same])
        before = pixels, wanted


def test_gif_of_one_frame_and_grey(tmp_path: Path) -> None:
    save_video(tmp_path / "a.gif", [torch.linspace(0, 1, 60).reshape(1, 6, 10)], fps=2)
    ((pixels, duration),) = gif_frames(tmp_path / "a.gif")
    assert duration == 500 and np.array_equal(pixels[..., 0].ravel(), (torch.linspace(0, 255, 60)).round().numpy())


@pytest.mark.parametrize("suffix", ["mp4", "gif"])
def test_frames_are_let_go(tmp_path: Path, suffix: str) -> None:
    alive: list[weakref.ref] = []

    def frames() -> Iterator[torch.Tensor]:
        for _ in range(40):
            frame = torch.rand(3, 16, 16)
            alive.append(weakref.ref(frame))
            yield frame
            assert sum(reference() is not None for reference in alive) <= 2

    save_video(tmp_path / f"a.{suffix}", frames(), fps=20)
    assert len(alive) == 40


@pytest.mark.parametrize(
    ("name", "frames", "fps", "error", "message"),
    [
        ("a.avi", [flat(0.5)], 30, ImageError, r"must end in one of \.mp4, \.gif"),
        ("a.mp4", [], 30, ValueError, "at least one frame, got none"),
        ("a.mp4", [flat(0.5)], 0, ValueError, r"fps must be in \(0, 120\] for \.mp4, got 0"),
        ("a.gif", [flat(0.5)], 60, ValueError, r"fps must be in \(0, 50\] for \.gif, got 60"),
        ("a.gif", [flat(0.5), flat(0.5, size=(32, 49))], 30, ValueError, r"got \(1, 32, 49\) after \(1, 32, 48\)"),
        ("a.mp4", [flat(0.5), flat(0.5, 0.5)], 30, ValueError, "frame 1 must have shape"),
        ("a.mp4", [flat(0.5), flat(float("nan"))], 30, ImageError, r"frame 1: the image is nan at \(c, y, x\)"),
        ("a.mp4", [flat(0.5, size=(1, 8193))], 30, ImageError, r"\.mp4 holds at most 8192 pixels a side, got 8193"),
        ("none/a.mp4", [flat(0.5)], 30, FileNotFoundError, "there is no folder"),
    ],
)
def test_save_video_rejects(
    tmp_path: Path, name: str, frames: list[torch.Tensor], fps: float, error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        save_video(tmp_path / name, frames, fps)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("suffix", ["mp4", "gif"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.EIO, "broken")])
def test_failing_frames_keep_the_old_video(tmp_path: Path, suffix: str, error: BaseException) -> None:
    def frames() -> Iterator[torch.Tensor]:
        yield from (torch.rand(3, 16, 16) for _ in range(30))
        raise error

    path = tmp_path / f"a.{suffix}"
    path.write_bytes(b"old")
    with pytest.raises(type(error)):
        save_video(path, frames(), fps=20)
    assert os.listdir(tmp_path) == [path.name] and path.read_bytes() == b"old"


@pytest.mark.skipif(os.name != "posix", reason="limits the size of files")
@pytest.mark.parametrize("suffix", ["mp4", "gif"])
def test_no_room_for_the_video(tmp_path: Path, suffix: str) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(OSError) as caught:
            save_video(tmp_path / f"a.{suffix}", [torch.rand(3, 64, 64) for _ in range(10)], fps=20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.strerror == f"cannot write {tmp_path / f'a.{suffix}'}: File too large"
    assert os.listdir(tmp_path) == []
