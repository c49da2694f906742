"""Files of neural painters: published checkpoints, files of our own, refused files."""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from published_painters import (
    DECODER,
    GENERATOR,
    NPX,
    PREDICTOR,
    affine,
    assert_same,
    each_painter,
    each_small_painter,
    gan_checkpoint,
    generator_layout,
    paint_gan,
    paint_npx,
    paint_vae,
    random_state,
    save_checkpoint,
    trained,
    vae_checkpoint,
)
from torch import Tensor, nn

from neural_paint.painters import GANPainter, NeuralPainter, VAEPainter, load_painter, save_painter

PAGE = Path(__file__).resolve().parents[1] / "docs" / "neural_painters.md"

# The published files are of 2019, when torch did not write zip archives.
each_container = pytest.mark.parametrize("zipped", [False, True], ids=["torch 1.1", "zip"])


@each_container
@pytest.mark.parametrize("dim, noise", [(16, 16), (16, 0), (8, 10)])
def test_loads_checkpoints_of_the_gan(tmp_path, zipped, dim, noise):
    generator = random_state(generator_layout(dim, noise))
    path = save_checkpoint(tmp_path / "gan_neural_painter_latest.tar", gan_checkpoint(generator), zipped)
    painter = load_painter(path)
    assert isinstance(painter, GANPainter)
    assert painter.architecture() == {"dim": dim, "noise_size": noise, "noise": "normal", "num_deterministic": 0}
    x, drawn = torch.rand(5, 12), torch.randn(5, noise)
    assert_same(painter(x), paint_gan(generator, torch.cat([x, torch.full((5, noise), 0.5)], 1)))
    assert_same(painter(x, drawn), paint_gan(generator, torch.cat([x, drawn], 1)))


@each_container
def test_loads_checkpoints_of_the_vae(tmp_path, zipped):
    predictor, decoder = random_state(PREDICTOR), random_state(DECODER)
    path = save_checkpoint(tmp_path / "vae_neural_painter_latest.tar", vae_checkpoint(predictor, decoder), zipped)
    painter = load_painter(path)
    assert isinstance(painter, VAEPainter) and painter.architecture() == {"latent_size": 64, "stochastic": True}
    x, drawn = torch.rand(5, 12), torch.randn(5, 64)
    assert_same(painter(x), paint_vae(predictor, decoder, x))
    assert_same(painter(x, drawn), paint_vae(predictor, decoder, x, drawn))


def test_loads_the_predictor_of_the_original_and_another_latent_size(tmp_path):
    layout = {name: shape for name, shape in PREDICTOR.items() if not name.startswith("fc_log_var")}
    predictor = random_state({**layout, **affine("fc_mu", 32, 64)})
    decoder = random_state({**DECODER, **affine("fc", 1024, 32)})
    painter = load_painter(save_checkpoint(tmp_path / "vae.tar", vae_checkpoint(predictor, decoder)))
    assert painter.architecture() == {"latent_size": 32, "stochastic": False}
    x = torch.rand(5, 12)
    assert_same(painter(x), paint_vae(predictor, decoder, x, slope=0.2))


@each_container
def test_loads_checkpoints_of_npx(tmp_path, zipped):
    state = random_state(NPX)
    painter = load_painter(save_checkpoint(tmp_path / "generator_param.pth", state, zipped))
    x = torch.rand(3, 12)
    expected = paint_npx(state, x)
    assert expected.min() < -0.1
    assert_same(painter.signed_strokes(x), expected)
    assert_same(painter(x), expected.clamp(0, 1))


@each_small_painter
def test_loads_state_dicts_of_painters_here(tmp_path, make):
    painter = trained(make)
    x = torch.rand(2, 12)
    assert torch.equal(load_painter(save_checkpoint(tmp_path / "painter.pth", painter.state_dict()))(x), painter(x))


def test_loads_checkpoints_without_counters_of_steps(tmp_path):
    generator = random_state(GENERATOR)
    counted = load_painter(save_checkpoint(tmp_path / "new.tar", gan_checkpoint(generator)))
    state = {name: tensor for name, tensor in generator.items() if not name.endswith("num_batches_tracked")}
    painter = load_painter(save_checkpoint(tmp_path / "old.tar", gan_checkpoint(state)))
    assert torch.equal(painter(torch.ones(1, 12)), counted(torch.ones(1, 12)))
    assert painter.generator.bn1.num_batches_tracked == 0


def test_loading_draws_no_random_numbers(tmp_path):
    save_painter(GANPainter(), tmp_path / "gan.safetensors")
    before = torch.get_rng_state()
    load_painter(tmp_path / "gan.safetensors")
    assert torch.equal(torch.get_rng_state(), before)


@each_painter
def test_round_trip(tmp_path, make):
    painter, path = trained(make), tmp_path / "painter.safetensors"
    save_painter(painter, path)
    loaded = load_painter(str(path))
    assert type(loaded) is type(painter) and loaded.architecture() == painter.architecture()
    for (name, tensor), (other_name, other) in zip(
        painter.state_dict().items(), loaded.state_dict().items(), strict=True
    ):
        assert name == other_name and torch.equal(tensor, other)
        assert (tensor.dtype, tensor.stride()) == (other.dtype, other.stride())
    x = torch.rand(3, 12)
    assert torch.equal(loaded(x), painter(x))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_round_trip_keeps_the_dtype(tmp_path, dtype):
    painter = trained(GANPainter).to(dtype)
    save_painter(painter, tmp_path / "painter.safetensors")
    loaded = load_painter(tmp_path / "painter.safetensors")
    assert loaded.dtype == dtype
    assert all(torch.equal(a, b) for a, b in zip(painter.parameters(), loaded.parameters(), strict=True))


def test_a_file_does_not_depend_on_the_memory_format(tmp_path):
    painter = GANPainter()
    save_painter(painter, tmp_path / "a.safetensors")
    save_painter(painter.to(memory_format=torch.contiguous_format), tmp_path / "b.safetensors")
    a, b = ((tmp_path / name).read_bytes() for name in ("a.safetensors", "b.safetensors"))
    assert len(a) == len(b)
    first, second = safetensors.torch.load(a), safetensors.torch.load(b)
    assert all(torch.equal(first[name], second[name]) for name in painter.state_dict())


def test_save_refuses_what_it_could_not_load(tmp_path):
    path, painter = tmp_path / "painter.safetensors", GANPainter()
    path.write_text("old")
    with torch.no_grad():
        painter.generator.bn1.bias[3] = math.inf
    with pytest.raises(ValueError, match=r"cannot save .*: generator\.bn1\.bias must be finite, got inf at \(3,\)"):
        save_painter(painter, path)
    with pytest.raises(ValueError, match=r"ends in \.safetensors, got .*painter\.tar"):
        save_painter(GANPainter(), tmp_path / "painter.tar")
    with pytest.raises(TypeError, match="must be one of DabPainter, VAEPainter, GANPainter, NPXPainter, got Linear"):
        save_painter(nn.Linear(1, 1), path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


class Code:
    """What a pickle would run: it makes a folder."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)


def changed(**changes: Any) -> dict[str, Any]:
    """A GAN checkpoint with weights exchanged, added, or left out where None; `__` stands for a dot."""
    state = dict(random_state(GENERATOR))
    for name, value in changes.items():
        state[name.replace("__", ".")] = value
    return gan_checkpoint({name: value for name, value in state.items() if value is not None})


def bad(shape: tuple[int, ...], value: float) -> Tensor:
    tensor = torch.ones(shape)
    tensor.view(-1)[-1] = value
    return tensor


GAN16 = re.escape("a gan painter of {'dim': 16, 'noise_size': 16, 'noise': 'normal', 'num_deterministic': 0}")


@pytest.mark.parametrize(
    "checkpoint, message",
    [
        (lambda: changed(deconv2__bias=None), f"{GAN16} lacks generator.deconv2.bias$"),
        (lambda: changed(bn3__bias=None, bn3__weight=None), f"{GAN16} lacks generator.bn3.weight and 1 more"),
        (lambda: changed(deconv5__bias=torch.ones(3)), f"{GAN16} has the unknown weight generator.deconv5.bias"),
        (lambda: changed(bn1__bias=torch.ones(3)), r"generator.bn1.bias must have shape \(256,\), got \(3,\)"),
        (
            lambda: changed(fc1__weight=torch.ones(4100, 28)),
            r"must have shape \(4096, 28\), got \(4100, 28\)",
        ),
        (lambda: changed(fc1__weight=torch.ones(4096, 5)), r"fc1.weight must have shape \(4096, 12\), got \(4096, 5\)"),
        (lambda: changed(fc1__weight=torch.ones(4096)), r"fc1.weight must have shape \(4096, 28\), got \(4096,\)"),
        (lambda: changed(fc1__weight=torch.ones(0, 0)), r"fc1.weight must have shape \(256, 12\), got \(0, 0\)"),
        (
            lambda: changed(fc1__bias=None, fc1__weight=None),
            "it must hold the weights of a dab, VAE, GAN or NPX",
        ),
        (lambda: changed(bn2__weight=bad((128,), math.nan)), r"bn2.weight must be finite, got nan at \(127,\)"),
        (lambda: changed(bn2__running_var=bad((128,), -2.0)), "bn2.running_var must be >= 0, got -2.0"),
        (lambda: changed(bn2__bias=torch.ones(128).double()), "bn2.bias must have the dtype .* float32, got float64"),
        (lambda: changed(fc1__weight=torch.ones(4096, 28).int()), "fc1.weight must have a floating dtype, got int32"),
        (lambda: changed(bn1__num_batches_tracked=torch.tensor(1.0)), "bn1.num_batches_tracked must have dtype int64"),
        (lambda: changed(bn1__bias=3), "generator.bn1.bias must be a dense tensor, got int"),
        (lambda: changed(bn1__bias=torch.ones(256).to_sparse()), "must be a dense tensor, got one of torch.sparse_coo"),
        (lambda: changed(bn1__bias=torch.ones(256, device="meta")), "must be a dense tensor, got one of .* on meta"),
        (lambda: {"generator_state_dict": [1]}, "its parts must be dicts of weights, got list"),
        (lambda: {"batch_idx": 1}, "it must hold the weights of .*, got names of no painter: batch_idx"),
        (lambda: {}, "it must hold the weights of .*, got names of no painter: none"),
        (lambda: [torch.ones(1)], "it must hold a dict of weights, got list"),
        (
            lambda: vae_checkpoint({}, random_state(DECODER)),
            "a vae painter .* lacks predictor.fc1.weight and 19 more",
        ),
        (lambda: vae_checkpoint(random_state(PREDICTOR), {}), "a vae painter of .* lacks decoder.fc.weight and 9 more"),
        (lambda: {"fc.weight": torch.ones(1), "generator.0.0.weight": 1}, "a npx painter of .* lacks fc.bias"),
        (lambda: {"state": Code()}, r"holds code, \w+.mkdir, which is not run; a checkpoint may hold tensors"),
        (lambda: nn.Linear(1, 1), "holds code, torch.nn.modules.linear.Linear, which is not run"),
    ],
)
def test_refuses_checkpoints(tmp_path, monkeypatch, checkpoint, message):
    monkeypatch.chdir(tmp_path)
    path = save_checkpoint(tmp_path / "painter.tar", checkpoint())
    with pytest.raises(ValueError, match=f"cannot load {re.escape(str(path))}: .*{message}"):
        load_painter(path)
    assert list(tmp_path.iterdir()) == [path]


def bytes_of(value: Any, zipped: bool) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", r"no checkpoint of torch and no safetensors file: it begins with b''"),
        (b"GIF89a...", r"it begins with b'GIF89a"),
        (b"12345678{", "truncated or not a safetensors file"),
        (safetensors.torch.save({"a": torch.ones(1)}), "it is not a painter's file: its format is None"),
        (safetensors.torch.save({"a": torch.ones(1)}, {"format": "pt"}), "its format is 'pt'"),
        (bytes_of({"a": torch.ones(9)}, True)[:-40], "truncated or damaged"),
        (bytes_of({"a": torch.ones(9)}, False)[:-5], "truncated or damaged"),
        (bytes_of({"a": torch.ones(9)}, False)[:30], "damaged"),
        (bytes_of({"a": Code()}, False), "holds code"),
        (b"\x80\x02junk", "damaged"),
        (pickle.dumps({"a": 1}), "damaged, or no checkpoint of torch"),
    ],
)
def test_refuses_other_files(tmp_path, monkeypatch, data, message):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "painter.bin"
    path.write_bytes(data)
    with warnings.catch_warnings(), pytest.raises(ValueError, match=f"cannot load {re.escape(str(path))}: .*{message}"):
        warnings.simplefilter("error")
        load_painter(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"version": "2"}, "it has painter version 2, this neural_paint reads up to 1"),
        ({"version": '"1"'}, "it is not a painter's file"),
        ({"format": "neural_paint.strokes"}, "its format is 'neural_paint.strokes', not 'neural_paint.painter'"),
        ({"kind": "diffusion"}, "its kind must be one of dab, vae, gan, npx, got 'diffusion'"),
        ({"architecture": "[]"}, r"its architecture must be a JSON object, got \[\]"),
        ({"architecture": '{"width": 3}'}, "there is no painter of kind 'gan' with {'width': 3}"),
        ({"architecture": '{"dim": "x"}'}, "there is no painter of kind 'gan' with {'dim': 'x'}"),
        ({"architecture": '{"dim": 1e99}'}, "there is no painter"),
        ({"architecture": '{"dim": 99999999999999999}'}, "there is no painter"),
        ({"architecture": '{"dim": 1048576}'}, r"fc1.weight must have shape \(268435456, 28\), got \(4096, 28\)"),
        ({"architecture": '{"dim": 0}'}, "dim must be >= 1, got 0"),
        ({"architecture": '{"noise": "pink"}'}, "noise must be one of normal, uniform, got 'pink'"),
        ({"architecture": '{"noise_size": -1}'}, "noise_size must be >= 0, got -1"),
        ({"architecture": '{"num_deterministic": 17}'}, "num_deterministic must be in 0 .. 16, got 17"),
        ({"kind": "vae", "architecture": '{"latent_size": 0}'}, "latent_size must be >= 1, got 0"),
        ({"architecture": '{"dim": 8}'}, r"fc1.weight must have shape \(2048, 28\), got \(4096, 28\)"),
    ],
)
def test_refuses_headers(tmp_path, changes, message):
    header = {"format": "neural_paint.painter", "version": "1", "kind": "gan", "architecture": "{}", **changes}
    path = tmp_path / "painter.safetensors"
    path.write_bytes(safetensors.torch.save(contiguous(GANPainter()), header))
    with pytest.raises(ValueError, match=f"cannot load {re.escape(str(path))}: .*{message}"):
        load_painter(path)


def contiguous(painter: NeuralPainter) -> dict[str, Tensor]:
    return {name: tensor.contiguous() for name, tensor in painter.state_dict().items()}


def test_reads_the_header_that_the_page_describes(tmp_path):
    header = {"format": "neural_paint.painter", "version": "1", "kind": "gan", "architecture": '{"noise": "uniform"}'}
    (tmp_path / "gan.safetensors").write_bytes(safetensors.torch.save(contiguous(GANPainter()), header))
    assert load_painter(tmp_path / "gan.safetensors").architecture()["noise"] == "uniform"
    save_painter(GANPainter(), tmp_path / "gan.safetensors")
    data = (tmp_path / "gan.safetensors").read_bytes()
    written = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    assert written.keys() == header.keys()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"cannot load .*nothing\.tar: No such file"):
        load_painter(tmp_path / "nothing.tar")


def test_examples_of_the_page_run(tmp_path, monkeypatch):
    save_checkpoint(tmp_path / "gan_neural_painter_latest.tar", gan_checkpoint(random_state(GENERATOR)))
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"^```python\n(.+?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert examples
    for example in examples:
        exec(compile(example, PAGE.name, "exec"), {})
    assert (tmp_path / "gan.safetensors").is_file()
