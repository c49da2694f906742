"""The folder of a training, whatever happens there: other runs, damage, other data, a full disk."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from stroke_sets import MemoryStrokes, write_strokes
from tiny_trainings import tiny

from neural_paint.io.folder_lock import locked_folder
from neural_paint.painters import load_painter
from neural_paint.painters.digest import digest
from neural_paint.painters.stroke_data import StrokeData
from neural_paint.training import Outcome, Run, Trainer
from neural_paint.training.board import Board, Log
from neural_paint.training.checkpoints import checkpoints, load_checkpoint, save_checkpoint
from neural_paint.training.trainer import load_moments


def train(folder: Path, steps: int, strokes: MemoryStrokes | None = None, **settings: object) -> tuple[Run, Outcome]:
    config = tiny("dab", **{"steps": steps, "checkpoint_every": 2, "log_every": 1, **settings})
    run = Run(config, strokes or MemoryStrokes(), MemoryStrokes(8), folder)
    return run, run.train()


def read(path: Path) -> dict[str, object]:
    return json.loads(path.read_text())


@contextlib.contextmanager
def small_files() -> Iterator[None]:
    """No file can be longer than 100 bytes, as on a full disk. Not for a whole test: pytest writes to files, too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_more_steps_after_the_last(tmp_path):
    train(tmp_path, 2)
    before = read(tmp_path / "evaluation.json")
    with pytest.raises(ValueError, match="holds 2 steps already, got 1 to do"):
        train(tmp_path, 1)
    # Nothing was trained, so that nothing is written.
    assert read(tmp_path / "config.json")["steps"] == 2
    run, outcome = train(tmp_path, 4)
    assert run.trainer.step == 4 and not outcome.was_finished
    after = read(tmp_path / "evaluation.json")
    assert after["steps"] == read(tmp_path / "config.json")["steps"] == 4 and after["mse"] != before["mse"]
    assert train(tmp_path, 4)[1] == Outcome(was_finished=True)


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"steps": 3}'])
def test_a_training_without_its_results_makes_them_again(tmp_path, content):
    train(tmp_path, 2)
    evaluation, painter = tmp_path / "evaluation.json", tmp_path / "painter.safetensors"
    expected, weights = read(evaluation), digest(load_painter(painter))
    if content is None:
        painter.unlink()
    else:
        evaluation.write_text(content)
    _, outcome = train(tmp_path, 2)
    assert outcome.evaluation is not None and digest(load_painter(painter)) == weights
    # How fast it paints is measured anew.
    assert read(evaluation) | {"strokes_per_second": 0} == expected | {"strokes_per_second": 0}


def test_seconds_are_those_of_all_calls(tmp_path):
    train(tmp_path, 2)
    (path, *_) = checkpoints(tmp_path)
    done = load_checkpoint(path)
    assert 0 < done.seconds == read(tmp_path / "evaluation.json")["training_seconds"]
    save_checkpoint(tmp_path, dataclasses.replace(done, seconds=1000.0))
    train(tmp_path, 4)
    assert 1000 < read(tmp_path / "evaluation.json")["training_seconds"] < 1100


def test_damaged_checkpoints_are_set_aside(tmp_path, capsys):
    train(tmp_path, 6)
    newest, before = checkpoints(tmp_path)
    for path in (newest, before):
        path.write_bytes(path.read_bytes()[:-100])
    capsys.readouterr()
    # A signal comes before the second step.
    run, outcome = train(tmp_path, 6, MemoryStrokes(stop_before=1), checkpoint_every=5)
    assert outcome.signal and run.trainer.step == 2
    said = capsys.readouterr().err
    assert f"{newest}: " in said and f"{before}: " in said
    assert said.count("the one before it is tried") == said.count("training starts from the beginning") == 1
    assert [load_checkpoint(path).step for path in checkpoints(tmp_path)] == [2]
    assert [path.name for path in sorted(tmp_path.glob("unusable-*"))] == [
        f"unusable-{path.name}" for path in (before, newest)
    ]


def test_the_checkpoint_just_written_is_kept(tmp_path):
    train(tmp_path, 2)
    done = load_checkpoint(checkpoints(tmp_path)[0])
    for step in (30, 40, 26, 27):
        path = save_checkpoint(tmp_path, dataclasses.replace(done, step=step))
        assert load_checkpoint(path).step == step
    path.rename(path.with_name("checkpoint-0000000099.safetensors"))
    with pytest.raises(ValueError, match="its step must be the number in its name, got 27"):
        load_checkpoint(checkpoints(tmp_path)[0])


@pytest.mark.parametrize("change", ["missing", "unknown", "shape", "half of the moments"])
def test_a_state_is_loaded_whole_or_not_at_all(change):
    trained, fresh = (Trainer(tiny("dab"), MemoryStrokes()) for _ in range(2))
    next(iter(trained))
    state, before = trained.state(), fresh.state()
    last = list(state)[-1]
    if change == "missing":
        del state[next(iter(state))]
    elif change == "half of the moments":
        del state[last]
    else:
        state["more" if change == "unknown" else last] = torch.zeros(3, 7)
    with pytest.raises(ValueError, match="its tensors are not those of this config"):
        fresh.load_state(1, state)
    after = fresh.state()
    assert fresh.step == 0 and before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_moments_are_where_the_weights_are():
    weight = torch.nn.Parameter(torch.empty(2, 3, device="meta"))
    optimizer = torch.optim.Adam([weight])
    load_moments(optimizer, {"0.step": torch.tensor(3.0), "0.exp_avg": torch.ones(2, 3)})
    assert {tensor.device.type for tensor in optimizer.state[weight].values()} == {"meta"}


@pytest.mark.gpu
def test_a_training_goes_on_on_a_gpu():
    whole, first, second = (Trainer(tiny("dab", steps=4), MemoryStrokes(), "cuda") for _ in range(3))
    for report in first:
        if report.step == 2:
            break
    second.load_state(first.step, first.state())
    for trainer in (whole, second):
        assert [report.step for report in trainer][-1] == 4
    states = whole.state(), second.state()
    for key in states[0]:
        torch.testing.assert_close(states[0][key], states[1][key], rtol=0.05, atol=0.02, msg=key)


def test_two_runs_do_not_write_to_one_folder(tmp_path):
    with locked_folder(tmp_path):
        written = tmp_path / ".neural-paint-0123.tmp"
        written.touch()
        with pytest.raises(OSError, match=r"cannot write .*: another run is writing to it"):
            train(tmp_path, 2)
        assert list(tmp_path.iterdir()) == [written]
    train(tmp_path, 2)
    assert not written.exists()


def test_a_folder_is_made_with_its_parents(tmp_path):
    train(tmp_path / "a" / "b", 2)
    assert (tmp_path / "a" / "b" / "painter.safetensors").exists()


def test_other_strokes_are_refused(tmp_path):
    train(tmp_path, 2)
    with pytest.raises(ValueError, match=r"holds a training with other strokes; take another folder"):
        train(tmp_path, 4, MemoryStrokes(49))
    assert read(tmp_path / "config.json")["steps"] == 2


def test_settings_that_came_later_had_their_defaults(tmp_path):
    train(tmp_path, 2)
    path = tmp_path / "config.json"
    recorded = read(path)
    del recorded["kind"], recorded["betas"]
    path.write_text(json.dumps(recorded))
    train(tmp_path, 4)
    assert set(read(path)) == {*recorded, "kind", "betas"}
    path.write_text(json.dumps(recorded))
    with pytest.raises(ValueError, match=r"holds another training: betas is \[0.9, 0.99\] there, got \[0.5, 0.9\]"):
        train(tmp_path, 4, betas=[0.5, 0.9])


def test_digests_are_of_the_strokes(tmp_path):
    one, again, other = (write_strokes(tmp_path / name, count) for name, count in (("a", 20), ("b", 20), ("c", 21)))
    digests = [StrokeData(folder, split).digest for folder in (one, again, other) for split in ("train", "validation")]
    assert len(set(digests[:4])) == 1 and digests[4] == digests[5] != digests[0]


@pytest.mark.parametrize("bad", [b"\x00\x00\n", b"{}\n", b"3\n", b'{"step": "3"}\n', b'{"step": 2'])
def test_the_log_is_kept_up_to_its_first_bad_line(tmp_path, bad):
    train(tmp_path, 4)
    log = tmp_path / "log.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(lines[0] + bad + b"".join(lines[1:]))
    train(tmp_path, 5)
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == [1, 5]


def test_errors_of_the_log_name_it(tmp_path):
    log = Log(tmp_path, 0)
    with pytest.raises(OSError, match=r"cannot write .*log\.jsonl: File too large") as raised, small_files():
        for step in range(9):
            log.write(step, {"loss": 0.5})
    assert "log.jsonl" in raised.value.strerror
    log.close()


def test_a_failing_board_is_switched_off(tmp_path, capsys):
    pytest.importorskip("tensorboard")
    with small_files():
        board = Board(tmp_path, 0)
        for step in range(50):
            board.scalars(step, "losses", {"loss": 0.5})
        board.close()
    what = f"TensorBoard shows no more of this: cannot write {tmp_path / 'tensorboard'}: File too large"
    assert capsys.readouterr().err == f"neural-paint: {what}\n"
