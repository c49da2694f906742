"""Pictures drawn by an agent that has learned to draw, stroke after stroke: whole, or in squares side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from neural_paint.action_strokes import ActionStrokes, AnyStrokes
from neural_paint.agents.agent import Agent
from neural_paint.agents.drawing import draw_strokes
from neural_paint.agents.renderers import NeuralRenderer, Renderer, renderer_of
from neural_paint.ops.decode_strokes import decode_strokes
from neural_paint.painters.actions import COLOR, STROKE_SIZE
from neural_paint.painters.base import NeuralPainter
from neural_paint.strokes import Strokes
from neural_paint.tasks.checks import check_photo
from neural_paint.tasks.lay import lay

# An agent goes on drawing after the strokes that it learned with; up to so many times as many.
MOST_TIMES = 4
_WHITE = 1.0
_AT_A_TIME = 256
# Mean of a border below which it is dark.
_DARK = 0.25


@dataclass(frozen=True)
class SketchStep:
    """The drawing after one stroke in each square.

    Attributes:
        index: steps before this one.
        progress: share of the steps that is done, in (0, 1]; 1 in the last one.
        strokes: (B, n) all strokes so far, in pixels of the canvas: `ActionStrokes`, or `Strokes` of an agent that
            learned with curves.
        canvas: (B, 3, H, W) with the strokes on `background`.
        background: (B, 3) colours of the paper, which is white.
        mse: (B,) mean squared error of each canvas.
    """

    index: int
    progress: float
    strokes: AnyStrokes
    canvas: Tensor
    background: Tensor
    mse: Tensor

    @property
    def psnr(self) -> float:
        """Peak signal-to-noise ratio in dB, the mean over the batch; synchronises with the device."""
        return float(-10 * self.mse.clamp(min=1e-12).log10().mean())


def sketch(
    photo: Tensor,
    agent: Agent,
    *,
    painter: NeuralPainter | None = None,
    blocks: int = 1,
    strokes: int | None = None,
) -> Iterator[SketchStep]:
    """Let an agent draw pictures; a generator that yields the drawing after each stroke.

        for step in sketch(photo, load_agent("agent.safetensors")):
            print(step.index, step.psnr)
        save_image("drawing.png", step.canvas)

    An agent looks at squares of 64 x 64 pixels, to which each square of the picture is brought; what it draws there
    goes to the same square of the canvas, which has the picture's size. The caller may stop at any time.

    Args:
        photo: (B, 3, H, W) floating tensor in [0, 1], on the agent's device.
        agent: that draws.
        painter: the neural painter that it learned with, where it is none of those that come with the package.
        blocks: squares along the longer side; as many along the other as it takes, which overlap. With one, the whole
            picture is in the middle of a square of white paper.
        strokes: in each square, by default as many as the agent learned with, and up to four times as many.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range (at the call, not at the first step).
    """
    check_photo("photo", photo, channels=COLOR.size)
    weight = next(agent.parameters())
    if photo.device != weight.device:
        raise ValueError(f"photo must be on the device of the agent, {weight.device}, got {photo.device}")
    longest = max(photo.shape[2:])
    if not 1 <= blocks <= longest:
        raise ValueError(f"blocks must be in 1 .. {longest}, the pixels of the longer side, got {blocks}")
    count = checked_strokes(agent, strokes)
    squares = Squares(photo.shape[2], photo.shape[3], blocks)
    return _draw(photo.detach().to(weight.dtype), agent, renderer_of(agent, painter), squares, count)


def checked_strokes(agent: Agent, strokes: int | None) -> int:
    """How many strokes an agent draws; ValueError where it cannot draw so many."""
    count, most = agent.strokes if strokes is None else strokes, MOST_TIMES * agent.strokes
    if not 1 <= count <= most:
        raise ValueError(f"strokes must be in 1 .. {most}, {MOST_TIMES} times what the agent learned with, got {count}")
    return count


def has_dark_border(photo: Tensor) -> bool:
    """Whether a picture (B, 3, H, W) is light on dark, as the digits of MNIST are: by its outermost pixels."""
    sides = [photo[..., 0, :], photo[..., -1, :], photo[..., :, 0], photo[..., :, -1]]
    return float(torch.cat(sides, -1).mean()) < _DARK


class Squares:
    """K squares, in whole pixels, that pictures of height x width are divided into.

    Attributes:
        side: in pixels.
        corners: x and y of the upper left one of each, row by row; outside of the picture where it is narrower.
    """

    def __init__(self, height: int, width: int, blocks: int) -> None:
        self.side = math.ceil(max(height, width) / blocks)
        longest = max(height, width)
        rows, columns = (_starts(length, self.side, -(-blocks * length // longest)) for length in (height, width))
        self.corners = [(x, y) for y in rows for x in columns]

    def views(self, photo: Tensor) -> Tensor:
        """(K * B, 3, 64, 64) what an agent sees of the squares of pictures (B, 3, H, W): all of the first one first."""
        left, top = (max(0, -start) for start in self.corners[0])
        bottom, right = (max(0, self.side - length) for length in photo.shape[2:])
        padded = F.pad(photo, (left, right - left, top, bottom - top), value=_WHITE)
        cut = [padded[:, :, y + top :, x + left :][:, :, : self.side, : self.side] for x, y in self.corners]
        size = (STROKE_SIZE, STROKE_SIZE)
        return F.interpolate(torch.cat(cut), size, mode="bicubic", antialias=True).clamp(0, 1)

    def strokes(self, actions: Tensor, renderer: Renderer) -> AnyStrokes:
        """(B, K) strokes on the canvas of actions (K * B, 12), one in each square."""
        strokes = _in_agents_square(actions.unsqueeze(1), renderer).scaled(self.side / STROKE_SIZE)
        count = len(actions) // len(self.corners)
        each = [strokes[i * count : (i + 1) * count].shifted(x, y) for i, (x, y) in enumerate(self.corners)]
        return _joined(each)


def _starts(length: int, side: int, count: int) -> list[int]:
    """Where so many squares begin that fill a side of the picture, evenly apart; one alone has it in its middle."""
    if count == 1:
        return [(length - side) // 2]
    return [round(index * (length - side) / (count - 1)) for index in range(count)]


def _in_agents_square(actions: Tensor, renderer: Renderer) -> Strokes | ActionStrokes:
    """(B, N) strokes on 64 x 64 pixels of actions (B, N, 12)."""
    if isinstance(renderer, NeuralRenderer):
        place = actions.new_tensor([0.0, 0.0, STROKE_SIZE]).expand(*actions.shape[:2], 3)
        return ActionStrokes(actions=actions, place=place)
    strokes = decode_strokes(actions, "mypaint", (STROKE_SIZE, STROKE_SIZE))
    assert isinstance(strokes, Strokes)
    return strokes


def _joined(strokes: Sequence[AnyStrokes]) -> AnyStrokes:
    joined: AnyStrokes = type(strokes[0]).cat(strokes)  # type: ignore[arg-type]
    return joined


@torch.no_grad()
def _draw(photo: Tensor, agent: Agent, renderer: Renderer, squares: Squares, count: int) -> Iterator[SketchStep]:
    painter = renderer.painter if isinstance(renderer, NeuralRenderer) else None
    canvas, strokes = torch.full_like(photo, _WHITE), None
    background = canvas[:, :, 0, 0]
    # All at once, what the agent's layers give of them would take gigabytes.
    parts = [draw_strokes(agent, renderer, views, count) for views in squares.views(photo).split(_AT_A_TIME)]
    for index, drawn in enumerate(zip(*parts, strict=True)):
        new = squares.strokes(torch.cat([stroke.action for stroke in drawn]), renderer)
        strokes = new if strokes is None else _joined([strokes, new])
        canvas = lay(new, canvas, painter)
        mse = (canvas - photo).square().mean((1, 2, 3))
        yield SketchStep(index, (index + 1) / count, strokes, canvas, background, mse)
