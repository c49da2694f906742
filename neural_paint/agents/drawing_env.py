"""Drawing as stable-baselines3 knows tasks: many drawings at once, rewarded stroke by stroke."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neural_paint.agents.agent import Mode, blackened
from neural_paint.agents.drawing import stroke_after
from neural_paint.agents.renderers import FusedRenderer, Renderer
from neural_paint.painters.actions import ACTION_SIZE, COLOR, STROKE_SIZE

try:
    from gymnasium import spaces
    from stable_baselines3.common.vec_env import VecEnv
except ImportError as error:
    raise ImportError("learning without gradients needs stable-baselines3: pip install 'neural-paint[rl]'") from error

Observation = dict[str, Any]


class Pictures(Protocol):
    """What an environment asks of the pictures to draw."""

    def batches(self, batch_size: int, *, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches without end: uint8 (b, 3, 64, 64), and labels, which are not used."""


# Of canvases (B, 3, 64, 64), next to their targets: (B,).
Error: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def squared_error(canvas: Tensor, target: Tensor) -> Tensor:
    """Ten times the mean square of each difference: white paper's next to a digit is about 1."""
    return 10 * (canvas - target).square().mean((1, 2, 3))


class DrawingEnv(VecEnv):
    """B drawings at once, of so many strokes each.

    An observation is the canvas and the target, (3, 64, 64) in [0, 1], the action before as it was drawn, zeros at
    first, and the share of the strokes that is done. The reward of a stroke is how much it lowers the error of the
    canvas: those of a drawing add up to what all of it does. All end with the same stroke, and go on with new targets.

    Args:
        targets: to draw.
        drawings: B.
        strokes, mode, black: as of `Agent`.
        renderer: draws them, without gradients; by default the fused one.
        error: of a canvas next to its target; learning is best with one of order 1.
        seed: of the order of the targets; `seed()` sets another one for the next reset.

    Raises:
        ValueError: a number or the mode is wrong.
    """

    render_mode = None
    # None before the first reset.
    _batches: Iterator[tuple[Tensor, Tensor]] | None = None
    _canvas: Tensor
    _target: Tensor
    _action: Tensor
    _done: int
    # Of each canvas, and as it was of the white paper.
    _error: Tensor
    _first_error: Tensor

    def __init__(
        self,
        targets: Pictures,
        drawings: int,
        strokes: int = 8,
        mode: Mode = "connected",
        black: bool = True,
        renderer: Renderer | None = None,
        error: Error = squared_error,
        seed: int = 0,
    ) -> None:
        for name, value in (("drawings", drawings), ("strokes", strokes)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if mode not in get_args(Mode):
            raise ValueError(f"mode must be one of {', '.join(get_args(Mode))}, got {mode!r}")
        shapes = {
            "canvas": (COLOR.size, STROKE_SIZE, STROKE_SIZE),
            "target": (COLOR.size, STROKE_SIZE, STROKE_SIZE),
            "action": (ACTION_SIZE,),
            "done": (1,),
        }
        seen = spaces.Dict({name: spaces.Box(0, 1, shape, np.float32) for name, shape in shapes.items()})
        super().__init__(drawings, seen, spaces.Box(0, 1, (ACTION_SIZE,), np.float32))
        self.strokes, self.mode, self.black = strokes, mode, black
        self.renderer = renderer or FusedRenderer()
        self.error = error
        self._targets = targets
        self._output: Tensor | None = None
        self.seed(seed)

    def reset(self) -> Observation:
        if self._seeds[0] is not None:
            self._batches = self._targets.batches(self.num_envs, seed=self._seeds[0])
            self._reset_seeds()
        self._output = None
        self._begin()
        return self._observation()

    def step_async(self, actions: NDArray[Any]) -> None:
        if self._batches is None:
            raise RuntimeError("there must be something to draw: call reset first")
        if actions.shape != (self.num_envs, ACTION_SIZE):
            raise ValueError(f"actions must have shape ({self.num_envs}, {ACTION_SIZE}), got {actions.shape}")
        self._output = torch.from_numpy(actions)

    @torch.no_grad()
    def step_wait(self) -> tuple[Observation, NDArray[Any], NDArray[Any], list[dict[str, Any]]]:
        if self._output is None:
            raise RuntimeError("there must be actions to draw: call step_async first")
        output, self._output = self._output, None
        output = blackened(output) if self.black else output
        self._action = stroke_after(self._action if self._done else None, output, self.mode)
        self._canvas = self.renderer.draw(self._action, self._canvas)
        self._done += 1
        before, self._error = self._error, self.error(self._canvas, self._target)
        rewards = (before - self._error).numpy()
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        finished = self._done == self.strokes
        if finished:
            infos = self._last_words()
            self._begin()
        return self._observation(), rewards, np.full(self.num_envs, finished), infos

    def _begin(self) -> None:
        """White paper, and targets that were not drawn before."""
        assert self._batches is not None
        pictures, _ = next(self._batches)
        self._target = pictures.float() / 255
        self._canvas = torch.ones_like(self._target)
        self._action = torch.zeros(self.num_envs, ACTION_SIZE)
        self._done = 0
        self._error = self._first_error = self.error(self._canvas, self._target)

    def _observation(self) -> Observation:
        share = np.full((self.num_envs, 1), self._done / self.strokes, np.float32)
        seen = {"canvas": self._canvas, "target": self._target, "action": self._action}
        return {**{name: tensor.numpy() for name, tensor in seen.items()}, "done": share}

    def _last_words(self) -> list[dict[str, Any]]:
        last = self._observation()
        returns = (self._first_error - self._error).tolist()
        return [
            {
                "terminal_observation": {name: values[drawing] for name, values in last.items()},
                "episode": {"r": returns[drawing], "l": self.strokes},
            }
            for drawing in range(self.num_envs)
        ]

    def close(self) -> None:
        """There is nothing to close."""

    def get_attr(self, attr_name: str, indices: int | Iterable[int] | None = None) -> list[Any]:
        return [getattr(self, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: int | Iterable[int] | None = None) -> None:
        raise NotImplementedError("the drawings of an environment have no attributes of their own")

    def env_method(
        self, method_name: str, *args: Any, indices: int | Iterable[int] | None = None, **kwargs: Any
    ) -> list[Any]:
        raise NotImplementedError("the drawings of an environment have no methods of their own")

    def env_is_wrapped(self, wrapper_class: type[Any], indices: int | Iterable[int] | None = None) -> list[bool]:
        return [False] * len(list(self._get_indices(indices)))
