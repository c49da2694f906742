"""The networks of neural painters: published sizes, names and initial weights; training; the fields of an action."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from published_painters import (
    DECODER,
    DISCRIMINATOR,
    ENCODER,
    GENERATOR,
    NPX,
    PAINTERS,
    PREDICTOR,
    assert_same,
    generator_layout,
    linear_by,
    norm_by,
    random_state,
)

from neural_paint.painters import (
    ActionPredictor,
    Critic,
    DabPainter,
    Decoder,
    Encoder,
    GANPainter,
    Generator,
    NeuralPainter,
    NPXPainter,
    VAEPainter,
    actions,
)


@pytest.mark.parametrize(
    "make, count",
    [
        (Encoder, 821_344),
        (Decoder, 3_625_571),
        (ActionPredictor, 33_024),
        (lambda: ActionPredictor(stochastic=False), 28_864),
        (DabPainter, 1_670),
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
