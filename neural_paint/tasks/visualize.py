"""Class visualisation: strokes paint whatever makes a classifier see one of ImageNet's labels.

Nakano, "Neural Painters" (arXiv:1904.08410): nothing but what the networks say of the label moves the strokes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from neural_paint.action_strokes import AnyStrokes
from neural_paint.constraints import Constraints
from neural_paint.media import Medium, named_medium
from neural_paint.painters.base import NeuralPainter
from neural_paint.perception import DEFAULT_NETWORK, FeatureNetwork, find_label, network_like
from neural_paint.tasks.checks import check_budget, check_painter, check_strokes
from neural_paint.tasks.class_objective import ClassObjective
from neural_paint.tasks.composition import Composition
from neural_paint.tasks.schedule import Budget, rate

DEFAULT_STEPS = 1_000
DEFAULT_STROKES = 120
DEFAULT_SIZE = 160


@dataclass(frozen=True)
class VisualizeStep:
    """The paintings after one step of `visualize`, detached; later steps do not change them.

    Attributes:
        index: steps before this one.
        progress: share of the budget that is used up, in (0, 1]; 1 in the last step.
        strokes: (B, N) strokes in pixels of the canvas.
        canvas: (B, 3, H, W) the strokes painted over `background`.
        background: (B, 3) colours of the paper.
        loss: () the objective, the mean over the batch, for this step's random views.
        label: index of the label that was asked for.
        networks: that are to see it.
    """

    index: int
    progress: float
    strokes: AnyStrokes
    canvas: Tensor
    background: Tensor
    loss: Tensor
    label: int
    networks: tuple[FeatureNetwork, ...] = field(repr=False)

    def probability(self) -> Tensor:
        """(networks, B) of the label for each canvas as it is, by each network."""
        return torch.stack([classified(network, self.canvas)[:, self.label] for network in self.networks])


@torch.no_grad()
def classified(network: FeatureNetwork, images: Tensor) -> Tensor:
    """(B, 1000) probabilities of ImageNet's labels for (B, 3, H, W) images, seen at the network's own size."""
    side = network.input_size
    seen = F.interpolate(images, (side, side), mode="bilinear", antialias=True, align_corners=False)
    logits: Tensor = network(seen)
    return logits.softmax(1)


def visualize(
    label: str | int,
    *,
    networks: str | FeatureNetwork | Sequence[str | FeatureNetwork] = DEFAULT_NETWORK,
    medium: str | Medium = "round",
    strokes: int = DEFAULT_STROKES,
    size: int | tuple[int, int] = DEFAULT_SIZE,
    batch: int = 1,
    objective: ClassObjective | None = None,
    constraints: Constraints | None = None,
    steps: int | None = None,
    seconds: float | None = None,
    speed: float = 1.0,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> Iterator[VisualizeStep]:
    """Paint what classifiers take for a label; a generator that yields the paintings at every step.

        for step in visualize("goldfish", strokes=200, steps=500):
            print(step.index, step.probability().tolist())
        save_image("goldfish.png", step.canvas)

    The caller may stop at any time. With `steps`, equal arguments give the same bits on the same CPU.

    Args:
        label: one of ImageNet's 1,000, a name or an index; see `neural_paint.perception.find_label`.
        networks: one or several classifiers, or their names; the objective is their mean. Published: InceptionV1,
            InceptionV2, MobileNetV2 and ResNet50 (TensorFlow); GoogLeNet, VGG19, MobileNetV2 and ResNet50 (PyTorch).
        medium: name in `neural_paint.media.MEDIA`, or a medium. Published: a neural painter's strokes on one canvas of
            64 pixels, or on a grid of 4 x 4 that overlap by 48, which is `Medium(painter, 1.0, block=64, overlap=48)`
            with a `size` of 112.
        strokes: on each canvas, at least 1. Published: 30, or 32 on the grid.
        size: pixels of the canvas, a side or (H, W); the strokes can be rendered at any size.
        batch: canvases, each with its own strokes and views. Published: 3 or 5.
        objective: what the networks are asked, and in which views.
        constraints: what the strokes are held to.
        steps: steps of optimisation; 1,000 where neither budget is given. Published: 1,500.
        seconds: time to spend in here instead.
        speed: multiplies the size of the steps. At 1 a colour moves by 0.05 a step, as published.
        seed: of the random numbers that place the strokes and draw the views.
        device: where to compute.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range (at the call, not at the first step).
        NetworkMissing: a network or its weights are not there; the message says how to get them.
    """
    index = find_label(label)
    medium = named_medium(medium, device) if isinstance(medium, str) else medium
    height, width = (size, size) if isinstance(size, int) else size
    like = torch.empty(0, device=device)
    _check(medium, strokes, (height, width), batch, steps, seconds, speed, like)
    classifiers = _classifiers(networks, like)
    generator = torch.Generator().manual_seed(seed)
    composition = Composition(
        batch, (height, width), strokes, medium, constraints=constraints, generator=generator, like=like
    )
    budget = Budget(DEFAULT_STEPS if steps is None else steps, seconds, like.device)
    return _optimise(composition, classifiers, index, objective or ClassObjective(), budget, speed, generator)


def _check(
    medium: Medium,
    strokes: int,
    size: tuple[int, int],
    batch: int,
    steps: int | None,
    seconds: float | None,
    speed: float,
    like: Tensor,
) -> None:
    if not isinstance(medium, Medium):
        raise TypeError(f"medium must be a name or a Medium, got {type(medium).__name__}")
    if isinstance(medium.brush, NeuralPainter):
        check_painter("medium's painter", medium.brush, like)
    check_strokes(strokes)
    check_budget(steps, seconds)
    if min(size) < 1:
        raise ValueError(f"size must be at least 1, got {size[0]} x {size[1]}")
    if batch < 1:
        raise ValueError(f"batch must be at least 1, got {batch}")
    if not 0 < speed < math.inf:
        raise ValueError(f"speed must be > 0 and finite, got {speed}")


def _classifiers(
    networks: str | FeatureNetwork | Sequence[str | FeatureNetwork], like: Tensor
) -> tuple[FeatureNetwork, ...]:
    if isinstance(networks, (str, FeatureNetwork)):
        networks = [networks]
    if not networks:
        raise ValueError("networks must hold at least one, got none")
    found = tuple(network_like(network, like) for network in networks)
    for network in found:
        if not network.is_classifier:
            raise ValueError(f"networks must be classifiers of ImageNet's labels, and {network.name} is none")
    return found


def _optimise(
    composition: Composition,
    networks: tuple[FeatureNetwork, ...],
    label: int,
    objective: ClassObjective,
    budget: Budget,
    speed: float,
    generator: torch.Generator,
) -> Iterator[VisualizeStep]:
    while True:
        budget.begin_step()
        is_last = budget.is_last
        ask = objective.drawn(networks, label, budget.progress, generator)
        kept = objective.kept(composition.shape, generator)
        step = composition.step(ask, speed * rate(budget.progress), kept=kept, is_last=is_last)
        budget.end_step()
        yield VisualizeStep(
            budget.index - 1,
            1.0 if is_last else budget.progress,
            step.strokes,
            step.canvas,
            composition.background,
            step.loss / len(step.canvas),
            label,
            networks,
        )
        if is_last:
            return
