"""`neural-paint paint --painter neural`, and `render` of the actions that it saves."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import QUICK, fails, run
from PIL import Image

from neural_paint import ActionStrokes, Strokes
from neural_paint.io import demo_photo, load_image, load_strokes, save_image, save_strokes
from neural_paint.painters import DabPainter, GANPainter, load_painter, save_painter
from neural_paint.painters.digest import digest
from neural_paint.painters.pretrained import FILES
from neural_paint.tasks.lay import lay

NEURAL = ("--painter", "neural")
SEED = ("--seed", "1")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A painter as it is before training."""
    save_painter(DabPainter(dabs=32, width=4), tmp_path / "dab.safetensors")
    return tmp_path / "dab.safetensors"


@pytest.fixture
def painters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the painters that come with the package: two, as they are before training."""
    folder = tmp_path / "painters"
    for name, dabs in (("dry_brush", 32), ("charcoal", 8)):
        folder.mkdir(exist_ok=True)
        save_painter(DabPainter(dabs=dabs, width=4), folder / f"{name}.safetensors")
        (folder / f"{name}.json").write_text(json.dumps({"brush": f"classic/{name}"}))
    monkeypatch.setattr("neural_paint.painters.pretrained.FILES", replace(FILES, folder=folder))
    return folder


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


@pytest.mark.parametrize(("options", "name"), [((), "dry_brush"), (("--brush", "charcoal"), "charcoal")])
def test_painters_of_the_package_go_by_their_brush(
    photo: Path,
    painters: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    name: str,
) -> None:
    output, saved, again = tmp_path / "a.png", tmp_path / "a.json", tmp_path / "b.png"
    assert run(capsys, "paint", photo, "-o", output, "--save", saved, *NEURAL, *options, *QUICK)[0] == 0
    known = {"kind": "dab", "name": name, "brush": f"classic/{name}"}
    known["sha256"] = digest(load_painter(painters / f"{name}.safetensors"))
    assert load_strokes(saved).metadata["painter"] == known
    status, _, err = run(capsys, "render", saved, "-o", again)
    assert status == 0 and "another" not in err and output.read_bytes() == again.read_bytes()
    save_painter(DabPainter(dabs=5, width=4), painters / f"{name}.safetensors")
    status, _, err = run(capsys, "render", saved, "-o", again)
    assert status == 0 and f"{saved} was painted by another painter, {name}: its strokes" in err


@pytest.mark.parametrize("record", [None, 3, {}, {"name": ["charcoal"]}, {"name": "broom", "sha256": "0"}])
def test_renders_with_the_default_where_no_painter_of_the_package_is_recorded(
    painters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], record: object
) -> None:
    saved, output, expected = tmp_path / "a.json", tmp_path / "a.png", tmp_path / "b.png"
    save_actions(saved, metadata={"painter": record})
    status, _, err = run(capsys, "render", saved, "-o", output)
    assert status == 0 and ("painted by another painter, broom" in err) == ("broom" in str(record))
    run(capsys, "render", saved, "-o", expected, "--weights", painters / "dry_brush.safetensors")
    assert output.read_bytes() == expected.read_bytes()


def test_speckle_is_painted_saved_and_rendered(
    photo: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, said = {}, {}
    for name, options in (("smooth", ()), ("a", ("--speckle",)), ("b", ("--speckle",)), ("c", ("--speckle", *SEED))):
        output, saved = tmp_path / f"{name}.png", tmp_path / f"{name}.json"
        options = ("-o", output, "--save", saved, *NEURAL, "--weights", weights, *options, *QUICK)
        status, out, _ = run(capsys, "paint", photo, *options)
        assert status == 0
        files[name], said[name] = load_strokes(saved).strokes, out.split(" dB ")[0].split(", ")[-1]
    smooth, first, again, other = (load_image(tmp_path / f"{name}.png") for name in files)
    assert files["smooth"].fields().keys() == {"actions", "place"}
    assert torch.equal(files["a"].replace(seed=None).actions, files["smooth"].actions)
    assert said["a"] == said["smooth"] and torch.equal(first, again)
    assert (first - smooth).abs().max() > 0.1 and (first - other).abs().max() > 0.1
    assert len(files["a"].seed.unique()) == 12 and not torch.equal(files["a"].seed, files["c"].seed)
    output, movie = tmp_path / "d.png", tmp_path / "d.gif"
    options = ("-o", output, "--video", movie, "--video-seconds", "0.5", "--weights", weights)
    assert run(capsys, "render", tmp_path / "a.json", *options)[0] == 0
    assert torch.equal(load_image(output), first)
    with Image.open(movie) as frames:
        frames.seek(frames.n_frames - 1)
        frame = torch.from_numpy(np.asarray(frames.convert("RGB")) / 255).permute(2, 0, 1)[None]
    assert (frame - first).square().mean() < 0.3 * (frame - smooth).square().mean()


def test_bad_options(
    photo: Path, weights: Path, painters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, silent = tmp_path / "a.png", tmp_path / "gan.safetensors"
    save_painter(GANPainter(dim=4, noise_size=0), silent)
    (tmp_path / "text.safetensors").write_text("a text, and long enough to be one")
    for options, message in (
        (("--painter", "robot"), "'--painter'"),
        ((*NEURAL, "--brush", "dry"), "'--brush': must be one of dry_brush, charcoal with --painter neural, got dry"),
        (
            (*NEURAL, "--brush", "charcoal", "--weights", weights),
            "'--brush': --brush and --weights exclude each other",
        ),
        ((*NEURAL, "--weights", silent, "--speckle"), "'--speckle': the painter has no noise"),
        (("--weights", weights), "'--weights': it is for --painter neural"),
        (("--speckle",), "'--speckle': it is for --painter neural"),
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
