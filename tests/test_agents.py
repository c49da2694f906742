"""Agents: what they see and say, what they draw with, and their files."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor, nn

from neural_paint import mypaint
from neural_paint.agents import (
    Agent,
    Drawing,
    FusedRenderer,
    NeuralRenderer,
    agent_provenance,
    digit_templates,
    draw,
    draw_in_mypaint,
    load_agent,
    load_pretrained_agent,
    pretrained_agents,
    renderer_of,
    save_agent,
)
from neural_paint.agents.critic import DrawingCritic
from neural_paint.agents.pretrained import FILES
from neural_paint.painters import NeuralPainter, VAEPainter
from neural_paint.painters.actions import COLOR, END, ENTRY_PRESSURE, PRESSURE, SIZE, START
from neural_paint.painters.digest import digest

SMALL = {"strokes": 3, "width": 4, "blocks": 1, "hidden": 8}


def agent(**arguments: object) -> Agent:
    torch.manual_seed(0)
    return Agent(**{**SMALL, **arguments})


def targets(count: int = 2) -> Tensor:
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def renderer(kind: str) -> FusedRenderer | NeuralRenderer:
    return FusedRenderer() if kind == "fused" else NeuralRenderer(NeuralPainter.pretrained())


def test_the_published_agent_has_as_many_weights_as_its_paper():
    published = Agent(strokes=8, black=False, stride=1, blocks=8)
    weights = sum(weight.numel() for weight in published.parameters())
    # Its LSTM has one bias where that of torch has two.
    assert weights - 4 * 256 == 1_026_028
    # And its critic's batch normalisation no scale.
    critic = sum(weight.numel() for weight in DrawingCritic(64).parameters())
    assert critic - (128 + 256 + 512) == 2_768_705


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_a_critic_of_layers_scores_each_drawing_alone(norm):
    torch.manual_seed(0)
    critic, target = DrawingCritic(4, norm), targets(4)
    canvas = targets(4).flip(0).requires_grad_()
    score = critic(canvas, target)
    assert score.shape == (4,)
    (d_canvas,) = torch.autograd.grad(score[0], canvas)
    assert d_canvas[0].any() and d_canvas[1:].any() == (norm == "batch")


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_an_agent_sees_every_corner_of_both_pictures(stride):
    seeing = agent(stride=stride, width=16, hidden=32)
    target, canvas = targets(1).requires_grad_(), targets(1).requires_grad_()
    action, memory = seeing(canvas, seeing.begin(target))
    assert action.shape == (1, 12) and ((action >= 0) & (action <= 1)).all()
    assert memory.hidden.shape == (1, 32) and torch.equal(memory.action, action)
    for d_picture in torch.autograd.grad(action.square().sum(), (canvas, target)):
        seen = d_picture.abs().sum((0, 1)) > 0
        assert seen[4:60, 4:60].float().mean() > 0.9


def test_what_is_drawn_depends_on_picture_canvas_and_memory():
    drawing = draw(agent(), FusedRenderer(), targets(2))
    assert not torch.allclose(drawing.outputs[0], drawing.outputs[1])
    assert not torch.allclose(drawing.outputs[:, 1], drawing.outputs[:, 2])


@pytest.mark.parametrize("kind", ["fused", "neural"])
@pytest.mark.parametrize("mode", ["connected", "jump"])
def test_a_drawing_is_its_actions_one_after_the_other(kind, mode):
    drawing = draw(agent(mode=mode, black=False), renderer(kind), targets())
    canvas = torch.ones_like(targets())
    for number, actions in enumerate(drawing.actions.unbind(1)):
        canvas = renderer(kind).draw(actions, canvas)
        assert torch.equal(canvas, drawing.canvases[number])
    assert torch.equal(drawing.canvas, canvas) and drawing.outputs.shape == drawing.actions.shape == (2, 3, 12)
    begins, before = drawing.actions[:, 1:], drawing.actions[:, :-1]
    is_connected = torch.equal(START.values(begins), END.values(before)) and torch.equal(
        begins[..., ENTRY_PRESSURE.slice], before[..., PRESSURE.slice]
    )
    assert is_connected == (mode == "connected") and torch.equal(drawing.actions[:, 0], drawing.outputs[:, 0])
    assert torch.equal(drawing.actions, drawing.outputs) == (mode == "jump")


def test_black_strokes_are_black():
    assert not draw(agent(), FusedRenderer(), targets()).actions[..., COLOR.slice].any()
    assert draw(agent(black=False), FusedRenderer(), targets()).actions[..., COLOR.slice].all()


@pytest.mark.parametrize("kind", ["fused", "neural"])
def test_gradients_of_a_drawing(kind):
    """Those of finite differences where the agent sees its canvas; without that, those of strokes and memory alone."""
    seeing, picture = agent().double(), targets(1).double()
    of = FusedRenderer() if kind == "fused" else NeuralRenderer(NeuralPainter.pretrained().double())
    bias = seeing.head.bias

    def loss(see: bool = True) -> Tensor:
        return (draw(seeing, of, picture, see_gradients=see).canvas - picture).square().sum()

    (d_bias,) = torch.autograd.grad(loss(), bias)
    (d_blind,) = torch.autograd.grad(loss(see=False), bias)
    direction = torch.randn(12, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    step = 1e-6
    with torch.no_grad():
        bias += step * direction
        above = loss()
        bias -= 2 * step * direction
        below = loss()
    torch.testing.assert_close((above - below) / (2 * step), d_bias @ direction, rtol=1e-4, atol=1e-6)
    assert d_blind.abs().sum() > 0 and not torch.allclose(d_blind, d_bias, rtol=1e-6, atol=0)


def test_renderer_of_an_agent():
    dry, charcoal = NeuralPainter.pretrained(), NeuralPainter.pretrained("charcoal")
    assert isinstance(renderer_of(agent()), FusedRenderer)
    for painter in (dry, charcoal):
        found = renderer_of(agent(painter=digest(painter)))
        assert isinstance(found, NeuralRenderer) and digest(found.painter) == digest(painter)
    own = VAEPainter().freeze()
    learned = agent(painter=digest(own))
    for again in range(2):
        found = renderer_of(learned.double(), own)
        assert found.painter.dtype == torch.float64 and own.dtype == torch.float32, again
    for wrong, message in ((None, "not in the package"), (dry, "got another")):
        with pytest.raises(ValueError, match=message):
            renderer_of(learned, wrong)
    with pytest.raises(ValueError, match="learned with curves"):
        renderer_of(agent(), dry)


@pytest.mark.skipif(not mypaint.available(), reason="needs libmypaint")
def test_all_three_draw_the_digits_alike():
    templates = digit_templates()
    real = draw_in_mypaint(templates, "connected")
    assert real.shape == (10, 3, 64, 64)
    for kind in ("fused", "neural"):
        canvas = torch.ones_like(real)
        for actions in templates.unbind(1):
            canvas = renderer(kind).draw(actions, canvas)
        # A seventh of the paper is ink, and the dry brush speckles it.
        assert (canvas - real).square().mean() < 0.25 * (1 - real).square().mean()
        blurred = [nn.functional.avg_pool2d(pictures, 4) for pictures in (canvas, real)]
        assert (blurred[0] - blurred[1]).square().mean() < 0.02


@pytest.mark.parametrize("dtype", [None, torch.float16])
def test_a_file_gives_the_same_agent(tmp_path, dtype):
    saved = agent(painter="0" * 64, stride=2, black=False, mode="jump")
    save_agent(saved, tmp_path / "agent.safetensors", dtype)
    loaded = load_agent(tmp_path / "agent.safetensors")
    assert loaded.architecture() == saved.architecture()
    assert not any(weight.requires_grad for weight in loaded.parameters())
    for name, weight in saved.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight if dtype is None else weight.half().float())


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"strokes": 0}, "strokes must be a whole number in 1 .. 10,000, got 0"),
        ({"strokes": 8.5}, "strokes must be a whole number in 1 .. 10,000, got 8.5"),
        ({"blocks": -1}, "blocks must be a whole number in 0 .. 256, got -1"),
        ({"blocks": True}, "blocks must be a whole number in 0 .. 256, got True"),
        ({"mode": "fly"}, "mode must be one of connected, jump, got 'fly'"),
        ({"stride": 3}, "stride must be one of 1, 2, 4, got 3"),
        ({"stride": 4.0}, "stride must be one of 1, 2, 4, got 4.0"),
        ({"black": "no"}, "black must be true or false, and painter text or None, got 'no' and None"),
        ({"painter": 5}, "black must be true or false, and painter text or None, got True and 5"),
    ],
)
def test_rejects_what_is_no_agent(arguments, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        agent(**arguments)


def test_rejects_pictures_of_another_size():
    with pytest.raises(ValueError, match=r"target must have shape \(B, 3, 64, 64\), got \(2, 1, 28, 28\)"):
        agent().begin(torch.ones(2, 1, 28, 28))


def test_rejects_bad_files(tmp_path):
    path = tmp_path / "agent.safetensors"
    with pytest.raises(ValueError, match=r"ends in \.safetensors, got agent\.pt"):
        save_agent(agent(), "agent.pt")
    broken = agent()
    broken.head.bias.data[3] = float("nan")
    with pytest.raises(ValueError, match=r"cannot save .*head\.bias must be finite, got nan at \(3,\)"):
        save_agent(broken, path)
    assert not path.exists()
    with pytest.raises(OSError, match=r"cannot load .*No such file"):
        load_agent(path)
    from neural_paint.painters import save_painter

    save_painter(VAEPainter(), path)
    with pytest.raises(ValueError, match=r"not an agent's file: its format is 'neural_paint\.painter'"):
        load_agent(path)
    path.write_bytes(b"none of it")
    with pytest.raises(ValueError, match="cannot load"):
        load_agent(path)


def test_a_drawing_holds_its_canvases():
    drawing = draw(agent(), FusedRenderer(), targets(1))
    assert isinstance(drawing, Drawing) and len(drawing.canvases) == 3
    assert (drawing.actions[..., SIZE.slice] > 0).all()


@pytest.mark.parametrize("name", pretrained_agents())
def test_agents_of_the_package_draw(name):
    """Digits by hand, which no data set has: nearer to them than the paper is."""
    loaded, record = load_pretrained_agent(name), agent_provenance(name)
    assert record["training"]["strokes"] == loaded.strokes and record["held out"]["pictures"] > 0
    assert (record["training"]["medium"] == "neural") == (loaded.painter is not None)
    target = torch.ones(10, 3, 64, 64)
    for actions in digit_templates().unbind(1):
        target = FusedRenderer().draw(actions, target)
    canvas = draw(loaded, renderer_of(loaded), target).canvas
    share = 0.4 if name == "digits" else 0.8
    assert (canvas - target).square().mean() < share * (1 - target).square().mean()


def test_agents_of_the_package_are_small():
    assert pretrained_agents()[0] == "digits"
    assert sum(path.stat().st_size for path in FILES.folder.iterdir()) < 6_000_000
