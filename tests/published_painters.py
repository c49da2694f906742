"""Neural painters, most of them as they were published: names and shapes of weights, what they paint, checkpoints."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neural_paint.painters import DabPainter, GANPainter, NeuralPainter, NPXPainter, VAEPainter

PAINTERS: dict[str, Callable[[], NeuralPainter]] = {
    "dab": DabPainter,
    "vae": VAEPainter,
    "vae without noise": lambda: VAEPainter(stochastic=False),
    "gan": GANPainter,
    "gan with uniform noise": lambda: GANPainter(noise_size=10, noise="uniform"),
    "gan without noise": lambda: GANPainter(noise_size=0),
    "gan, half deterministic": lambda: GANPainter(dim=8, num_deterministic=8),
    "npx": NPXPainter,
}
each_painter = pytest.mark.parametrize("make", PAINTERS.values(), ids=PAINTERS)
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


def save_checkpoint(path: Path, checkpoint: Any, zipped: bool = True) -> Path:
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    return path
