"""What a neural painter promises: gradients, batches, noise, memory, precision."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from published_painters import PAINTERS, assert_same, each_painter, each_small_painter, trained
from torch import Tensor

from neural_paint.painters import DabPainter, GANPainter, VAEPainter, load_painter, reparameterise, save_painter

with_noise = pytest.mark.parametrize(
    "make", [make for name, make in PAINTERS.items() if name in ("vae", "gan", "gan with uniform noise")]
)


@each_painter
def test_frozen_painters_give_gradients_to_actions_alone(tmp_path, make):
    save_painter(trained(make).train().requires_grad_(), tmp_path / "painter.safetensors")
    painter = load_painter(tmp_path / "painter.safetensors")
    assert not painter.training
    x = torch.rand(2, 12, requires_grad=True)
    painter(x).square().sum().backward()
    assert (x.grad.abs() > 1e-6).all()
    assert all(not weight.requires_grad and weight.grad is None for weight in painter.parameters())


@pytest.mark.parametrize(
    "make", [lambda: GANPainter(dim=2, noise_size=2), lambda: VAEPainter(stochastic=False), DabPainter]
)
def test_gradcheck(make):
    painter = trained(make).double()
    x = torch.rand(2, 12, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: (painter(x) * weights).sum(), [x], fast_mode=True)


@each_painter
@pytest.mark.parametrize("chunk", [None, 2])
def test_strokes_are_what_activation_makes_of_the_last_layer(make, chunk):
    painter, x = trained(make), torch.rand(2, 2, 12)
    before = painter.preactivation(x, chunk=chunk)
    assert before.shape == (2, 2, 3, 64, 64)
    assert_same(painter.activate(before), painter(x))
    assert painter.ends_in_sigmoid == torch.equal(painter.activate(before), torch.sigmoid(before))
    with torch.autocast("cpu", torch.bfloat16):
        assert painter.preactivation(x, chunk=chunk).dtype == torch.float32


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


@pytest.mark.parametrize("make", [make for name, make in PAINTERS.items() if name != "dab"])
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


@pytest.mark.parametrize(
    "make, chunk, backend",
    [
        (lambda: trained(VAEPainter), 2, "aot_eager"),
        (lambda: trained(GANPainter), None, "inductor"),
        (lambda: DabPainter().freeze(), None, "inductor"),
    ],
    ids=["vae", "gan", "dab"],
)
def test_compiles(make, chunk, backend):
    torch._dynamo.reset()
    painter, x = make(), torch.rand(3, 12, requires_grad=True)
    noise = painter.sample_noise((3,))
    compiled = torch.compile(painter, fullgraph=True, backend=backend)
    strokes, expected = compiled(x, noise, chunk=chunk), painter(x, noise)
    assert_same(strokes, expected)
    (d_x,) = torch.autograd.grad(strokes.square().sum(), x)
    (d_expected,) = torch.autograd.grad(expected.square().sum(), x)
    assert_same(d_x, d_expected, 1e-3)
