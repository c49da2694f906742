"""Class visualisation: what is asked of classifiers, and what is painted of their answers."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest
import torch
from torch import Tensor

from neural_paint import ActionStrokes
from neural_paint.constraints import Constraints
from neural_paint.media import Medium
from neural_paint.painters import NeuralPainter
from neural_paint.perception import FeatureNetwork, Transform, load_network
from neural_paint.tasks import bloom as bloom_module
from neural_paint.tasks import render
from neural_paint.tasks.bloom import Bloom
from neural_paint.tasks.class_objective import ClassObjective, shaken
from neural_paint.tasks.visualize import VisualizeStep, classified, visualize

PLAIN = ClassObjective(against=0.0, transform=Transform(), views=1, view_sizes=(16, 16), spotlight=0.0, missing=0.0)
SMALL = {"strokes": 20, "size": 40}
LEMON = 951


class Colors(FeatureNetwork):
    """Labels 0, 1 and 2 are the mean red, green and blue, times a gain; others are at -100."""

    name, layers, input_size = "colors", (), 8

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([self.gain * images.mean((2, 3)), images.new_full((len(images), 997), -100.0)], 1)


def loss_of(objective: ClassObjective, canvas: Tensor, *networks: FeatureNetwork, label: int = 0) -> Tensor:
    return objective.drawn(networks or [Colors()], label, 0.0, torch.Generator().manual_seed(0))(canvas)


def painted(label: str | int = "lemon", steps: int = 3, **options: object) -> list[VisualizeStep]:
    return list(visualize(label, steps=steps, **{**SMALL, **options}))  # type: ignore[arg-type]


def test_paints_what_the_network_takes_for_the_label() -> None:
    objective = ClassObjective(view_sizes=(96, 96), views=2)
    steps = painted(steps=40, strokes=40, size=64, objective=objective, seed=2)
    first, last = steps[0], steps[-1]
    assert first.probability().shape == (1, 1) and last.label == LEMON
    assert last.probability() > 100 * first.probability()
    early, late = (sum(step.loss for step in part) / 5 for part in (steps[:5], steps[-5:]))
    assert late < early - 5
    network = load_network()
    assert torch.equal(classified(network, last.canvas)[:, LEMON], last.probability()[0])
    assert [step.index for step in steps] == list(range(40)) and last.progress == 1


def test_score_is_the_mean_over_networks_and_the_sum_over_canvases() -> None:
    canvas = torch.rand(2, 3, 16, 16)
    red = canvas[:, 0].mean((1, 2))
    assert torch.allclose(loss_of(PLAIN, canvas), -red.sum())
    assert torch.allclose(loss_of(PLAIN, canvas, Colors(), Colors(3.0)), -2 * red.sum())
    assert torch.allclose(loss_of(replace(PLAIN, views=5), canvas), -red.sum())


def test_probability_and_rivals() -> None:
    canvas = torch.rand(1, 3, 16, 16)
    logits = canvas.mean((2, 3))[0]
    assert torch.allclose(loss_of(replace(PLAIN, score="probability"), canvas), -logits.softmax(0)[0])
    rivals = (logits[1] + logits[2] - 8 * 100) / 10
    assert torch.allclose(loss_of(replace(PLAIN, against=0.5), canvas), -(logits[0] - 0.5 * rivals))


@pytest.mark.parametrize(("spotlight", "seen"), [(0.0, True), (1.0, False)])
def test_spotlight_hides_the_corners(spotlight: float, seen: bool) -> None:
    canvas = torch.rand(1, 3, 24, 16, requires_grad=True)
    loss_of(replace(PLAIN, spotlight=spotlight), canvas).backward()
    assert canvas.grad is not None
    assert canvas.grad[0, 0, 12, 8] != 0
    assert bool((canvas.grad[..., [0, 0, -1, -1], [0, -1, 0, -1]][:, 0] != 0).all()) == seen
    assert bool((canvas.grad[..., [0, 0, -1, -1], [0, -1, 0, -1]] != 0).any()) == seen


def test_spotlight_stands_on_another_color_each_time() -> None:
    objective = replace(PLAIN, spotlight=1.0)
    ask = objective.drawn([Colors()], 0, 0.0, torch.Generator().manual_seed(0))
    canvas = torch.rand(1, 3, 16, 16)
    assert ask(canvas) != ask(canvas)


def test_views_are_moved_with_the_canvas() -> None:
    assert (shaken(160, 320).jitter, shaken(160, 320).pad) == (32, 16)
    assert shaken(4, 9).jitter == 0
    canvas = torch.rand(1, 3, 16, 16)
    assert loss_of(replace(PLAIN, transform=None), canvas) != loss_of(PLAIN, canvas)


@pytest.mark.parametrize(("progress", "side"), [(0.0, 10), (0.35, 15), (0.7, 20), (1.0, 20)])
def test_views_grow(progress: float, side: int) -> None:
    sides = []

    class Watched(Colors):
        def forward(self, images: Tensor) -> Tensor:
            sides.append(images.shape[3])
            return super().forward(images)

    generator = torch.Generator().manual_seed(0)
    replace(PLAIN, view_sizes=(10, 20)).drawn([Watched()], 0, progress, generator)(torch.rand(1, 3, 16, 16))
    assert sides == [side]


def test_missing_strokes_are_handed_out() -> None:
    steps = painted(0, 2, networks=Colors(), objective=replace(PLAIN, missing=1.0))
    assert not torch.equal(steps[0].canvas, steps[0].background[:, :, None, None].expand_as(steps[0].canvas))
    # Nothing of what was not there is moved.
    assert torch.equal(steps[0].canvas, steps[1].canvas)
    assert torch.allclose(steps[0].loss, -steps[0].background[0, 0])
    kept = replace(PLAIN, missing=0.25).kept((2, 4000), torch.Generator().manual_seed(0))
    assert kept is not None and 0.73 < kept.float().mean() < 0.77


def test_equal_seeds_give_equal_paintings() -> None:
    first, again, other = (painted(seed=seed)[-1] for seed in (3, 3, 4))
    assert torch.equal(first.canvas, again.canvas)
    assert not torch.equal(first.canvas, other.canvas)


def test_steps_are_not_changed_by_later_ones() -> None:
    steps = visualize("lemon", steps=3, **SMALL)  # type: ignore[arg-type]
    first = next(steps)
    kept = first.canvas.clone()
    again = render(first.strokes, (40, 40), first.background[0].tolist(), (40, 40))
    list(steps)
    assert torch.equal(first.canvas, kept)
    assert torch.allclose(render(first.strokes, (40, 40), first.background[0].tolist(), (40, 40)), again)


def test_batch_of_different_paintings_on_a_wide_canvas() -> None:
    step = painted(batch=3, size=(24, 40), objective=PLAIN, networks=[Colors(), Colors(2.0)], label=1)[-1]
    assert step.canvas.shape == (3, 3, 24, 40) and step.strokes.shape == (3, 20)
    assert step.background.shape == (3, 3)
    assert step.probability().shape == (2, 3)
    assert not torch.equal(step.canvas[0], step.canvas[1])


def test_paints_the_color_that_is_asked_for() -> None:
    red, blue = (painted(label, 60, networks=Colors(), objective=PLAIN)[-1].canvas.mean((0, 2, 3)) for label in (0, 2))
    assert red[0] > 0.7 > red[2]
    assert blue[2] > 0.7 > blue[0]


def test_constraints_hold() -> None:
    canvas = painted(constraints=Constraints(grey=True), networks=Colors(), objective=PLAIN)[-1].canvas
    assert torch.allclose(canvas[:, 0], canvas[:, 2], atol=1e-6)


def test_published_canvases_of_a_neural_painter() -> None:
    medium = Medium(NeuralPainter.pretrained(), 1.0, block=64, overlap=48)
    step = painted(medium=medium, size=112, strokes=32, steps=2, networks=Colors(), objective=PLAIN)[-1]
    assert isinstance(step.strokes, ActionStrokes)
    assert step.strokes.place[0, :, 0].unique().tolist() == [0, 16, 32, 48]
    assert step.strokes.place[0, ::2, :2].unique(dim=0).shape == (16, 2)


def test_seconds() -> None:
    steps = visualize("lemon", seconds=0.2, networks=Colors(), objective=PLAIN, **SMALL)  # type: ignore[arg-type]
    assert list(steps)[-1].progress == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": "goldfsh"}, "did you mean goldfish"),
        ({"label": 1000}, "label must be an index from 0 to 999, got 1000"),
        ({"networks": []}, "networks must hold at least one, got none"),
        ({"networks": "resnet"}, "network must be"),
        ({"medium": "blood"}, "medium must be one of"),
        ({"strokes": 0}, "strokes must be at least 1, got 0"),
        ({"size": 0}, "size must be at least 1, got 0 x 0"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"steps": 2, "seconds": 1.0}, "steps and seconds exclude each other"),
        ({"speed": 0.0}, "speed must be > 0 and finite, got 0.0"),
    ],
)
def test_rejects_bad_input(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        visualize(**{"label": "lemon", **options})  # type: ignore[arg-type]


def test_rejects_what_is_no_classifier_and_no_medium() -> None:
    network = Colors()
    network.is_classifier = False
    with pytest.raises(ValueError, match="networks must be classifiers of ImageNet's labels, and colors is none"):
        visualize("lemon", networks=network)
    with pytest.raises(TypeError, match="medium must be a name or a Medium, got int"):
        visualize("lemon", medium=3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": "loss"}, "score must be one of logit, probability, got 'loss'"),
        ({"against": -1.0}, "against must be >= 0 and finite, got -1.0"),
        ({"views": 0}, "views must be at least 1, got 0"),
        ({"view_sizes": (0, 9)}, r"view_sizes must be two sides of at least 1, got \(0, 9\)"),
        ({"missing": -0.5}, r"missing must be in \[0, 1\], got -0.5"),
        ({"spotlight": 1.5}, r"spotlight must be in \[0, 1\], got 1.5"),
    ],
)
def test_objective_rejects_bad_input(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClassObjective(**options)  # type: ignore[arg-type]


def test_bloom_goes_from_the_first_step_to_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bloom_module, "_MOST_KEPT", 4)
    bloom, steps = Bloom(), painted(0, 11, networks=Colors(), objective=PLAIN)
    for step in steps:
        bloom.add(step.strokes)
    background = step.background[0].tolist()
    frames = list(bloom.frames((40, 40), background, (40, 40), 9, hold=3))
    shown = [render(steps[i].strokes, (40, 40), background, (40, 40)) for i in range(11)]
    found = [next(i for i in range(11) if torch.equal(frame, shown[i])) for frame in frames]
    # Every fourth step is kept, and the last one.
    assert found == [0, 4, 4, 8, 8, 10, 10, 10, 10]


def test_bloom_rejects_bad_input() -> None:
    with pytest.raises(ValueError, match="strokes must be added"):
        next(Bloom().frames((4, 4), [0.0] * 3, (4, 4), 2))
    bloom = Bloom()
    for step in islice(visualize("lemon", networks=Colors(), objective=PLAIN, **SMALL), 1):  # type: ignore[arg-type]
        bloom.add(step.strokes)
    with pytest.raises(ValueError, match="got 2 and 2"):
        next(bloom.frames((40, 40), [0.0] * 3, (4, 4), 2, hold=2))
    assert len(list(bloom.frames((40, 40), [0.0] * 3, (4, 4), 3, hold=1))) == 3


@pytest.mark.gpu
def test_begins_on_a_gpu_as_it_does_on_the_cpu() -> None:
    loss = []
    for device in ("cpu", "cuda"):
        steps = list(visualize("bee", strokes=10, size=32, steps=2, device=device))
        assert steps[-1].canvas.device.type == device
        loss.append(float(steps[0].loss))
    assert loss[1] == pytest.approx(loss[0], rel=1e-2)
