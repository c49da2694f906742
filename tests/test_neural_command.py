"""`neural-paint paint --painter neural`, and `render` of the actions that it saves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from command_line import QUICK, fails, run

from neural_paint import ActionStrokes, Strokes
from neural_paint.io import demo_photo, load_image, load_strokes, save_image, save_strokes
from neural_paint.painters import DabPainter, GANPainter, load_painter, save_painter
from neural_paint.painters.digest import digest
from neural_paint.tasks.lay import lay

NEURAL = ("--painter", "neural")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A painter as it is before training."""
    save_painter(DabPainter(dabs=32, width=4), tmp_path / "dab.safetensors")
    return tmp_path / "dab.safetensors"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    save_image(tmp_path / "photo.png", load_image(demo_photo(), size=60))
    return tmp_path / "photo.png"


def save_actions(path: Path, count: int = 30, **header: object) -> ActionStrokes:
    place = torch.cat([40 * torch.rand(1, count, 2) - 10, 4 + 20 * torch.rand(1, count, 1)], -1)
    strokes = ActionStrokes(actions=torch.rand(1, count, 12), place=place)
    save_strokes(path, strokes, canvas=(20, 30), background=(0.1, 0.6, 0.9), **header)  # type: ignore[arg-type]
    return strokes


def test_paints_saves_and_renders_again(
    photo: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, saved, again = tmp_path / "a.png", tmp_path / "a.json", tmp_path / "b.png"
    files = ("-o", output, "--save", saved, "--video", ".gif", "--video-seconds", "0.5", "--size", 90)
    status, out, _ = run(capsys, "paint", photo, *files, *NEURAL, "--weights", weights, *QUICK)
    assert status == 0 and "90 x 60 pixels, 12 strokes" in out
    file = load_strokes(saved)
    assert isinstance(file.strokes, ActionStrokes) and file.strokes.shape == (1, 12)
    known = {"kind": "dab", "name": "dab.safetensors", "sha256": digest(load_painter(weights))}
    assert file.metadata["painter"] == known and "brush" not in file.metadata
    assert output.with_suffix(".gif").exists()
    assert run(capsys, "render", saved, "-o", again, "--weights", weights)[:2] == (
        0,
        f"{again}: 90 x 60 pixels, 12 strokes\n",
    )
    assert output.read_bytes() == again.read_bytes()


@pytest.mark.parametrize(("options", "factor"), [((), 1), (("--size", 240), 8)])
def test_renders_actions_at_any_size(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[object, ...], factor: int
) -> None:
    strokes = save_actions(tmp_path / "a.safetensors")
    output = tmp_path / "a.png"
    assert run(capsys, "render", tmp_path / "a.safetensors", "-o", output, "--weights", weights, *options)[0] == 0
    under = torch.tensor([0.1, 0.6, 0.9])[None, :, None, None].expand(1, 3, 20 * factor, 30 * factor)
    painted = lay(strokes.scaled(factor), under, load_painter(weights))
    assert (load_image(output) - painted).abs().max() < 0.6 / 255


def test_says_where_another_painter_painted(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved, other = tmp_path / "a.json", tmp_path / "gan.safetensors"
    save_painter(GANPainter(dim=4), other)
    for painter, said in ((weights, ""), (other, f"{saved} was painted by another painter, dab.safetensors: its")):
        record = {"kind": "dab", "name": "dab.safetensors", "sha256": digest(load_painter(weights))}
        save_actions(saved, metadata={"painter": record})
        status, _, err = run(capsys, "render", saved, "-o", tmp_path / "a.png", "--weights", painter)
        assert status == 0 and said in err and bool(said) == ("another" in err)


def test_bad_options(photo: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "a.png"
    (tmp_path / "text.safetensors").write_text("a text, and long enough to be one")
    for options, message in (
        (("--painter", "robot"), "'--painter'"),
        ((*NEURAL, "--brush", "dry"), "'--brush': it is for --painter optimise"),
        (("--weights", weights), "'--weights': it is for --painter neural"),
        ((*NEURAL, "--weights", tmp_path / "no.safetensors"), f"cannot load {tmp_path / 'no.safetensors'}: No such"),
        ((*NEURAL, "--weights", tmp_path / "text.safetensors"), "'--weights': cannot load"),
        ((*NEURAL, "--weights", weights, "--save", weights), f"cannot write {weights}: it is the brush or the painter"),
    ):
        assert message in fails(capsys, "paint", photo, "-o", output, *options)
    bezier = Strokes(
        points=torch.rand(1, 2, 3, 2), radius=torch.ones(1, 2, 2), color=torch.rand(1, 2, 3), opacity=torch.ones(1, 2)
    )
    save_strokes(tmp_path / "b.json", bezier, canvas=(8, 8))
    message = f"--weights is for strokes that are actions, and those of {tmp_path / 'b.json'} are not"
    assert message in fails(capsys, "render", tmp_path / "b.json", "-o", output, "--weights", weights)
    assert not output.exists()


LARGE = """
import resource, sys
from neural_paint.cli import main
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert main(["render", sys.argv[1], "-o", sys.argv[1] + ".png", "--size", "4899", "--weights", sys.argv[2]]) == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads kilobytes of memory")
def test_memory_is_bounded(weights: Path, tmp_path: Path) -> None:
    save_actions(tmp_path / "a.safetensors", 400)
    command = [sys.executable, "-c", LARGE, str(tmp_path / "a.safetensors"), str(weights)]
    *_, grown = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    # 4 bytes a pixel, a band and the masks of a run; all masks at once would take 420 MB.
    assert int(grown) * 1024 < 4 * 4899 * 3266 + 250e6
