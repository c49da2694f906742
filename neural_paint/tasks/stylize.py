"""Intrinsic style transfer: strokes show what a classifier sees in a photograph, and the medium makes the style.

Nakano, "Neural Painters" (arXiv:1904.08410), section 4: the loss compares what a network that knows photographs finds
in the canvas and in the photograph, and nothing else; shapes, places and colours of strokes are all that it can move.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Literal, get_args

import torch
from torch import Tensor

from neural_paint.action_strokes import AnyStrokes
from neural_paint.constraints import Constraints
from neural_paint.media import Medium, named_medium
from neural_paint.painters.actions import COLOR
from neural_paint.painters.base import NeuralPainter
from neural_paint.perception import (
    DEFAULT_NETWORK,
    STYLE_TF,
    FeatureLoss,
    FeatureNetwork,
    GramStyleLoss,
    Transform,
    TransportStyleLoss,
    network_like,
)
from neural_paint.tasks.checks import check_budget, check_painter, check_photo, check_strokes
from neural_paint.tasks.composition import Composition, CompositionStep
from neural_paint.tasks.schedule import Budget, rate

DEFAULT_STEPS, DEFAULT_STROKES = 300, 400
# Of what a network's layer sees, in the published code, and of a style in its unit.
_CONTENT_WEIGHT = 100.0
_STYLE_LAYERS = ("stem", "expand1", "expand3", "expand5", "expand9")
Start = Literal["photo", "random"]
StyleLoss = Literal["gram", "transport"]
_Objective = Callable[[Tensor], Tensor]
_Load = Callable[[str | FeatureNetwork], FeatureNetwork]


@dataclass(frozen=True, eq=False)
class Objective:
    """What the canvas is compared by.

    Attributes:
        layers: of the network whose activations are compared with the photograph's: names of `FeatureNetwork.layers`.
            An early layer keeps to the photograph, a late one is free. The published one is InceptionV1's "mixed3b";
            "expand5", an eighth of the picture's size as well, is its like in the default network. A layer of another
            network is named with it, "vgg19:relu3_1".
        weights: of the layers, by default 100 each, as in the published code.
        network: of the layers that do not name theirs; see `load_network`.
        norm: "l1", the mean absolute difference, as the published code has it; "l2", the mean square, as the paper
            says.
        gram_weight: of the difference of Gram matrices, of each layer with its weight squared: 0, content alone; 5,000
            in "The Joy of Neural Painting" (arXiv:2111.10283).
        pixel_weight: of the difference of the pictures themselves: 0; 1 there.
        transform: by which canvas and photograph, both with the same draw, are jittered, scaled and turned before each
            comparison; None compares them as they are.
        style_loss: what is compared with a picture of a style: "gram", correlations of features (Gatys et al.,
            arXiv:1508.06576), or "transport", their optimal transport (Kolkin et al., arXiv:1904.12785).
        style_layers: of the network, for that; by default those of EfficientNet-Lite that are known to work, and of
            another network five from the first to the last.
        style_weight: of that loss, in hundreds, as losses of content count a hundredfold.

    Raises:
        ValueError: an attribute is out of range.
    """

    layers: Sequence[str] = ("expand5",)
    weights: Sequence[float] | None = None
    network: str | FeatureNetwork = DEFAULT_NETWORK
    norm: Literal["l1", "l2"] = "l1"
    gram_weight: float = 0.0
    pixel_weight: float = 0.0
    transform: Transform | None = STYLE_TF
    style_loss: StyleLoss = "gram"
    style_layers: Sequence[str] | None = None
    style_weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.layers:
            raise ValueError("layers must name at least one layer, got none")
        if self.weights is not None and len(self.weights) != len(self.layers):
            raise ValueError(f"weights must be {len(self.layers)}, as there are layers, got {len(self.weights)}")
        if self.weights is not None and not all(0 <= weight < math.inf for weight in self.weights):
            raise ValueError(f"weights must be >= 0 and finite, got {', '.join(map(str, self.weights))}")
        if self.style_loss not in get_args(StyleLoss):
            raise ValueError(f"style_loss must be one of {', '.join(get_args(StyleLoss))}, got {self.style_loss!r}")
        for name in ("gram_weight", "pixel_weight", "style_weight"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be >= 0 and finite, got {value}")

    def with_layers(self, layers: Sequence[str]) -> Objective:
        """The same of other layers, each with the mean of these layers' weights."""
        weights = None if self.weights is None else [sum(self.weights) / len(self.weights)] * len(layers)
        return replace(self, layers=tuple(layers), weights=weights)


@dataclass(frozen=True)
class StylizeStep:
    """The picture after one step of `stylize`, detached; later steps do not change it.

    Attributes:
        index: steps before this one.
        progress: share of the budget that is used up, in (0, 1]; 1 in the last step.
        strokes: (B, N) strokes in pixels of the canvas.
        canvas: (B, 3, H, W) the strokes painted over `background`.
        background: (B, 3) colours of the paper.
        loss: () the objective, the mean over the batch, for this step's random view.
    """

    index: int
    progress: float
    strokes: AnyStrokes
    canvas: Tensor
    background: Tensor
    loss: Tensor


def stylize(
    photo: Tensor,
    medium: str | Medium = "oil",
    strokes: int = DEFAULT_STROKES,
    *,
    objective: Objective | None = None,
    style: Tensor | None = None,
    constraints: Constraints | None = None,
    start: Start = "photo",
    steps: int | None = None,
    seconds: float | None = None,
    speed: float = 1.0,
    seed: int = 0,
) -> Iterator[StylizeStep]:
    """Paint photographs so that a classifier sees in the painting what it sees in them; a generator.

        for step in stylize(photo, "watercolour", 600):
            print(step.index, float(step.loss))
        save_image("painting.png", step.canvas)

    The caller may stop at any time. With `steps`, equal arguments give the same bits on the same CPU.

    Args:
        photo: (B, 3, H, W) floating tensor in [0, 1], on the device to work on; the canvas has its size.
        medium: name in `neural_paint.media.MEDIA`, or a medium; its neural painter in the photograph's dtype, on its
            device.
        strokes: on each canvas, at least 1.
        objective: what is compared; by default content alone.
        style: (1, 3, H, W) a picture in whose style to paint, of any size; without one, the medium makes the style.
        constraints: what the strokes are held to.
        start: "photo" places the strokes on the photograph, coarse ones first, in its colours; "random", as published,
            anywhere, in blocks of a neural painter's grid with random colours.
        steps: steps of optimisation; 300 where neither budget is given.
        seconds: time to spend in here instead.
        speed: multiplies the size of the steps; the published rate of a neural painter's actions, 0.1, is 1.
        seed: of the random numbers that place the strokes and draw the views.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range (at the call, not at the first step).
        NetworkMissing: a network or its weights are not there; the message says how to get them.
    """
    _check(photo, strokes, style, start, steps, seconds, speed)
    photo = photo.detach() if photo.dtype == torch.float64 else photo.detach().float()
    medium = _medium(medium, photo)
    generator = torch.Generator().manual_seed(seed)
    compare = _Comparison(objective or Objective(), photo, style, generator)
    composition = Composition(
        len(photo),
        photo.shape[2:],
        strokes,
        medium,
        constraints=constraints,
        photo=photo if start == "photo" else None,
        generator=generator,
        like=photo,
    )
    budget = Budget(DEFAULT_STEPS if steps is None else steps, seconds, photo.device)
    return _optimise(composition, compare, budget, speed)


def _check(
    photo: Tensor,
    strokes: int,
    style: Tensor | None,
    start: str,
    steps: int | None,
    seconds: float | None,
    speed: float,
) -> None:
    check_photo("photo", photo, channels=COLOR.size)
    if style is not None:
        check_photo("style", style, channels=COLOR.size)
        if len(style) != 1:
            raise ValueError(f"style must be one picture, (1, 3, H, W), got {tuple(style.shape)}")
    check_strokes(strokes)
    check_budget(steps, seconds)
    if start not in get_args(Start):
        raise ValueError(f"start must be one of {', '.join(get_args(Start))}, got {start!r}")
    if not 0 < speed < math.inf:
        raise ValueError(f"speed must be > 0 and finite, got {speed}")


def _medium(medium: str | Medium, photo: Tensor) -> Medium:
    if isinstance(medium, str):
        return named_medium(medium, photo.device, photo.dtype)
    if not isinstance(medium, Medium):
        raise TypeError(f"medium must be a name or a Medium, got {type(medium).__name__}")
    if isinstance(medium.brush, NeuralPainter):
        check_painter("medium's painter", medium.brush, photo)
    return medium


class _Comparison:
    """An objective for certain photographs, drawn anew for each step."""

    def __init__(self, objective: Objective, photo: Tensor, style: Tensor | None, generator: torch.Generator) -> None:
        self._photo = photo
        self._objective = objective
        # Each is loaded once, whatever looks with it.
        network: _Load = cache(partial(network_like, like=photo))
        self._losses = _feature_losses(objective, network)
        self._generator = generator
        self._transform = objective.transform or Transform()
        # Refuses now, and not at the first step, a photograph that is too small for it.
        self._transform.draw(1, (photo.shape[2], photo.shape[3]), torch.Generator())
        self._style = None if style is None else self._style_loss(style.to(photo), network(objective.network))

    def _style_loss(self, style: Tensor, network: FeatureNetwork) -> _Objective:
        layers = self._objective.style_layers or _style_layers(network)
        if self._objective.style_loss == "gram":
            return GramStyleLoss(network, layers).set_style(style)
        transport = TransportStyleLoss(network, layers).set_style(style, self._generator)
        return partial(transport, generator=self._generator)

    def draw(self) -> _Objective:
        """The comparison by one random view, (B, 3, H, W) canvases -> (), the sum over them."""
        photo = self._photo
        height, width = photo.shape[2:]
        view = self._transform.draw(len(photo), (height, width), self._generator)
        seen = view(photo)
        targets = [loss.targets(seen) for loss in self._losses]

        def compare(canvas: Tensor) -> Tensor:
            shown = view(canvas)
            total = canvas.new_zeros(())
            for loss, target in zip(self._losses, targets, strict=True):
                total = total + loss.compare(shown, target)
            if self._style is not None:
                total = total + _CONTENT_WEIGHT * self._objective.style_weight * self._style(shown)
            return len(canvas) * total

        return compare


def _feature_losses(objective: Objective, load: _Load) -> list[FeatureLoss]:
    """One for each network."""
    weights = objective.weights or [_CONTENT_WEIGHT] * len(objective.layers)
    of_network: dict[str | FeatureNetwork, list[tuple[str, float]]] = {}
    for layer, weight in zip(objective.layers, weights, strict=True):
        prefix, _, name = layer.rpartition(":")
        of_network.setdefault(prefix or objective.network, []).append((name, weight))
    return [
        FeatureLoss(
            load(network),
            [name for name, _ in layers],
            [weight for _, weight in layers],
            gram_weight=objective.gram_weight,
            norm=objective.norm,
            # Pixels are the same to every network.
            pixel_weight=0.0 if index else objective.pixel_weight,
        )
        for index, (network, layers) in enumerate(of_network.items())
    ]


def _style_layers(network: FeatureNetwork) -> Sequence[str]:
    return _STYLE_LAYERS if set(_STYLE_LAYERS) <= set(network.layers) else network.spread(len(_STYLE_LAYERS))


def _optimise(composition: Composition, compare: _Comparison, budget: Budget, speed: float) -> Iterator[StylizeStep]:
    while True:
        budget.begin_step()
        is_last = budget.is_last
        size = speed * rate(budget.progress)
        step: CompositionStep = composition.step(compare.draw(), size, is_last=is_last)
        budget.end_step()
        progress = 1.0 if is_last else budget.progress
        loss = step.loss / len(step.canvas)
        yield StylizeStep(budget.index - 1, progress, step.strokes, step.canvas, composition.background, loss)
        if is_last:
            return
