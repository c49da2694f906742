"""Intrinsic style transfer, and what it is compared by."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from neural_paint import ActionStrokes, Stamps, Strokes
from neural_paint.brushes import BRUSHES, BitmapBrush
from neural_paint.constraints import Constraints
from neural_paint.io import demo_photo, load_image
from neural_paint.media import MEDIA, Medium, named_medium
from neural_paint.painters import NeuralPainter
from neural_paint.perception import NPX_TERMS, Transform, load_network
from neural_paint.perception.named_modules import NamedModules
from neural_paint.tasks import stylize
from neural_paint.tasks.presets import PRESETS
from neural_paint.tasks.stylize import Objective, StylizeStep

# Little of a network, so that tests are quick.
EARLY = Objective(layers=("expand1",))
TIP = Medium(BitmapBrush(torch.linspace(0, 1, 120).expand(1, 30, 120)))


@pytest.fixture(scope="module")
def photo() -> Tensor:
    return load_image(demo_photo(), size=64)


def last(photo: Tensor, medium: str | Medium = "oil", strokes: int = 20, **more: object) -> StylizeStep:
    *_, step = stylize(photo, medium, strokes, **{"objective": EARLY, "steps": 3} | more)  # type: ignore[arg-type]
    return step


def seen(picture: Tensor, photo: Tensor, layer: str) -> float:
    """How far what the network sees in both is apart."""
    network = load_network()
    a, b = (network.features(x, [layer])[0] for x in (picture, photo))
    return float((a - b).abs().mean())


@pytest.mark.parametrize("medium", [*MEDIA, "tip"])
def test_the_network_sees_the_photograph_in_the_painting(photo: Tensor, medium: str) -> None:
    used = TIP if medium == "tip" else named_medium(medium)
    objective = Objective(layers=("expand3",))
    begun = next(iter(stylize(photo, used, 40, objective=objective, start="random", steps=2))).canvas
    step = last(photo, used, 40, objective=objective, start="random", steps=60)
    assert seen(step.canvas, photo, "expand3") < 0.8 * seen(begun, photo, "expand3")
    kinds = {"tip": Stamps, "neural": ActionStrokes}
    assert isinstance(step.strokes.validate(), kinds.get(medium, Strokes)) and step.strokes.shape == (1, 40)


def test_steps_tell_how_far_it_is(photo: Tensor) -> None:
    steps = list(stylize(photo, strokes=5, objective=EARLY, steps=4))
    assert [step.index for step in steps] == [0, 1, 2, 3]
    assert [step.progress for step in steps] == [0.25, 0.5, 0.75, 1.0]
    assert all(step.canvas.shape == photo.shape and step.loss.ndim == 0 for step in steps)
    assert list(stylize(photo, strokes=5, objective=EARLY, seconds=0.01))[-1].progress == 1


def test_seeds_reproduce(photo: Tensor) -> None:
    first, again, other = (last(photo, seed=seed).canvas for seed in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_a_start_on_the_photograph_is_nearer_to_it(photo: Tensor) -> None:
    placed, random = (last(photo, strokes=100, steps=1, start=start).canvas for start in ("photo", "random"))
    assert (placed - photo).square().mean() < 0.5 * (random - photo).square().mean()


def test_loss_of_a_layer_is_a_hundred_times_the_mean_difference(photo: Tensor) -> None:
    objective = Objective(layers=("expand1",), transform=None)
    step = next(iter(stylize(photo, strokes=5, objective=objective, steps=1)))
    assert float(step.loss) == pytest.approx(100 * seen(step.canvas, photo, "expand1"), rel=1e-4)
    heavier = next(iter(stylize(photo, strokes=5, objective=replace(objective, weights=(7.0,)), steps=1)))
    assert float(heavier.loss) == pytest.approx(7 * seen(step.canvas, photo, "expand1"), rel=1e-4)


def test_several_networks_add_up(photo: Tensor) -> None:
    def loss(*layers: str) -> float:
        objective = Objective(layers=layers, pixel_weight=1.0, transform=None)
        return float(next(iter(stylize(photo, strokes=5, objective=objective, steps=1))).loss)

    pixels = loss("expand1") - loss_without_pixels(photo)
    alone = loss("expand1") + loss("efficientnet-lite1:stem") - pixels
    assert loss("expand1", "efficientnet-lite1:stem") == pytest.approx(alone, rel=1e-4)


def loss_without_pixels(photo: Tensor) -> float:
    objective = Objective(layers=("expand1",), transform=None)
    return float(next(iter(stylize(photo, strokes=5, objective=objective, steps=1))).loss)


def test_photographs_of_a_batch_get_their_own_paintings(photo: Tensor) -> None:
    batch = torch.cat([photo, 1 - photo])
    step = last(batch, strokes=60, steps=30)
    assert step.strokes.shape == (2, 60) and step.background.shape == (2, 3)
    for canvas, own, other in zip(step.canvas, batch, batch.flip(0), strict=True):
        assert (canvas - own).square().mean() < (canvas - other).square().mean()


def test_constraints_hold(photo: Tensor) -> None:
    step = last(photo, "marker", constraints=Constraints(grey=True, opaque=True))
    assert isinstance(step.strokes, Strokes)
    assert (step.strokes.color.amax(-1) - step.strokes.color.amin(-1)).max() < 1e-6
    assert (step.strokes.opacity == 1).all()


@pytest.mark.parametrize("kind", ["gram", "transport"])
def test_a_style_changes_the_painting(photo: Tensor, kind: str) -> None:
    style = torch.zeros(1, 3, 48, 40)
    style[:, 0, ::4] = 1.0
    plain = last(photo, "marker", 60, steps=30)
    objective = replace(EARLY, style_loss=kind, style_weight=10.0)
    styled = last(photo, "marker", 60, steps=30, objective=objective, style=style)
    # Of red and black, it turns the painting's greens and blues down.
    assert styled.canvas[:, 1:].mean() < plain.canvas[:, 1:].mean()


def test_another_network_has_layers_for_a_style(photo: Tensor) -> None:
    modules = nn.Sequential(*(nn.Conv2d(3, 3, 3) for _ in range(8)))
    network = NamedModules("small", modules, {f"conv{i}": str(i) for i in range(8)})
    assert network.spread(5) == ("conv0", "conv2", "conv4", "conv5", "conv7")
    assert network.spread(9) == network.layers and network.spread(1) == ("conv0",)
    objective = Objective(layers=("conv1",), network=network)
    styled = last(photo, objective=objective, style=1 - photo)
    assert not torch.equal(styled.canvas, last(photo, objective=objective).canvas)


def test_other_layers_have_the_mean_of_the_weights() -> None:
    objective = PRESETS["npx"].objective()
    assert objective.weights is not None
    other = objective.with_layers(["stem", "expand1"])
    assert other.layers == ("stem", "expand1") and other.gram_weight == objective.gram_weight
    assert other.weights == pytest.approx([sum(objective.weights) / 3] * 2)
    assert EARLY.with_layers(["stem"]).weights is None


def test_paintings_leave_the_network_of_the_caller_alone(photo: Tensor) -> None:
    network = load_network()
    objective = replace(EARLY, network=network)
    steps = stylize(photo, strokes=5, objective=objective, steps=3)
    next(steps)
    doubled = list(stylize(photo.double(), strokes=5, objective=objective, style=photo, steps=1))[-1]
    assert doubled.canvas.dtype == torch.float64
    assert {x.dtype for x in network.parameters()} == {torch.float32} and len(list(steps)) == 2


@pytest.mark.parametrize("medium", ["oil", "neural"])
@pytest.mark.parametrize(("given", "used"), [(torch.float64, torch.float64), (torch.bfloat16, torch.float32)])
def test_every_floating_photograph_is_painted(
    photo: Tensor, medium: str, given: torch.dtype, used: torch.dtype
) -> None:
    assert last(photo.to(given), medium, steps=1).canvas.dtype == used


def test_time_before_the_first_step_is_not_counted(photo: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("neural_paint.tasks.schedule.time", SimpleNamespace(perf_counter=lambda: clock[0]))
    steps = stylize(photo, strokes=5, objective=EARLY, seconds=10.0)
    clock[0] = 100.0
    assert next(steps).progress == 0


@pytest.mark.parametrize("name", PRESETS)
def test_presets(photo: Tensor, name: str) -> None:
    preset = PRESETS[name]
    step = last(photo, preset.medium, preset.strokes, objective=preset.objective(), steps=2, start=preset.start)
    assert step.strokes.num_strokes == {"neural-painters": 256, "npx": 32, "soro": 50}[name]
    if preset.pixels:
        assert set(NPX_TERMS) >= {"efficientnet-lite0", "vgg16_bn", "vgg19_bn"}
        with pytest.raises(ValueError, match=r"network must be one of .* for .*, got 'resnet50'"):
            preset.objective("resnet50")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"photo": torch.rand(1, 1, 8, 8)}, r"photo must have shape \(B, 3, H, W\)"),
        ({"photo": torch.full((1, 3, 8, 8), 2.0)}, r"photo must be in \[0, 1\]"),
        ({"style": torch.rand(2, 3, 8, 8)}, "style must be one picture"),
        ({"medium": "chalk"}, "medium must be one of oil, .*, got 'chalk'"),
        ({"strokes": 0}, "strokes must be at least 1, got 0"),
        ({"start": "left"}, "start must be one of photo, random, got 'left'"),
        ({"steps": 1, "seconds": 1.0}, "steps and seconds exclude each other"),
        ({"speed": math.nan}, "speed must be > 0 and finite, got nan"),
        ({"objective": Objective(layers=("expand99",))}, r"layers must be of stem, .*, got 'expand99'"),
        ({"objective": Objective(transform=Transform(jitter=90))}, "size must be above the 90 pixels"),
        (
            {"medium": Medium(NeuralPainter.pretrained().double())},
            "medium's painter must be a painter in torch.float32",
        ),
    ],
)
def test_rejects_bad_input_at_the_call(photo: Tensor, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stylize(**{"photo": photo} | arguments)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="medium must be a name or a Medium, got Brush"):
        stylize(photo, BRUSHES["round"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": ()}, "layers must name at least one"),
        ({"weights": (1.0, 2.0)}, "weights must be 1, as there are layers, got 2"),
        ({"weights": (math.nan,)}, "weights must be >= 0 and finite, got nan"),
        ({"style_loss": "vgg"}, "style_loss must be one of gram, transport, got 'vgg'"),
        ({"pixel_weight": -1.0}, "pixel_weight must be >= 0 and finite, got -1.0"),
    ],
)
def test_rejects_a_bad_objective(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Objective(**arguments)  # type: ignore[arg-type]


@pytest.mark.gpu
@pytest.mark.parametrize("medium", ["oil", "neural"])
def test_begins_on_a_gpu_as_it_does_on_the_cpu(photo: Tensor, medium: str) -> None:
    loss = []
    for device in ("cpu", "cuda"):
        steps = list(stylize(photo.to(device), medium, 20, objective=EARLY, start="random", steps=3))
        assert steps[-1].canvas.device.type == device
        loss.append(float(steps[0].loss))
    assert loss[1] == pytest.approx(loss[0], rel=1e-2)
