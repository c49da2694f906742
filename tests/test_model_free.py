"""Drawing without gradients: the environment, what learns in it, and what a learned policy draws."""

import subprocess
import sys
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from neural_paint import mypaint
from neural_paint.agents import FusedRenderer, MyPaintRenderer, NeuralRenderer, Renderer, draw, draw_in_mypaint
from neural_paint.agents.drawing_env import DrawingEnv, squared_error
from neural_paint.agents.model_free import train_model_free
from neural_paint.painters import NeuralPainter
from neural_paint.painters.canvas import connect

needs_mypaint = pytest.mark.skipif(not mypaint.available(), reason="MyPaint is not installed")
SMALL = {"width": 4, "blocks": 0, "hidden": 8}


class Blots:
    """White pictures with a dark square in a place of its own."""

    def batches(self, batch_size: int, *, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(seed)
        while True:
            pictures = torch.full((batch_size, 3, 64, 64), 255, dtype=torch.uint8)
            for picture, (x, y) in zip(pictures, torch.randint(40, (batch_size, 2), generator=generator), strict=True):
                picture[:, y : y + 24, x : x + 24] = 0
            yield pictures, torch.zeros(batch_size, dtype=torch.int64)


class Darker(Renderer):
    """Halves what is there, whatever the action."""

    def draw(self, actions: Tensor, canvas: Tensor) -> Tensor:
        return canvas / 2


def small_env(**options: object) -> DrawingEnv:
    return DrawingEnv(Blots(), **{"drawings": 3, "strokes": 4, **options})  # type: ignore[arg-type]


def random_actions(count: int = 4, drawings: int = 3, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).random((count, drawings, 12), np.float32)


@pytest.mark.parametrize("mode", ["connected", "jump"])
@pytest.mark.parametrize("black", [True, False])
def test_rewards_telescope(mode: str, black: bool) -> None:
    env, actions = small_env(mode=mode, black=black), random_actions()
    seen = env.reset()
    target = torch.from_numpy(seen["target"])
    steps = [env.step(action) for action in actions]
    drawn = torch.from_numpy(actions).transpose(0, 1).clone()
    if black:
        drawn[..., 6:9] = 0
    drawn = connect(drawn) if mode == "connected" else drawn
    canvas = torch.ones_like(target)
    for stroke in drawn.unbind(1):
        canvas = FusedRenderer().draw(stroke, canvas)
    gain = squared_error(torch.ones_like(target), target) - squared_error(canvas, target)
    rewards = sum(reward for _, reward, _, _ in steps)
    np.testing.assert_allclose(rewards, gain, atol=1e-5)
    last = steps[-1][3]
    np.testing.assert_allclose([info["episode"]["r"] for info in last], rewards, atol=1e-5)
    np.testing.assert_array_equal([info["terminal_observation"]["canvas"] for info in last], canvas)
    np.testing.assert_array_equal([info["terminal_observation"]["action"] for info in last], drawn[:, -1])


def test_an_episode_ends_and_another_begins() -> None:
    env, actions = small_env(), random_actions()
    first = env.reset()
    assert {name: space.shape for name, space in env.observation_space.items()} == {
        name: values.shape[1:] for name, values in first.items()
    }
    assert all(env.observation_space.contains({name: values[0] for name, values in first.items()}) for _ in "1")
    for count, action in enumerate(actions[:-1], 1):
        seen, _, done, infos = env.step(action)
        np.testing.assert_array_equal(seen["done"], np.full((3, 1), count / 4, np.float32))
        np.testing.assert_array_equal(seen["target"], first["target"])
        assert not done.any() and infos == [{}, {}, {}]
    seen, _, done, infos = env.step(actions[-1])
    assert done.all() and not seen["done"].any() and not seen["action"].any() and (seen["canvas"] == 1).all()
    assert (seen["target"] != first["target"]).any()
    for drawing, info in enumerate(infos):
        last = info["terminal_observation"]
        assert last["done"] == 1 and (last["canvas"] != 1).any()
        np.testing.assert_array_equal(last["target"], first["target"][drawing])


def test_targets_follow_the_seed() -> None:
    def targets(env: DrawingEnv) -> np.ndarray:
        begun = [env.reset()["target"]]
        return np.stack(begun + [env.step(action)[0]["target"] for action in random_actions(8)])

    env, other = small_env(seed=5), small_env(seed=6)
    first = targets(env)
    np.testing.assert_array_equal(first, targets(small_env(seed=5)))
    assert (first != targets(other)).any()
    # What is reset goes on with other targets, unless it was given a seed.
    assert (first != targets(env)).any()
    other.seed(5)
    np.testing.assert_array_equal(first, targets(other))


@pytest.mark.parametrize(
    "make",
    [
        Darker,
        lambda: NeuralRenderer(NeuralPainter.pretrained().freeze()),
        pytest.param(partial(MyPaintRenderer, threads=1), marks=needs_mypaint),
    ],
    ids=["darker", "neural", "mypaint"],
)
def test_any_renderer_draws(make: type[Renderer]) -> None:
    renderer = make()
    env, action = small_env(renderer=renderer), random_actions()[0]
    target = env.reset()["target"]
    seen, reward, _, _ = env.step(action)
    black = torch.from_numpy(action)
    black[:, 6:9] = 0
    canvas = renderer.draw(black, torch.ones(3, 3, 64, 64)).detach().numpy()
    np.testing.assert_array_equal(seen["canvas"], canvas)
    gain = ((1 - target) ** 2 - (canvas - target) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(reward, 10 * gain, atol=1e-5)


def test_the_error_is_exchangeable() -> None:
    env, action = small_env(error=lambda canvas, target: canvas.mean((1, 2, 3))), random_actions()[0]
    env.reset()
    seen, reward, _, _ = env.step(action)
    np.testing.assert_allclose(reward, 1 - seen["canvas"].mean((1, 2, 3)), atol=1e-6)


@needs_mypaint
@pytest.mark.parametrize("mode", ["connected", "jump"])
def test_mypaint_stroke_by_stroke_is_mypaint(mode: str) -> None:
    actions = torch.rand(4, 6, 12, generator=torch.Generator().manual_seed(2))
    canvas = torch.ones(4, 3, 64, 64)
    for stroke in (connect(actions) if mode == "connected" else actions).unbind(1):
        canvas = MyPaintRenderer().draw(stroke, canvas)
    torch.testing.assert_close(canvas, draw_in_mypaint(actions, mode), rtol=0, atol=2 / 255)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drawings": 0}, "drawings must be at least 1, got 0"),
        ({"strokes": 0}, "strokes must be at least 1, got 0"),
        ({"mode": "lifted"}, "mode must be one of connected, jump, got 'lifted'"),
    ],
)
def test_environment_rejects_bad_input(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small_env(**options)


def test_environment_rejects_bad_steps() -> None:
    env = small_env()
    with pytest.raises(RuntimeError, match="call reset first"):
        env.step(random_actions()[0])
    env.reset()
    with pytest.raises(RuntimeError, match="call step_async first"):
        env.step_wait()
    with pytest.raises(ValueError, match=r"actions must have shape \(3, 12\), got \(2, 12\)"):
        env.step(random_actions(drawings=2)[0])


def test_learning_raises_the_reward() -> None:
    learning = list(train_model_free(Blots(), 1, iterations=30, drawings=64, perception=SMALL))
    rewards = [step.reward for step in learning]
    assert np.mean(rewards[-5:]) > 1.5 * np.mean(rewards[:5]) > 0
    assert [step.drawings for step in learning] == list(range(64, 31 * 64, 64))
    assert learning[-1].seconds > learning[0].seconds > 0


def test_learning_can_be_repeated() -> None:
    runs = [list(train_model_free(Blots(), 2, iterations=3, drawings=8, seed=4, perception=SMALL)) for _ in "12"]
    assert [step.reward for step in runs[0]] == [step.reward for step in runs[1]]
    first, second = (run[-1].agent.policy.state_dict() for run in runs)
    torch.testing.assert_close(first, second, rtol=0, atol=0)


@pytest.mark.parametrize("mode", ["connected", "jump"])
def test_a_policy_draws(mode: str) -> None:
    *_, last = train_model_free(Blots(), 3, mode, iterations=2, drawings=4, perception=SMALL)  # type: ignore[arg-type]
    target = next(Blots().batches(5, seed=0))[0] / 255
    drawing = draw(last.agent, FusedRenderer(), target)
    assert drawing.outputs.shape == drawing.actions.shape == (5, 3, 12)
    assert drawing.outputs.min() >= 0 and drawing.outputs.max() <= 1 and not drawing.outputs[..., 6:9].any()
    expected = connect(drawing.outputs) if mode == "connected" else drawing.outputs
    torch.testing.assert_close(drawing.actions, expected)
    torch.testing.assert_close(draw(last.agent, FusedRenderer(), target).canvas, drawing.canvas, rtol=0, atol=0)
    # It sees what the environment shows it.
    env = DrawingEnv(Blots(), 5, 3, mode, seed=0)  # type: ignore[arg-type]
    seen = env.reset()
    for output in drawing.outputs.unbind(1):
        action, _ = last.agent.policy.predict(seen, deterministic=True)
        np.testing.assert_allclose(np.delete(action, [6, 7, 8], 1), np.delete(output, [6, 7, 8], 1), atol=1e-5)
        seen, *_ = env.step(output.numpy())


@pytest.mark.parametrize("budget", [{}, {"seconds": 1.0, "iterations": 1}])
def test_learning_rejects_bad_input(budget: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="one of seconds and iterations must be given"):
        next(train_model_free(Blots(), **budget))  # type: ignore[arg-type]


def test_what_is_missing_is_told_in_a_sentence() -> None:
    code = "import sys; sys.modules['stable_baselines3'] = None; import neural_paint.agents.model_free"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    said = "ImportError: learning without gradients needs stable-baselines3: pip install 'neural-paint[rl]'"
    assert run.stderr.splitlines()[-1] == said
