"""Neural painters: published sizes and names, published checkpoints, what a painter promises, refused files."""

from __future__ import annotations

import io
import itertools
import json
import math
import os
import pickle
import re
import warnings
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neural_paint.painters import (
    ActionPredictor,
    Critic,
    Decoder,
    Encoder,
    GANPainter,
    Generator,
    NeuralPainter,
    NPXPainter,
    VAEPainter,
    actions,
    load_painter,
    reparameterise,
    save_painter,
)

PAGE = Path(__file__).resolve().parents[1] / "docs" / "neural_painters.md"

PAINTERS: dict[str, Callable[[], NeuralPainter]] = {
    "vae": VAEPainter,
    "vae without noise": lambda: VAEPainter(stochastic=False),
    "gan": GANPainter,
    "gan with uniform noise": lambda: GANPainter(noise_size=10, noise="uniform"),
    "gan without noise": lambda: GANPainter(noise_size=0),
    "gan, half deterministic": lambda: GANPainter(dim=8, num_deterministic=8),
    "npx": NPXPainter,
}
each_painter = pytest.mark.parametrize("make", PAINTERS.values(), ids=PAINTERS)
with_noise = pytest.mark.parametrize(
    "make", [make for name, make in PAINTERS.items() if name in ("vae", "gan", "gan with uniform noise")]
)
# NPX has 36 million weights: laws of the base class are as true on the others.
SMALL = {name: make for name, make in PAINTERS.items() if name != "npx"}
each_small_painter = pytest.mark.parametrize("make", SMALL.values(), ids=SMALL)


def trained(make: Callable[[], NeuralPainter]) -> NeuralPainter:
    """A frozen painter whose strokes differ: with initial weights they are all much the same grey."""
    painter = make()
    painter.load_state_dict(random_state({name: tuple(tensor.shape) for name, tensor in painter.state_dict().items()}))
    return painter.freeze()


def assert_same(a: Tensor, b: Tensor, relative: float = 1e-4) -> None:
    """Equal to within rounding, whatever the order of sums."""
    assert b.std() > 0.01
    torch.testing.assert_close(a, b, rtol=relative, atol=relative * b.abs().max().item())


# --- what was published ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make, count",
    [
        (Encoder, 821_344),
        (Decoder, 3_625_571),
        (ActionPredictor, 33_024),
        (lambda: ActionPredictor(stochastic=False), 28_864),
        (VAEPainter, 3_658_595),
        (lambda: VAEPainter(stochastic=False), 3_654_435),
        (GANPainter, 809_635),
        (lambda: GANPainter(noise_size=0), 744_099),
        (Critic, 175_745),
        (lambda: GANPainter(dim=32), 2_995_523),
        (lambda: Critic(dim=32), 695_553),
        (lambda: GANPainter(dim=64), 11_496_067),
        (lambda: Critic(dim=64), 2_767_361),
        (NPXPainter, 36_402_176),
    ],
)
def test_number_of_weights(make, count):
    with torch.device("meta"):
        assert sum(weight.numel() for weight in make().parameters()) == count


def norm(name: str, size: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.{part}": (size,) for part in ("weight", "bias", "running_mean", "running_var")} | {
        f"{name}.num_batches_tracked": ()
    }


def affine(name: str, *shape: int, bias: int = 0) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape, f"{name}.bias": (bias or shape[0],)}


# Names and shapes in the order of the PyTorch port's state dicts: its optimisers' states count the weights in it.
ENCODER = {
    **affine("conv1", 32, 3, 4, 4),
    **affine("conv2", 64, 32, 4, 4),
    **affine("conv3", 128, 64, 4, 4),
    **affine("conv4", 256, 128, 4, 4),
    **affine("fc_mu", 64, 1024),
    **affine("fc_log_var", 64, 1024),
}
DECODER = {
    **affine("fc", 1024, 64),
    **affine("deconv1", 1024, 128, 5, 5, bias=128),
    **affine("deconv2", 128, 64, 5, 5, bias=64),
    **affine("deconv3", 64, 32, 6, 6, bias=32),
    **affine("deconv4", 32, 3, 6, 6, bias=3),
}
PREDICTOR = {
    **affine("fc1", 256, 12),
    **norm("bn1", 256),
    **affine("fc2", 64, 256),
    **norm("bn2", 64),
    **affine("fc3", 64, 64),
    **norm("bn3", 64),
    **affine("fc_mu", 64, 64),
    **affine("fc_log_var", 64, 64),
}


def generator_layout(dim: int = 16, noise: int = 16) -> dict[str, tuple[int, ...]]:
    layout = {**affine("fc1", 256 * dim, 12 + noise), **norm("bn1", 16 * dim)}
    for i, width in ((1, 16 * dim), (2, 8 * dim), (3, 4 * dim)):
        layout |= {**affine(f"deconv{i}", width, width // 2, 4, 4, bias=width // 2), **norm(f"bn{i + 1}", width // 2)}
    return {**layout, **affine("deconv4", 2 * dim, 3, 4, 4, bias=3)}


GENERATOR = generator_layout()
DISCRIMINATOR = {
    **affine("fc1", 16, 12),
    **affine("conv1", 16, 3, 4, 4),
    **affine("conv2", 32, 16, 4, 4),
    **norm("bn2", 32),
    **affine("conv3", 64, 32, 4, 4),
    **norm("bn3", 64),
    **affine("conv4", 128, 64, 4, 4),
    **norm("bn4", 128),
    **affine("fc2", 1, 2048),
}
NPX = {
    **affine("fc", 4096, 12),
    **{"generator.0.0.weight": (4096, 512, 4, 4), **norm("generator.0.2", 512)},
    **{"generator.1.0.weight": (512, 256, 4, 4), **norm("generator.1.2", 256)},
    **{"generator.2.0.weight": (256, 128, 4, 4), **norm("generator.2.2", 128)},
    **{"generator.3.0.weight": (128, 64, 4, 4), **norm("generator.3.2", 64)},
    **{"generator.4.0.weight": (64, 64, 3, 3), **norm("generator.4.2", 64)},
    "generator.5.weight": (64, 3, 4, 4),
}


@pytest.mark.parametrize(
    "make, layout",
    [
        (Encoder, ENCODER),
        (Decoder, DECODER),
        (ActionPredictor, PREDICTOR),
        (lambda: Generator(28), GENERATOR),
        (lambda: Generator(12, dim=32), generator_layout(32, 0)),
        (Critic, DISCRIMINATOR),
        (NPXPainter, NPX),
    ],
)
def test_names_shapes_and_order_of_weights(make, layout):
    with torch.device("meta"):
        state = make().state_dict()
    assert [(name, tuple(tensor.shape)) for name, tensor in state.items()] == list(layout.items())


def test_predictor_of_the_original_has_one_head():
    names = [name for name in PREDICTOR if not name.startswith("fc_log_var")]
    assert list(ActionPredictor(stochastic=False).state_dict()) == names


@pytest.mark.parametrize("make", [lambda: Generator(28, dim=32), lambda: Critic(dim=32)])
def test_initial_weights_of_the_gan(make):
    for name, weight in make().named_parameters():
        if "conv" in name and name.endswith("weight"):
            assert abs(weight.mean()) < 0.002 and abs(weight.std() - 0.02) < 0.002
        elif "bn" in name and name.endswith("weight"):
            assert abs(weight.mean() - 1) < 0.01 and 0.012 < weight.std() < 0.028
        elif "bn" in name:
            assert not weight.any()


def test_initial_weights_of_npx():
    # Kaiming: variance 2 / (outputs * 4 * 4), which fastai takes for the fan-in of a transposed convolution.
    weight = NPXPainter().generator[1][0].weight
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (256 * 16)), rel=0.01)


# --- the networks, written out once more from their description -----------------------------------------------------


def random_state(layout: dict[str, tuple[int, ...]]) -> OrderedDict[str, Tensor]:
    """Weights of a layout, such that strokes differ visibly."""
    state = OrderedDict()
    for name, shape in layout.items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(1000)
        elif name.endswith("running_var"):
            state[name] = torch.rand(shape) + 0.5
        else:
            fan = math.prod(shape[1:]) if len(shape) > 1 else 25
            state[name] = torch.randn(shape) * (3 / fan) ** 0.5
    return state


def norm_by(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    mean, variance, scale, shift = (
        state[f"{name}.{part}"].reshape(1, -1, *[1] * (x.ndim - 2))
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (variance + 1e-5).sqrt() * scale + shift


def linear_by(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def paint_vae(predictor, decoder, x: Tensor, noise: Tensor | None = None, slope: float = 0.01) -> Tensor:
    for i in (1, 2, 3):
        x = linear_by(predictor, f"fc{i}", x)
        x = norm_by(predictor, f"bn{i}", torch.where(x > 0, x, slope * x))
    z = linear_by(predictor, "fc_mu", x)
    if noise is not None:
        z = z + torch.exp(linear_by(predictor, "fc_log_var", x) / 2) * noise
    y = linear_by(decoder, "fc", z)[:, :, None, None]
    for i in (1, 2, 3, 4):
        y = F.conv_transpose2d(y, decoder[f"deconv{i}.weight"], decoder[f"deconv{i}.bias"], stride=2)
        y = y.clamp(min=0) if i < 4 else 1 / (1 + torch.exp(-y))
    return y


def paint_gan(generator, inputs: Tensor) -> Tensor:
    y = linear_by(generator, "fc1", inputs).reshape(len(inputs), -1, 4, 4)
    for i in (1, 2, 3, 4):
        y = norm_by(generator, f"bn{i}", y).clamp(min=0)
        y = F.conv_transpose2d(y, generator[f"deconv{i}.weight"], generator[f"deconv{i}.bias"], stride=2, padding=1)
    return 1 / (1 + torch.exp(-y))


def paint_npx(state, x: Tensor) -> Tensor:
    y = linear_by(state, "fc", x)[:, :, None, None]
    for i, stride, padding in ((0, 1, 0), (1, 2, 1), (2, 2, 1), (3, 2, 1), (4, 1, 1)):
        y = F.conv_transpose2d(y, state[f"generator.{i}.0.weight"], stride=stride, padding=padding).clamp(min=0)
        y = norm_by(state, f"generator.{i}.2", y)
    return torch.tanh(F.conv_transpose2d(y, state["generator.5.weight"], stride=2, padding=1))


# --- published checkpoints ------------------------------------------------------------------------------------------


def adam(layout: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    weights = [nn.Parameter(torch.zeros(shape)) for shape in layout.values()]
    optimizer = torch.optim.Adam(weights, lr=1e-4)
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    return optimizer.state_dict()


def gan_checkpoint(generator: dict[str, Tensor]) -> dict[str, Any]:
    return {
        "batch_idx": 1_400_000,
        "discriminator_state_dict": random_state(DISCRIMINATOR),
        "generator_state_dict": generator,
        "opt_disc_state_dict": adam(DISCRIMINATOR),
        "opt_gen_state_dict": adam({"fc1.weight": (4096, 28)}),
    }


def vae_checkpoint(predictor: dict[str, Tensor], decoder: dict[str, Tensor]) -> dict[str, Any]:
    return {
        "batch_idx": 450_000,
        "encoder_state_dict": random_state(ENCODER),
        "decoder_state_dict": decoder,
        "predictor_state_dict": predictor,
        "optimizer1": adam({"fc.weight": (1024, 64)}),
        "optimizer2": adam({"fc1.weight": (256, 12)}),
    }


# The published files are of 2019, when torch did not write zip archives.
each_container = pytest.mark.parametrize("zipped", [False, True], ids=["torch 1.1", "zip"])


def save_checkpoint(path: Path, checkpoint: Any, zipped: bool = True) -> Path:
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    return path


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


# --- files of our own -----------------------------------------------------------------------------------------------


@each_painter
def test_round_trip(tmp_path, make):
    painter, path = trained(make), tmp_path / "painter.safetensors"
    save_painter(painter, path)
    loaded = load_painter(str(path))
    assert type(loaded) is type(painter) and loaded.architecture() == painter.architecture()
    for (name, tensor), (other_name, other) in zip(
        painter.state_dict().items(), loaded.state_dict().items(), strict=True
    ):
        assert name == other_name and tensor.dtype == other.dtype and torch.equal(tensor, other)
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
    with pytest.raises(TypeError, match="must be one of VAEPainter, GANPainter, NPXPainter, got Linear"):
        save_painter(nn.Linear(1, 1), path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


# --- refused files --------------------------------------------------------------------------------------------------


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
        (lambda: changed(fc1__bias=None, fc1__weight=None), "it must hold the weights of a VAE, GAN or NPX painter"),
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
        ({"kind": "diffusion"}, "its kind must be one of vae, gan, npx, got 'diffusion'"),
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


# --- what a painter promises ----------------------------------------------------------------------------------------


@each_painter
def test_frozen_painters_give_gradients_to_actions_alone(tmp_path, make):
    save_painter(trained(make).train().requires_grad_(), tmp_path / "painter.safetensors")
    painter = load_painter(tmp_path / "painter.safetensors")
    assert not painter.training
    x = torch.rand(2, 12, requires_grad=True)
    painter(x).square().sum().backward()
    assert (x.grad.abs() > 1e-6).all()
    assert all(not weight.requires_grad and weight.grad is None for weight in painter.parameters())


@pytest.mark.parametrize("make", [lambda: GANPainter(dim=2, noise_size=2), lambda: VAEPainter(stochastic=False)])
def test_gradcheck(make):
    painter = trained(make).double()
    x = torch.rand(2, 12, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: (painter(x) * weights).sum(), [x], fast_mode=True)


@each_painter
def test_strokes_are_in_range_in_the_dtype_of_actions(make):
    painter = trained(make)
    strokes = painter(torch.rand(4, 12) * 6 - 3)
    assert strokes.dtype == torch.float32 and 0 <= strokes.min() < strokes.max() <= 1


@each_small_painter
@pytest.mark.parametrize("batch", [(), (1,), (2, 3), (2, 0), (0,), (1, 2, 2)])
@pytest.mark.parametrize("chunk", [None, 2])
def test_any_batch_shape(make, batch, chunk):
    painter = trained(make)
    x = torch.rand(*batch, 12, requires_grad=True)
    noise = painter.sample_noise(batch)
    strokes = painter(x, noise, chunk=chunk)
    assert strokes.shape == (*batch, 3, 64, 64)
    for index in itertools.product(*map(range, batch)):
        assert_same(painter(x[index], noise[index]), strokes[index])
    strokes.sum().backward()
    assert x.grad.shape == x.shape


@each_painter
def test_chunks_change_neither_strokes_nor_gradients(make):
    painter = trained(make)
    x = torch.rand(5, 12, requires_grad=True)
    whole, parts = painter(x), painter(x, chunk=2)
    assert_same(parts, whole)
    weights = torch.randn_like(whole)
    (d_whole,) = torch.autograd.grad((whole * weights).sum(), x)
    (d_parts,) = torch.autograd.grad((parts * weights).sum(), x)
    assert_same(d_parts, d_whole, 1e-3)


def test_chunks_keep_nothing_for_the_backward_pass_but_strokes():
    painter = trained(GANPainter)
    kept: dict[int | None, int] = {}
    for chunk in (None, 2):
        saved = []

        def pack(tensor: Tensor, saved: list[int] = saved) -> Tensor:
            saved.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            painter(torch.rand(8, 12, requires_grad=True), chunk=chunk)
        kept[chunk] = sum(saved)
    assert kept[2] < 0.01 * kept[None]


@each_painter
def test_strokes_depend_on_actions_alone_by_default(make):
    painter = trained(make)
    x = torch.rand(3, 12)
    first = painter(x)
    torch.manual_seed(1)
    assert torch.equal(painter(x), first)


@with_noise
def test_noise_is_drawn_by_the_generator(make):
    painter = trained(make)
    x = torch.rand(2, 1, 12).expand(2, 3, 12)
    first, again, other = (painter(x, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    for stroke, another in ((first, other), (first[0, 0], first[0, 1]), (first, painter(x))):
        assert (stroke - another).abs().max() > 1e-3
    noise = painter.sample_noise((2, 3), torch.Generator().manual_seed(1))
    assert noise.shape == (2, 3, painter.noise_size) and torch.equal(painter(x, noise), first)


def test_distributions_of_noise():
    normal, uniform = GANPainter().sample_noise((4000,)), PAINTERS["gan with uniform noise"]().sample_noise((4000,))
    assert abs(normal.mean()) < 0.02 and abs(normal.std() - 1) < 0.02
    assert 0 <= uniform.min() < 0.01 and 0.99 < uniform.max() < 1 and abs(uniform.mean() - 0.5) < 0.01
    assert VAEPainter().sample_noise((2,), torch.Generator()).std() > 0.8
    torch.manual_seed(5)
    first = GANPainter().sample_noise((2,))
    assert (first - GANPainter().sample_noise((2,))).abs().min() > 0


def test_the_last_noise_inputs_can_be_deterministic():
    painter = trained(GANPainter)
    x, noise = torch.rand(3, 12), torch.randn(3, 16)
    held = noise.clone()
    held[:, 10:] = 0.5
    expected = painter(x, held)
    painter.num_deterministic = 6
    assert torch.equal(painter(x, noise), expected)
    painter.num_deterministic = 16
    assert torch.equal(painter(x, noise), painter(x))


def test_no_noise_is_the_mean_of_the_latent_vector():
    painter = trained(VAEPainter)
    x, noise = torch.rand(3, 12), torch.randn(3, 64)
    mean, log_variance = painter.predictor(x)
    assert torch.equal(painter(x), painter(x, torch.zeros(3, 64)))
    assert torch.equal(painter(x, noise), painter.decoder(reparameterise(mean, log_variance, noise)))
    samples = reparameterise(torch.tensor(3.0), torch.tensor(math.log(4.0)), torch.randn(10_000))
    assert abs(samples.mean() - 3) < 0.1 and abs(samples.std() - 2) < 0.1


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ((torch.rand(2, 11),), ValueError, r"actions must have shape \(2, 12\), got \(2, 11\)"),
        ((torch.tensor(0.5),), ValueError, r"actions must have shape \(12,\), got \(\)"),
        ((torch.rand(2, 12).double(),), TypeError, "the painter's dtype torch.float32, got torch.float64"),
        ((torch.rand(2, 12), torch.rand(16)), ValueError, r"noise must have shape \(2, 16\), got \(16,\)"),
        ((torch.rand(2, 12), torch.rand(2, 16).half()), TypeError, "noise must have the painter's dtype"),
        ((torch.rand(2, 12), torch.rand(2, 16), torch.Generator()), ValueError, "got both"),
    ],
)
def test_rejects_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        GANPainter()(*arguments)


def test_rejects_bad_chunks():
    with pytest.raises(ValueError, match="chunk must be >= 1, got 0"):
        GANPainter().freeze()(torch.rand(2, 12), chunk=0)
    with pytest.raises(ValueError, match="chunk needs a painter in eval mode"):
        GANPainter()(torch.rand(2, 12), chunk=1)


@each_painter
def test_memory_format_changes_nothing(make):
    painter, x = trained(make), torch.rand(3, 12, requires_grad=True)
    weight = max(painter.parameters(), key=Tensor.numel)
    assert weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()
    strokes = painter(x)
    (d_x,) = torch.autograd.grad(strokes.square().sum(), x)
    painter.to(memory_format=torch.contiguous_format)
    assert weight.is_contiguous()
    plain = painter(x)
    (d_plain,) = torch.autograd.grad(plain.square().sum(), x)
    assert_same(strokes, plain)
    assert_same(d_x, d_plain, 1e-3)


@each_painter
def test_autocast(make):
    painter, x = trained(make), torch.rand(3, 12, requires_grad=True)
    expected = painter(x)
    with torch.autocast("cpu", torch.bfloat16):
        strokes = painter(x)
        halves = painter(x.bfloat16(), chunk=2)
    assert strokes.dtype == torch.float32 and halves.dtype == torch.bfloat16
    assert (strokes - expected).abs().mean() < 0.02 and (halves - expected).abs().mean() < 0.03
    # The last activation is not of bfloat16.
    assert (strokes != strokes.bfloat16()).any()
    strokes.sum().backward()
    assert x.grad.isfinite().all() and x.grad.any()


@pytest.mark.parametrize("name, chunk, backend", [("vae", 2, "aot_eager"), ("gan", None, "inductor")])
def test_compiles(name, chunk, backend):
    torch._dynamo.reset()
    painter, x = trained(PAINTERS[name]), torch.rand(3, 12, requires_grad=True)
    noise = painter.sample_noise((3,))
    compiled = torch.compile(painter, fullgraph=True, backend=backend)
    strokes, expected = compiled(x, noise, chunk=chunk), painter(x, noise)
    assert_same(strokes, expected)
    (d_x,) = torch.autograd.grad(strokes.square().sum(), x)
    (d_expected,) = torch.autograd.grad(expected.square().sum(), x)
    assert_same(d_x, d_expected, 1e-3)


# --- training -------------------------------------------------------------------------------------------------------


def test_critic_is_the_one_described():
    state = random_state(DISCRIMINATOR)
    critic = Critic().eval()
    critic.load_state_dict(state)
    strokes, x = torch.rand(4, 3, 64, 64), torch.rand(4, 12)
    y = F.conv2d(strokes, state["conv1.weight"], state["conv1.bias"], stride=2, padding=1)
    y = torch.where(y > 0, y, 0.2 * y) + linear_by(state, "fc1", x).clamp(min=0)[:, :, None, None]
    for i in (2, 3, 4):
        y = F.conv2d(y, state[f"conv{i}.weight"], state[f"conv{i}.bias"], stride=2, padding=1)
        y = norm_by(state, f"bn{i}", y)
        y = torch.where(y > 0, y, 0.2 * y)
    assert_same(critic(strokes, x), linear_by(state, "fc2", y.flatten(1))[:, 0])


def test_encoder_is_the_one_described():
    state = random_state(ENCODER)
    encoder = Encoder()
    encoder.load_state_dict(state)
    strokes = y = torch.rand(4, 3, 64, 64)
    for i in (1, 2, 3, 4):
        y = F.conv2d(y, state[f"conv{i}.weight"], state[f"conv{i}.bias"], stride=2).clamp(min=0)
    mean, log_variance = encoder(strokes)
    assert_same(mean, linear_by(state, "fc_mu", y.flatten(1)))
    assert_same(log_variance, linear_by(state, "fc_log_var", y.flatten(1)))


def test_critic_has_the_second_derivative_of_a_gradient_penalty():
    critic = Critic()
    strokes, x = torch.rand(4, 3, 64, 64, requires_grad=True), torch.rand(4, 12)
    (d_strokes,) = torch.autograd.grad(critic(strokes, x).sum(), strokes, create_graph=True)
    (d_strokes.flatten(1).norm(dim=1) - 1).square().mean().backward()
    assert critic.conv1.weight.grad.any() and critic.conv4.weight.grad.any()


@pytest.mark.parametrize("name", ["vae", "gan"])
def test_painters_learn(name):
    painter = PAINTERS[name]()
    x, target = torch.rand(8, 12), torch.full((8, 3, 64, 64), 0.9)
    target[::2, :, 20:40] = 0.2
    optimizer = torch.optim.Adam(painter.parameters(), lr=2e-3)
    losses = []
    for _ in range(15):
        loss = (painter(x, painter.sample_noise((8,))) - target).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.8 * losses[0]
    assert all(weight.grad.any() for weight in painter.parameters())


# --- actions --------------------------------------------------------------------------------------------------------


def test_fields_of_an_action_are_those_of_the_published_order():
    names = [name for field in actions.ACTION_FIELDS for name in [field.name] * field.size]
    assert names == [
        *["pressure", "size", "control", "control", "end", "end", "color", "color", "color", "start", "start"],
        "entry_pressure",
    ]
    assert [field.start for field in actions.ACTION_FIELDS] == [0, 1, 2, 4, 6, 9, 11]
    assert actions.ACTION_SIZE == NeuralPainter.action_size == 12


def test_values_of_an_action_are_in_units():
    action = torch.arange(12.0) / 16
    values = torch.cat([field.values(action) for field in actions.ACTION_FIELDS])
    scale = torch.tensor([0.8, 2, 64, 64, 64, 64, 1, 1, 1, 64, 64, 0.8])
    torch.testing.assert_close(values, action * scale)
    assert torch.equal(action[actions.COLOR.slice], action[6:9])


# --- the page -------------------------------------------------------------------------------------------------------


def test_examples_of_the_page_run(tmp_path, monkeypatch):
    save_checkpoint(tmp_path / "gan_neural_painter_latest.tar", gan_checkpoint(random_state(GENERATOR)))
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"^```python\n(.+?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert examples
    for example in examples:
        exec(compile(example, PAGE.name, "exec"), {})
    assert (tmp_path / "gan.safetensors").is_file()
