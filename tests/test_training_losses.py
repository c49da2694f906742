"""Losses and schedules of training, against the formulas that were published, written down once more in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from neural_paint.painters import Critic
from neural_paint.painters.training.losses import (
    critic_cross_entropy,
    divergence,
    energy_score,
    painter_cross_entropy,
    weighted_error,
)
from neural_paint.training.losses import gradient_penalty
from neural_paint.training.schedules import cosine, piecewise


@pytest.fixture
def strokes() -> torch.Tensor:
    """A white stroke, one with a grey bar, and one whose channels are 1 here and there, but not all."""
    strokes = torch.ones(3, 3, 64, 64, dtype=torch.float64)
    strokes[1, :, 10:20] = 0.5
    strokes[2, 0, :, 5] = 0.25
    return strokes


@pytest.mark.parametrize("weight", [10.0, 1.0, 0.0])
def test_weighted_error_is_the_published_sum(strokes, weight):
    painted = torch.rand_like(strokes)
    x, y = strokes.numpy(), painted.numpy()
    total = 0.0
    for real, fake in zip(x, y, strict=True):
        w = np.where(real.mean(axis=0) != 1, weight, 1.0)
        total += sum((w * (real[c] - fake[c]) ** 2).sum() for c in range(3))
    assert weighted_error(painted, strokes, weight).item() == pytest.approx(total / 3)
    assert weighted_error(painted, strokes, weight, "mean").item() == pytest.approx(total / x.size)


def test_a_byte_of_255_is_white():
    strokes = torch.full((1, 3, 64, 64), 255, dtype=torch.uint8).float() / 255
    assert weighted_error(torch.zeros_like(strokes), strokes, 10.0).item() == pytest.approx(3 * 64 * 64)


def test_divergence_has_a_floor_for_each_stroke():
    mean = torch.randn(4, 64, dtype=torch.float64) * torch.tensor([0.01, 0.1, 2.0, 3.0])[:, None]
    log_variance = 0.1 * torch.randn(4, 64, dtype=torch.float64)
    of_strokes = [
        sum(-0.5 * (1 + s - m * m - math.exp(s)) for m, s in zip(*row, strict=True))
        for row in zip(mean.tolist(), log_variance.tolist(), strict=True)
    ]
    assert min(of_strokes) < 32 < max(of_strokes)
    expected = sum(max(value, 32.0) for value in of_strokes) / 4
    assert divergence(mean, log_variance, 0.5).item() == pytest.approx(expected)
    assert divergence(mean, log_variance, 0.0).item() == pytest.approx(sum(of_strokes) / 4)


def test_what_is_below_the_floor_has_no_gradient():
    mean = torch.tensor([[0.1] * 64, [3.0] * 64], requires_grad=True)
    divergence(mean, torch.zeros(2, 64), 0.5).backward()
    assert not mean.grad[0].any() and mean.grad[1].all()


def test_gradient_penalty_of_a_linear_critic():
    weight = torch.randn(3 * 64 * 64, dtype=torch.float64)
    strokes, painted = (torch.rand(5, 3, 64, 64, dtype=torch.float64) for _ in range(2))
    penalty = gradient_penalty(lambda x: x.flatten(1) @ weight, strokes, painted, torch.rand(5, 1, 1, 1).double())
    assert penalty.item() == pytest.approx((np.linalg.norm(weight.numpy()) - 1) ** 2)


def test_gradient_penalty_is_of_the_mixed_strokes():
    strokes, painted = (torch.rand(3, 3, 4, 4, dtype=torch.float64) for _ in range(2))
    epsilon = torch.tensor([0.0, 0.25, 1.0], dtype=torch.float64)
    # The gradient of sum(x^2) / 2 is x itself.
    penalty = gradient_penalty(lambda x: x.square().flatten(1).sum(1) / 2, strokes, painted, epsilon.view(3, 1, 1, 1))
    mixed = [e * x + (1 - e) * y for e, x, y in zip(epsilon.numpy(), strokes.numpy(), painted.numpy(), strict=True)]
    assert penalty.item() == pytest.approx(np.mean([(np.linalg.norm(x) - 1) ** 2 for x in mixed]))


def test_gradient_penalty_has_the_gradient_of_finite_differences():
    critic = Critic(dim=2).double()
    strokes, painted = (torch.rand(3, 3, 64, 64, dtype=torch.float64) for _ in range(2))
    actions, epsilon = torch.rand(3, 12, dtype=torch.float64), torch.rand(3, 1, 1, 1, dtype=torch.float64)

    def penalty() -> torch.Tensor:
        return 1e3 * gradient_penalty(lambda x: critic(x, actions), strokes, painted, epsilon)

    penalty().backward()
    for weight in (critic.conv1.weight, critic.bn3.weight, critic.fc2.weight):
        index = int(weight.grad.abs().argmax())
        flat, values = weight.data.view(-1), []
        for step in (1e-6, -2e-6):
            flat[index] += step
            values.append(penalty().item())
        flat[index] += 1e-6
        assert (values[0] - values[1]) / 2e-6 == pytest.approx(weight.grad.view(-1)[index].item(), rel=1e-4)


def test_energy_score_of_windows():
    first, second, strokes = torch.rand(3, 2, 3, 8, 8, dtype=torch.float64)

    def distance(a, b):
        squares, distances = ((a - b).numpy() ** 2).mean(1), []
        for side in (2, 4, 8):
            places = range(0, 8 - side + 1, side // 2)
            windows = [squares[:, y : y + side, x : x + side].mean((1, 2)) for y in places for x in places]
            distances.append(np.sqrt(np.array(windows) + 1e-6).mean())
        return np.mean(distances)

    expected = (distance(first, strokes) + distance(second, strokes) - distance(first, second)) / 2
    assert energy_score(first, second, strokes).item() == pytest.approx(expected)


@pytest.mark.parametrize("spread", [0.0, 0.5, 2.0])
def test_energy_score_is_least_for_the_distribution_of_strokes(spread):
    strokes, first, second = torch.randn(3, 4000, 1, 8, 8)
    assert energy_score(first, second, strokes) < energy_score(spread * first, spread * second, strokes) - 0.02


def test_cross_entropies():
    real, painted = torch.randn(2, 6, dtype=torch.float64)
    p, q = (1 / (1 + np.exp(-x.numpy())) for x in (real, painted))
    expected = (-np.log(p).mean() - np.log(1 - q).mean()) / 2
    assert critic_cross_entropy(real, painted).item() == pytest.approx(expected)
    assert painter_cross_entropy(painted).item() == pytest.approx(-np.log(q).mean())
    assert critic_cross_entropy(nn.Parameter(real), painted).requires_grad


@pytest.mark.parametrize(
    "step, rate", [(0, 0.01), (19_999, 0.01), (20_000, 0.001), (79_999, 0.001), (80_000, 1e-4), (10**6, 1e-4)]
)
def test_learning_rates_of_the_predictor(step, rate):
    assert piecewise(step, (0.01, 0.001, 1e-4), (20_000, 80_000)) == rate


def test_cosine_goes_up_and_comes_down():
    rates = [cosine(step, 100, 2.0, 10, 0.5) for step in range(101)]
    np.testing.assert_allclose(rates[:10], 0.2 * np.arange(1, 11))
    assert rates[10] == 2.0 and rates[55] == pytest.approx(1.25) and rates[100] == 0.5
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert cosine(0, 1, 3.0) == 3.0
