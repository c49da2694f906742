"""No finished work is lost: full disks, lacking memory, interrupts."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from command_line import QUICK, fails, run

from neural_paint.io import load_image, load_strokes


def _full_disk(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Files can be opened in `folder`, but hold nothing."""
    write = Path.open

    def open_(path: Path, mode: str = "r", *arguments: object) -> object:
        if path.parent == folder and "x" in mode:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, mode, *arguments)

    monkeypatch.setattr(Path, "open", open_)


def test_full_disk_keeps_the_work(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    full, spare = tmp_path / "full", tmp_path / "spare"
    full.mkdir()
    spare.mkdir()
    _full_disk(monkeypatch, full)
    monkeypatch.setattr(tempfile, "tempdir", str(spare))
    message = fails(capsys, "paint", photo, "-o", full / "painting.png", *QUICK)
    (folder,) = spare.iterdir()
    painting, strokes = folder / "painting.png", folder / "strokes.safetensors"
    assert f"cannot write {full}/painting.png: No space left on device; " in message
    assert f"the work is in {painting} and {strokes}" in message
    assert load_image(painting).shape == (1, 3, 30, 45)
    assert load_strokes(strokes).strokes.shape == (1, 12)
    assert list(full.iterdir()) == []


def test_full_disks_everywhere(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_folder(**_: object) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    _full_disk(monkeypatch, tmp_path)
    monkeypatch.setattr(tempfile, "mkdtemp", no_folder)
    message = fails(capsys, "paint", photo, "-o", tmp_path / "painting.png", *QUICK)
    assert "it could not be written elsewhere either" in message


def test_no_memory_for_the_painting_keeps_the_strokes(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(*_: object, **__: object) -> torch.Tensor:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] not enough memory")

    monkeypatch.setattr("neural_paint.painting_files.render_bands", too_large)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    message = fails(capsys, "paint", photo, "-o", tmp_path / "painting.png", *QUICK)
    (strokes,) = tmp_path.glob("neural-paint-*/strokes.safetensors")
    assert "not enough memory" in message and f"the work is in {strokes}" in message


@pytest.mark.parametrize("saved", [True, False])
def test_no_room_for_the_video_keeps_the_rest(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, saved: bool
) -> None:
    full, spare = tmp_path / "full", tmp_path / "spare"
    full.mkdir()
    spare.mkdir()
    _full_disk(monkeypatch, full)
    monkeypatch.setattr(tempfile, "tempdir", str(spare))
    output, video = tmp_path / "painting.png", full / "painting.gif"
    save = ("--save", ".json") if saved else ()
    status, out, err = run(capsys, "paint", photo, "-o", output, "--video", video, *save, *QUICK)
    assert status == 1 and load_image(output).shape == (1, 3, 30, 45)
    assert out.startswith(f"{output} and {tmp_path}/painting.json: " if saved else f"{output}: ")
    assert err.startswith(f"neural-paint: cannot write {video}: No space left on device")
    strokes = [tmp_path / "painting.json"] if saved else list(spare.glob("*/strokes.safetensors"))
    assert load_strokes(strokes[0]).strokes.shape == (1, 12) and (str(strokes[0]) in err) != saved
    assert list(full.iterdir()) == []


@pytest.mark.parametrize("during", ["save_bands", "save_video"])
def test_interrupt_while_writing(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, during: str
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"neural_paint.painting_files.{during}", interrupted)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    output, video = tmp_path / "painting.png", tmp_path / "painting.mp4"
    status, out, err = run(capsys, "paint", photo, "-o", output, "--video", video, *QUICK)
    rescued = list(tmp_path.glob("*/strokes.safetensors"))
    assert status == 130 and not video.exists()
    if during == "save_video":
        assert out.startswith(f"{output}: 45 x 30 pixels") and output.exists() and rescued == []
        assert err == f"neural-paint: interrupted before {video} was written\n"
    else:
        assert out == "" and load_strokes(rescued[0]).strokes.shape == (1, 12)
        assert err == f"neural-paint: interrupted before {output} was written; the work is in {rescued[0]}\n"


@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupt_keeps_the_work(photo: Path, tmp_path: Path, number: signal.Signals, status: int) -> None:
    output, save = tmp_path / "painting.png", tmp_path / "painting.json"
    command = [sys.executable, "-m", "neural_paint", "paint", str(photo), "-o", str(output), "--save", str(save)]
    process = subprocess.Popen(
        [*command, "--strokes", "10", "--seconds", "300"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()  # the first report of progress
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert " dB, " in line
    assert process.returncode == status
    assert f"stopped by {number.name}, writing the painting as it is" in err and "Traceback" not in err
    assert out.startswith(f"{output} and {save}: 45 x 30 pixels")
    assert load_image(output).shape == (1, 3, 30, 45)
    load_strokes(save)


def test_interrupt_before_the_work(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> torch.Tensor:
        raise KeyboardInterrupt

    monkeypatch.setattr("neural_paint.paint_command.load_image", interrupted)
    status, _, err = run(capsys, "paint", photo, "-o", tmp_path / "painting.png")
    assert (status, err) == (130, "neural-paint: interrupted before the painting was written\n")
