"""Trainings that are stopped, killed, damaged and gone on with, by the command line and without."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from command_line import fails, run
from stroke_sets import MemoryStrokes, write_strokes
from tiny_trainings import tiny

from neural_paint.io.stroke_codecs import decode_safetensors
from neural_paint.painters import load_painter
from neural_paint.painters.training.gan import GANRecipe
from neural_paint.training import Run
from neural_paint.training.checkpoints import Checkpoint, checkpoints, load_checkpoint, save_checkpoint

HERE = Path(__file__).resolve().parent

# Of the command line: what `quick` takes is finished after eight steps, with checkpoints at 2, 4, 6 and 8.
SETTINGS = {"log_every": 1, "checkpoint_every": 2, "evaluate_every": 3, "critic_dim": 4, "painter.dim": 4}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_strokes(tmp_path_factory.mktemp("data") / "strokes")


def quick(data: Path, folder: Path, *more: object) -> list[object]:
    settings = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    common = ["train-painter", "--data", data, "-o", folder, "--device", "cpu"]
    return [*common, "--recipe", "gan", "--steps", 8, "--batch-size", 8, *settings, *more]


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> Path:
    """A training that nothing stopped."""
    from neural_paint.cli import main

    folder = tmp_path_factory.mktemp("whole") / "run"
    torch.use_deterministic_algorithms(True, warn_only=True)
    assert main(list(map(str, quick(data, folder)))) == 0
    return folder


def assert_same_training(folder: Path, whole: Path) -> None:
    for name in ("log.jsonl", "config.json"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name
    for name in ("painter.safetensors", "checkpoint-0000000008.safetensors"):
        one, other = (decode_safetensors((path / name).read_bytes()) for path in (folder, whole))
        assert one[0] | {"seconds": 0} == other[0] | {"seconds": 0} and one[1].keys() == other[1].keys()
        assert all(torch.equal(one[1][key], other[1][key]) for key in one[1]), name
    assert not list(folder.glob(".neural-paint-*"))


def test_training_leaves_a_painter(whole, data, capsys):
    names = sorted(path.name for path in whole.iterdir())
    kept = ["checkpoint-0000000006.safetensors", "checkpoint-0000000008.safetensors"]
    assert names == [*kept, "config.json", "evaluation.json", "log.jsonl", "painter.safetensors", "tensorboard"]
    assert load_painter(whole / "painter.safetensors").architecture()["dim"] == 4
    assert len((whole / "log.jsonl").read_text().splitlines()) == 8 + 2
    status, out, _ = run(capsys, *quick(data, whole))
    assert status == 0 and out == f"{whole}: finished already, 8 steps\n"


KILL = """
import os, signal, sys
replace = os.replace
def killed(source, target):
    if "checkpoint-0000000004" in str(target):
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
os.replace = killed
import torch
torch.use_deterministic_algorithms(True, warn_only=True)
from neural_paint.cli import main
main(sys.argv[1:])
"""


def test_killed_while_a_checkpoint_is_written(data, whole, tmp_path, capsys):
    arguments = list(map(str, quick(data, tmp_path)))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])}
    killed = subprocess.run([sys.executable, "-c", KILL, *arguments], env=environment, capture_output=True, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert list(tmp_path.glob(".neural-paint-*.tmp")) and len(checkpoints(tmp_path)) == 1
    assert (tmp_path / "log.jsonl").read_text().count("\n") == 5
    status, out, _ = run(capsys, *arguments)
    assert status == 0 and out.startswith(f"{tmp_path / 'painter.safetensors'}: 8 steps; on ")
    assert_same_training(tmp_path, whole)


def test_interrupted_after_a_step(data, whole, tmp_path, capsys, monkeypatch):
    take, taken = GANRecipe.batch, []

    def interrupt(self, tensors):
        taken.append(tensors)
        if len(taken) == 5:
            monkeypatch.undo()
            os.kill(os.getpid(), signal.SIGINT)
        return take(self, tensors)

    monkeypatch.setattr(GANRecipe, "batch", interrupt)
    status, out, err = run(capsys, *quick(data, tmp_path))
    assert status == 130 and out == ""
    assert "neural-paint: stopped by SIGINT after 5 steps, which are saved; the same command goes on\n" in err
    status, _, _ = run(capsys, "train-painter", "--resume", "--data", data, "-o", tmp_path, "--device", "cpu")
    assert status == 0
    assert_same_training(tmp_path, whole)


def copied(whole: Path, folder: Path, *, without: tuple[str, ...]) -> None:
    for path in whole.iterdir():
        if path.is_file() and path.name not in without:
            (folder / path.name).write_bytes(path.read_bytes())


def test_damaged_newest_checkpoint(data, whole, tmp_path, capsys):
    copied(whole, tmp_path, without=("evaluation.json", "painter.safetensors"))
    newest = tmp_path / "checkpoint-0000000008.safetensors"
    damaged = bytearray(newest.read_bytes())
    damaged[-20] ^= 1
    newest.write_bytes(damaged)
    status, _, err = run(capsys, *quick(data, tmp_path))
    what = f"cannot go on from {newest}: its checksum is that of other tensors; the one before it is tried"
    assert status == 0 and f"neural-paint: {what}\n" in err
    assert_same_training(tmp_path, whole)


def test_another_training_is_refused(data, whole, capsys, tmp_path):
    error = fails(capsys, *quick(data, whole, "--seed", 3))
    assert error.endswith(f"{whole} holds another training: seed is 0 there, got 3; take another folder\n")
    error = fails(capsys, "train-painter", "--resume", "--data", data, "-o", tmp_path)
    assert f"there is no training to go on with in {tmp_path}" in error
    error = fails(capsys, "train-painter", "--resume", "--data", data, "-o", whole, "--steps", 7)
    assert f"{whole} holds 8 steps already, got 7 to do" in error


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--recipe", "vgg"], "must be one of vae, gan, npx, dab, got vgg"),
        ([], "recipe must be one of vae, gan, npx, dab, got None"),
        (["--recipe", "gan", "--set", "seed"], "a setting is given as KEY=VALUE, got 'seed'"),
        (["--recipe", "gan", "--precision", "half"], "precision must be 'auto', 'float32' or 'bfloat16', got 'half'"),
        (["--config", "nowhere.toml"], "cannot read nowhere.toml: No such file or directory"),
        (["--recipe", "gan", "-o", "/dev/null/run"], "cannot write /dev/null/run: Not a directory"),
        (["--recipe", "gan", "--device", "tpu"], "must be auto, cpu, cuda or cuda:N, got tpu"),
        (["--recipe", "gan", "--batch-size", "400"], "a batch is 400 strokes, and there are "),
        *(
            (["--recipe", kind, "--set", "painter.size=3"], f"there is no painter of kind '{kind}' with {{'size': 3}}")
            for kind in ("vae", "gan", "npx", "dab")
        ),
    ],
)
def test_wrong_usage_is_one_sentence(data, tmp_path, capsys, arguments, message):
    assert message in fails(capsys, "train-painter", "--data", data, "-o", tmp_path / "run", *arguments)


def test_config_file_and_flags(data, tmp_path, capsys):
    file = tmp_path / "config.toml"
    file.write_text('recipe = "dab"\nkind = "gan"\nsteps = 9\nbatch_size = 4\n[painter]\ndim = 4\nnoise_size = 0\n')
    folder = tmp_path / "run"
    arguments = ["--data", data, "-o", folder, "--config", file, "--steps", 2, "--set", "painter.noise_size=2"]
    status, _, _ = run(capsys, "train-painter", *arguments, "--device", "cpu")
    assert status == 0
    assert load_painter(folder / "painter.safetensors").noise_size == 2


def test_tensorboard_and_ssim_are_optional(tmp_path, capsys, monkeypatch):
    for module in ("torch.utils.tensorboard", "torchmetrics"):
        monkeypatch.setitem(sys.modules, module, None)
    training = Run(tiny("dab"), MemoryStrokes(), MemoryStrokes(8), tmp_path)
    assert training.train().evaluation.ssim is None
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and all("pip install 'neural-paint[train]'" in line for line in said)
    assert not (tmp_path / "tensorboard").exists()


def test_tensorboard_shows_losses_and_pictures(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = tiny("dab", log_every=1, evaluate_every=2)
    Run(config, MemoryStrokes(), MemoryStrokes(20), tmp_path).train()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    scalars = {"losses/error", "losses/energy", "validation/mse", "validation/ssim", "validation/strokes per second"}
    assert set(events.Tags()["scalars"]) == scalars
    assert [event.step for event in events.Scalars("losses/error")] == [1, 2]
    (sheet,) = events.Images("real above painted")
    assert (sheet.width, sheet.height) == (8 * 64, 4 * 64)


def test_a_loss_that_is_no_number_stops_training(tmp_path):
    config = tiny("dab", steps=9, checkpoint_every=2, learning_rate=1e30, warmup_steps=0)
    with pytest.raises(ValueError, match=r"stopped at step .*, as the loss error is no longer a finite number"):
        Run(config, MemoryStrokes(), MemoryStrokes(8), tmp_path).train()
    for path in checkpoints(tmp_path):
        assert all(tensor.isfinite().all() for tensor in load_checkpoint(path).state.values())


def test_checkpoints_are_exact_and_two(tmp_path):
    state = {"a": torch.randn(3, 4), "step": torch.tensor(7), "b": torch.zeros(0)}
    for step in (1, 20, 3):
        save_checkpoint(tmp_path, Checkpoint(step, 1.5, "some strokes", state))
    assert [path.name[-14:-12] for path in checkpoints(tmp_path)] == ["20", "03"]
    loaded = load_checkpoint(checkpoints(tmp_path)[0])
    assert (loaded.step, loaded.seconds, loaded.data) == (20, 1.5, "some strokes")
    assert all(torch.equal(loaded.state[key], state[key]) for key in state)
    (tmp_path / "checkpoint-0000000021.safetensors").write_bytes(b"{}")
    with pytest.raises(ValueError, match="truncated or not a safetensors file"):
        load_checkpoint(checkpoints(tmp_path)[0])
