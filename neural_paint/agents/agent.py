"""The recurrent agent that draws a picture stroke by stroke, looking at its canvas and at the picture.

Of "Neural Painters" (R. Nakano, arXiv:1904.08410), whose network is that of SPIRAL (Ganin et al., arXiv:1804.01118)
without its discrete, autoregressive decoder: an action is twelve numbers at once.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neural_paint.painters.actions import ACTION_SIZE, COLOR, STROKE_SIZE
from neural_paint.painters.layers import full_precision

# Whether a stroke begins where the one before it ended, or where it likes.
Mode = Literal["connected", "jump"]

_CHANNELS = 3
# Side of the windows that the first layer sees, of 64 pixels, by its stride.
_WINDOWS = {1: 5, 2: 5, 4: 7}
# What a network may be made of: beyond it no memory would suffice.
_RANGES = {"strokes": (1, 10_000), "width": (1, 4_096), "blocks": (0, 256), "hidden": (1, 65_536)}
# Of stride 1; each is by windows of four.
_HALVINGS, _HALVING_WINDOW = 3, 4


class Memory(NamedTuple):
    """What the agent carries from stroke to stroke, for B canvases.

    Attributes:
        action: (B, 12) the one before, as it was drawn; zeros at first.
        hidden, cell: (B, hidden) of the LSTM.
        target: (B, width, h, w) what the first layer makes of the pictures, which do not change.
    """

    action: Tensor
    hidden: Tensor
    cell: Tensor
    target: Tensor


class Agent(nn.Module):
    """Looks at canvases and pictures of 64 x 64, and says what stroke comes next.

    The published one is `Agent(strokes, mode, black, stride=1, blocks=8)`.

    Args:
        strokes: that it draws a picture with.
        mode: "connected" strokes begin where the one before them ended, with its pressure; "jump" ones where they like.
        black: strokes are black, as in the published agent with human-like strokes; otherwise they have a colour each.
        painter: `digest` of the neural painter that it learned to draw with; None: with curves, as `paint` draws them.
        width: channels of the convolutions.
        blocks: residual ones.
        hidden: numbers that the LSTM remembers.
        stride: of the first layer, 1, 2 or 4; what it sees with 4 costs a tenth.

    Raises:
        ValueError: an argument is out of range, or of another type.
    """

    def __init__(
        self,
        strokes: int = 8,
        mode: Mode = "connected",
        black: bool = True,
        painter: str | None = None,
        width: int = 32,
        blocks: int = 2,
        hidden: int = 256,
        stride: int = 4,
    ) -> None:
        for name, value in (("strokes", strokes), ("width", width), ("blocks", blocks), ("hidden", hidden)):
            least, most = _RANGES[name]
            if type(value) is not int or not least <= value <= most:
                raise ValueError(f"{name} must be a whole number in {least} .. {most:,}, got {value!r}")
        if mode not in get_args(Mode):
            raise ValueError(f"mode must be one of {', '.join(get_args(Mode))}, got {mode!r}")
        if type(stride) is not int or stride not in _WINDOWS:
            raise ValueError(f"stride must be one of {', '.join(map(str, _WINDOWS))}, got {stride!r}")
        if type(black) is not bool or not isinstance(painter, str | None):
            raise ValueError(f"black must be true or false, and painter text or None, got {black!r} and {painter!r}")
        super().__init__()
        self.strokes, self.mode, self.black, self.painter = strokes, mode, black, painter
        self.width, self.stride = width, stride
        # One convolution of both, side by side, in two parts: that of the picture is computed once.
        window = _WINDOWS[stride]
        self.canvas = nn.Conv2d(_CHANNELS, width, window, stride, window // 2)
        self.target = nn.Conv2d(_CHANNELS, width, window, stride, window // 2, bias=False)
        self.action = nn.Linear(ACTION_SIZE, width)
        halvings = _HALVINGS + 1 - stride.bit_length()
        self.halvings = nn.ModuleList(nn.Conv2d(width, width, _HALVING_WINDOW, 2) for _ in range(halvings))
        self.blocks = nn.ModuleList(_Block(width) for _ in range(blocks))
        side = STROKE_SIZE // stride
        for _ in range(halvings):
            side = (side - _HALVING_WINDOW) // 2 + 1
        self.features = nn.Linear(width * side * side, hidden)
        self.memory = nn.LSTMCell(hidden, hidden)
        self.head = nn.Linear(hidden, ACTION_SIZE)

    def architecture(self) -> dict[str, Any]:
        """The arguments of the constructor that make this agent again, apart from its weights."""
        return {
            "strokes": self.strokes,
            "mode": self.mode,
            "black": self.black,
            "painter": self.painter,
            "width": self.width,
            "blocks": len(self.blocks),
            "hidden": self.memory.hidden_size,
            "stride": self.stride,
        }

    def freeze(self) -> Agent:
        """Set `requires_grad` of all weights to False, and return self."""
        return self.eval().requires_grad_(False)

    def use_channels_last(self) -> Agent:
        """Put the weights in channels-last memory, which is faster on the CPU, and return self."""
        return self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def begin(self, target: Tensor) -> Memory:
        """Before the first stroke on pictures (B, 3, 64, 64) in [0, 1]."""
        if target.shape[1:] != (_CHANNELS, STROKE_SIZE, STROKE_SIZE):
            rule = f"(B, {_CHANNELS}, {STROKE_SIZE}, {STROKE_SIZE})"
            raise ValueError(f"target must have shape {rule}, got {tuple(target.shape)}")
        none = target.new_zeros(len(target), self.memory.hidden_size)
        return Memory(target.new_zeros(len(target), ACTION_SIZE), none, none, self.target(target))

    def forward(self, canvas: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """The next action (B, 12) in [0, 1] for canvases (B, 3, 64, 64) in [0, 1], and what is remembered of it."""
        seen = self.perceive(canvas, memory.target, memory.action)
        hidden, cell = self.memory(seen, (memory.hidden, memory.cell))
        action = torch.sigmoid(full_precision(self.head(hidden)))
        if self.black:
            action = blackened(action)
        return action, memory._replace(action=action, hidden=hidden, cell=cell)

    def perceive(self, canvas: Tensor, target: Tensor, action: Tensor) -> Tensor:
        """What the convolutions make of canvases (B, 3, 64, 64): (B, hidden); target and action as in `Memory`."""
        before = F.relu(self.action(action))[:, :, None, None]
        x = F.relu(self.canvas(canvas) + target) + before
        for halving in self.halvings:
            x = F.relu(halving(x))
        for block in self.blocks:
            x = block(x)
        return F.relu(self.features(x.flatten(1)))


def blackened(actions: Tensor) -> Tensor:
    """The actions (..., 12), in black."""
    return COLOR.replaced(actions, torch.zeros_like(actions[..., COLOR.slice]))


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(x)))
