"""An agent that learns to draw without gradients of what draws: proximal policy optimisation (Schulman et al.,
arXiv:1707.06347), by stable-baselines3. What differentiable renderers are measured against."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from statistics import fmean
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from neural_paint.agents.agent import Agent, Mode, blackened
from neural_paint.agents.drawing_env import DrawingEnv, Error, Pictures
from neural_paint.agents.renderers import Renderer
from neural_paint.agents.training.config import AgentConfig
from neural_paint.agents.training.losses import picture_error
from neural_paint.painters.actions import ACTION_SIZE

# isort: split
# After what tells in one sentence where they are missing.
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

LEARNING_RATE = 1e-3
# Strokes of a step, and passes over those of an iteration.
BATCH, EPOCHS = 128, 4
# Of the layer between what is seen and the action, and of that before the expected reward.
HIDDEN = 256
# Logarithm of how far actions spread at first, in parts of their range, and what a stroke's reward counts for the one
# before it: trials that are near to each other, each credited with little more than its own, learn several times as
# fast as wide ones that are credited with the whole drawing.
LOG_SPREAD = -2.8
DISCOUNT = 0.5


def _from_afar(canvas: Tensor, target: Tensor) -> Tensor:
    return picture_error(canvas, target, AgentConfig.doublings)


class Perception(BaseFeaturesExtractor):
    """What the agent sees, through its own layers, and the share of the strokes that is done.

    Args:
        space: of `DrawingEnv`.
        perception: arguments of `Agent`, of which all but what it sees with is left out.
    """

    def __init__(self, space: spaces.Dict, perception: dict[str, Any]) -> None:
        agent = Agent(**perception)
        super().__init__(space, agent.memory.hidden_size + 1)
        del agent.memory, agent.head
        self.agent = agent

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        target = self.agent.target(observations["target"])
        seen = self.agent.perceive(observations["canvas"], target, observations["action"])
        return torch.cat([seen, observations["done"]], 1)


class PolicyMemory(NamedTuple):
    """What a policy is shown besides the canvas: (B, 12) the action before, the target, and (B, 1) the share done."""

    action: Tensor
    target: Tensor
    done: Tensor


class PolicyAgent:
    """A trained policy that `draw` takes in place of an `Agent`; it draws what is likeliest.

    It has no LSTM: the canvas, the action before and the share of strokes done are all that matters to the rest of a
    drawing, and PPO learns from single strokes in any order.
    """

    def __init__(self, policy: ActorCriticPolicy, strokes: int, mode: Mode, black: bool) -> None:
        self.policy, self.strokes, self.mode, self.black = policy, strokes, mode, black

    def begin(self, target: Tensor) -> PolicyMemory:
        return PolicyMemory(target.new_zeros(len(target), ACTION_SIZE), target, target.new_zeros(len(target), 1))

    def __call__(self, canvas: Tensor, memory: PolicyMemory) -> tuple[Tensor, PolicyMemory]:
        seen = {"canvas": canvas, **memory._asdict()}
        with torch.no_grad():
            action = self.policy.get_distribution(seen).mode().clamp(0, 1)
        action = blackened(action) if self.black else action
        return action, memory._replace(action=action, done=memory.done + 1 / self.strokes)


class Learning(NamedTuple):
    """How far learning has come.

    Attributes:
        agent: as it draws by now.
        iterations: of drawing and learning from it.
        drawings: seen.
        seconds: of learning; what the caller does in between does not count.
        reward: mean of the last drawings, each the sum of its strokes'.
    """

    agent: PolicyAgent
    iterations: int
    drawings: int
    seconds: float
    reward: float


def train_model_free(
    targets: Pictures,
    strokes: int = 8,
    mode: Mode = "connected",
    black: bool = True,
    renderer: Renderer | None = None,
    *,
    error: Error = _from_afar,
    seconds: float | None = None,
    iterations: int | None = None,
    drawings: int = 64,
    seed: int = 0,
    perception: dict[str, Any] | None = None,
) -> Iterator[Learning]:
    """Let an agent learn by PPO, on the CPU, as long as `seconds` or `iterations` say.

    An iteration is `drawings` drawings and 4 passes over their strokes, 128 at a time, by Adam with a step size that
    falls from 1e-3 to 0 in a straight line. Rewards are discounted by one half a stroke, as each has its own;
    advantages are averaged with lambda 0.95, ratios clipped to within 0.2 of 1, and gradients to norm 0.5. Actions are
    normal, at first with deviation 0.06 around the middle of their range.

    Args:
        targets, strokes, mode, black, renderer: as of `DrawingEnv`.
        error: as of `DrawingEnv`; by default that of `AgentConfig`, with the same `doublings`, as trials that are near
            to each other feel little of what is far.
        seconds, iterations: one of them.
        drawings: of an iteration.
        seed: of all that is random; with `iterations`, a training can be repeated.
        perception: arguments of `Agent` that say how large the layers are.

    Yields:
        after each iteration; the agent is the same one every time, and goes on learning.

    Raises:
        ValueError: an argument is wrong.
    """
    if (seconds is None) == (iterations is None):
        raise ValueError(f"one of seconds and iterations must be given, got {seconds} and {iterations}")
    env = DrawingEnv(targets, drawings, strokes, mode, black, renderer, error, seed)
    share, spent, iteration = 0.0, 0.0, 0
    learner = _learner(env, lambda _: LEARNING_RATE * (1 - share), seed, perception or {})
    agent = PolicyAgent(learner.policy, strokes, mode, black)
    while share < 1:
        begun = time.perf_counter()
        learner.learn(strokes * drawings, reset_num_timesteps=False)
        spent, iteration = spent + time.perf_counter() - begun, iteration + 1
        share = min(1.0, spent / seconds if seconds is not None else iteration / (iterations or 1))
        reward = fmean(episode["r"] for episode in learner.ep_info_buffer or ())
        yield Learning(agent, iteration, iteration * drawings, spent, reward)


def _learner(env: DrawingEnv, rate: Callable[[float], float], seed: int, perception: dict[str, Any]) -> PPO:
    learner = PPO(
        "MultiInputPolicy",
        env,
        learning_rate=rate,
        n_steps=env.strokes,
        batch_size=min(BATCH, env.strokes * env.num_envs),
        n_epochs=EPOCHS,
        gamma=DISCOUNT,
        gae_lambda=0.95,
        clip_range=0.2,
        max_grad_norm=0.5,
        stats_window_size=env.num_envs,
        seed=seed,
        device="cpu",
        policy_kwargs={
            "features_extractor_class": Perception,
            "features_extractor_kwargs": {"perception": perception},
            "net_arch": [HIDDEN],
            "activation_fn": nn.ReLU,
            "log_std_init": LOG_SPREAD,
        },
    )
    nn.init.constant_(learner.policy.get_parameter("action_net.bias"), 0.5)
    # Only now: it is laid out for the CPU after its weights are drawn.
    learner.policy.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return learner
