"""Several photographs in one run: names of files, one line each, failures that stop no other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from neural_paint.cli import main
from neural_paint.io import load_image, load_strokes, save_image
from neural_paint.paint_jobs import plan_jobs
from neural_paint.tasks import reconstruct

_QUICK = ("--strokes", "5", "--steps", "3", "--fit", "16")


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / name for name in ("a.png", "b.jpg", "c.d.webp")]
    for side, path in enumerate(paths, 20):
        save_image(path, torch.rand(1, 3, side, 24))
    return paths


def _run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str], list[str]]:
    status = main(["paint", *map(str, arguments), *_QUICK])
    out, err = capsys.readouterr()
    return status, out.splitlines(), err.splitlines()


def test_each_photograph_is_painted(photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "paintings"
    status, out, err = _run(
        capsys, *photos, "-o", folder, "--save", ".json", "--video", ".gif", "--video-seconds", "0.5"
    )
    assert (status, err) == (0, [])
    for line, name, side in zip(out, ("a", "b", "c.d"), (20, 21, 22), strict=True):
        picture, strokes, video = (folder / f"{name}.{suffix}" for suffix in ("png", "json", "gif"))
        assert line.startswith(f"{picture}, {strokes} and {video}: 24 x {side} pixels, 5 strokes, 3 steps")
        assert load_image(picture).shape == (1, 3, side, 24)
        assert load_strokes(strokes).metadata["photo"].startswith(f"{name}.")
        assert video.stat().st_size > 100
    assert len(list(folder.iterdir())) == 9


def test_a_failure_stops_no_other(photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out" / "b.png").mkdir(parents=True)
    missing = tmp_path / "missing.jpg"
    status, out, err = _run(capsys, photos[0], missing, *photos[1:], "-o", tmp_path / "out")
    assert status == 1
    assert [line.split(":")[0] for line in out] == [str(tmp_path / "out" / name) for name in ("a.png", "c.d.png")]
    assert err == [
        f"neural-paint: cannot read {missing}: there is no such file",
        f"neural-paint: cannot write {tmp_path / 'out' / 'b.png'}: it is a folder",
    ]


def test_an_interrupt_ends_the_run(
    photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object, **options: object) -> object:
        for step in reconstruct(*arguments, **options):  # type: ignore[arg-type]
            os.kill(os.getpid(), 2)
            yield step

    monkeypatch.setattr("neural_paint.paint_command.reconstruct", interrupted)
    status, out, err = _run(capsys, *photos, "-o", tmp_path / "out")
    assert status == 130
    assert len(out) == 1 and ", 1 steps, " in out[0]
    assert err[-1] == "neural-paint: 2 of 3 photographs are left unpainted"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]


def test_one_photograph_into_a_folder(photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _run(capsys, photos[1], "-o", f"{tmp_path}/new/")
    assert status == 0 and out[0].startswith(f"{tmp_path}/new/b.png: ")


@pytest.mark.parametrize(
    ("photos", "output", "save", "video", "message"),
    [
        (["a.jpg", "b.jpg"], "painting.png", None, None, "--output must be a folder for several photographs"),
        (["a.jpg", "b.jpg"], "out", "s.json", None, "--save must be only an ending .* such as .json, got s.json"),
        (["a.jpg", "b.jpg"], "out", None, "v.mp4", "--video must be only an ending .* such as .mp4, got v.mp4"),
        (["x/a.jpg", "y/a.jpg"], "out", None, None, "cannot write out/a.png: two photographs would be painted to it"),
        (["a.jpg", "b.png"], ".", None, None, "cannot write b.png: it is the photograph"),
        (["a.jpg"], "out", None, None, "the name must end in one of .png"),
        (["a.jpg"], "a.png", ".xml", None, "a stroke file ends in .safetensors or .json, got a.xml"),
        (["a.jpg"], "a.png", None, ".avi", "cannot write a.avi: the name must end in one of .mp4, .gif"),
    ],
)
def test_names_that_cannot_be(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    photos: list[str],
    output: str,
    save: str | None,
    video: str | None,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        plan_jobs([Path(photo) for photo in photos], output, save, video)
    assert list(tmp_path.iterdir()) == []


def test_names_of_one_photograph() -> None:
    (job,) = plan_jobs([Path("cat.jpg")], "my.cat.png", ".json", "film/other.mp4")
    assert job.files.outputs == [Path("my.cat.png"), Path("my.cat.json"), Path("film/other.mp4")]
