"""What classifiers are asked of a canvas, so that it comes to show a label, and not only to them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from neural_paint.perception import FeatureNetwork, Transform

Score = Literal["logit", "probability"]
# How far views are moved, in shorter sides of the canvas.
_SHIFT = 0.1
# Other labels that are held against a picture: those it is most likely to be taken for.
_RIVALS = 10
# The disc that a spotlight shows, and its soft rim, in halves of the canvas's sides.
_DISC, _RIM = 1.0, 0.3
# Views have their last size from this share of the budget on.
_GROWN_AT = 0.7


def shaken(height: int, width: int) -> Transform:
    """Views of a canvas of so many pixels moved by up to a tenth, larger or smaller by up to a quarter, turned and
    mirrored."""
    shift = round(_SHIFT * min(height, width))
    return Transform(pad=shift, jitter=2 * shift, scales=(0.8, 0.9, 1.0, 1.1, 1.25), degrees=15.0, flip=True)


@dataclass(frozen=True)
class ClassObjective:
    """The mean over networks and random views of what a network says for the label.

    Attributes:
        score: "logit" of the label, which goes on rising, and which the PyTorch notebook has; "probability", which the
            TensorFlow one has and which has hardly a gradient where it is near 0 or 1.
        against: parts of the mean logit of the label's ten strongest rivals that count against the label's; only for
            "logit". Published: 0.
        transform: how views are drawn, each for itself; by default `shaken`. Published: `CLASS_TF` and `CLASS_PT` of
            `neural_paint.perception`.
        views: of each canvas in a step. Published: 5 (TensorFlow) and 3 (PyTorch), all with one draw in the former.
        view_sizes: side of a view in pixels, at first and in the end, which is reached at 70 % of the budget: in small
            views large shapes come about, and in larger ones what only other networks would miss. Published: 224.
        spotlight: share of the views that show only a disc about the middle, on a plain random colour, so that
            what the networks look for comes to the middle. Published: 0.
        missing: share of the strokes, others in each step, that are left out: what shows does not hang on any of them.
            Published: 0.

    Raises:
        ValueError: an attribute is out of range.
    """

    score: Score = "logit"
    against: float = 0.6
    transform: Transform | None = None
    views: int = 4
    view_sizes: tuple[int, int] = (112, 208)
    spotlight: float = 0.5
    missing: float = 0.2

    def __post_init__(self) -> None:
        if self.score not in get_args(Score):
            raise ValueError(f"score must be one of {', '.join(get_args(Score))}, got {self.score!r}")
        if not 0 <= self.against < math.inf:
            raise ValueError(f"against must be >= 0 and finite, got {self.against}")
        if self.views < 1:
            raise ValueError(f"views must be at least 1, got {self.views}")
        if len(self.view_sizes) != 2 or min(self.view_sizes) < 1:
            raise ValueError(f"view_sizes must be two sides of at least 1, got {self.view_sizes}")
        for name in ("spotlight", "missing"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")

    def drawn(
        self, networks: Sequence[FeatureNetwork], label: int, progress: float, generator: torch.Generator
    ) -> Callable[[Tensor], Tensor]:
        """(B, 3, H, W) canvases -> () loss, the sum over them, in views that are drawn when it is called.

        `progress` is the share of the budget that is used up.
        """
        first, last = self.view_sizes
        side = round(first + (last - first) * min(progress / _GROWN_AT, 1.0))

        def ask(canvas: Tensor) -> Tensor:
            shown = self._lit(canvas.repeat_interleave(self.views, 0), generator)
            height, width = shown.shape[2:]
            transform = self.transform or shaken(height, width)
            seen = transform.draw(len(shown), (height, width), generator, side)(shown)
            scores = torch.stack([self._score(network(seen), label) for network in networks])
            return -scores.mean(0).sum() / self.views

        return ask

    def kept(self, shape: tuple[int, int], generator: torch.Generator) -> Tensor | None:
        """Mask of the strokes, of that shape (B, N), that are not missing in this step; None: none is."""
        return torch.rand(shape, generator=generator) >= self.missing if self.missing else None

    def _score(self, logits: Tensor, label: int) -> Tensor:
        if self.score == "probability":
            return logits.softmax(1)[:, label]
        rivals = torch.cat([logits[:, :label], logits[:, label + 1 :]], 1).topk(_RIVALS, 1).values
        return logits[:, label] - self.against * rivals.mean(1)

    def _lit(self, shown: Tensor, generator: torch.Generator) -> Tensor:
        """The canvases, some of them hidden but for the disc."""
        draw = torch.rand(len(shown), 4, 1, 1, generator=generator).to(shown)
        down, across = (torch.linspace(-1, 1, side, dtype=shown.dtype, device=shown.device) for side in shown.shape[2:])
        hidden = 1 - ((_DISC - torch.hypot(down[:, None], across)) / _RIM).clamp(0, 1)
        hidden = hidden * (draw[:, :1] < self.spotlight)
        return torch.lerp(shown, draw[:, 1:].expand_as(shown), hidden.expand_as(shown))
