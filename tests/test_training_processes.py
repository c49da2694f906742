"""Two processes under torchrun do what one does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from tiny_trainings import TINY, TINY_AGENTS
from torch import nn
from training_worker import train

from neural_paint.training import World
from neural_paint.training.world import Draws, derived_seed

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes left."""
    folder = tmp_path_factory.mktemp("processes")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    paths = [str(HERE.parent), str(HERE), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    worker = [*torchrun, str(HERE / "training_worker.py"), str(folder)]
    done = subprocess.run(worker, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", (*TINY, *TINY_AGENTS))
def test_gradients_losses_and_statistics_are_those_of_one_process(name, folder, tmp_path):
    train(name, World(), tmp_path)
    one, two = (safetensors.torch.load_file(f / f"{name}.safetensors") for f in (tmp_path, folder))
    assert one.keys() == two.keys()
    # After one step of an optimiser, its first moment is the gradient times 1 - beta.
    gradients = [key for key in one if key.endswith(".exp_avg")]
    for optimizer in {key.rpartition(".")[0].rpartition(".")[0] for key in gradients}:
        own = [key for key in gradients if key.startswith(f"{optimizer}.")]
        largest = max(one[key].abs().max() for key in own)
        assert largest > 0
        for key in own:
            assert (one[key] - two[key]).abs().max() <= 1e-9 * largest, key
    for key in one:
        # Losses have the number of their step in front.
        if key[0].isdigit():
            torch.testing.assert_close(one[key], two[key], rtol=1e-8, atol=1e-10, msg=key)
        elif key.endswith("running_mean"):
            # Biases that are normalised away follow gradients that are nothing but rounding errors.
            torch.testing.assert_close(one[key], two[key], rtol=1e-5, atol=1e-7, msg=key)


def test_all_stop_where_one_gets_a_signal(folder):
    assert [(folder / f"signal {rank}").read_text() for rank in (0, 1)] == [str(int(signal.SIGINT))] * 2
    assert [path.name for path in folder.glob("checkpoint-*")] == ["checkpoint-0000000004.safetensors"]


def test_draws_of_processes_are_slices_of_the_draws_of_one():
    one, halves = Draws(5, World()), [Draws(5, World(rank, 2)) for rank in (0, 1)]
    for draws in (one, *halves):
        draws.begin(1, 7)
    for draw in (lambda d, n: d.uniform(n, 3), lambda d, n: d.normal(n, 2)):
        assert torch.equal(draw(one, 6), torch.cat([draw(half, 3) for half in halves]))
    assert torch.equal(one.uniform_for_all(1), halves[1].uniform_for_all(1))
    before = one.uniform(4)
    one.begin(1, 7)
    assert not torch.equal(one.uniform(4), before)
    assert len({derived_seed(*numbers) for numbers in ((0,), (1,), (0, 1), (1, 0), (0, 1, 1))}) == 5


def test_average_keeps_the_layout_in_memory(monkeypatch):
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda tensor: tensor.mul_(3))
    weight = nn.Parameter(torch.zeros(2, 3, 4, 4).contiguous(memory_format=torch.channels_last))
    weight.grad = torch.rand(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    before = weight.grad.clone()
    World(0, 2).average_gradients([weight, nn.Parameter(torch.zeros(1))])
    torch.testing.assert_close(weight.grad, before * 1.5)
    assert weight.grad.stride() == weight.stride()
