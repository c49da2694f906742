"""The training of agents: what counts when, templates with and without labels, and the command."""

from __future__ import annotations

import json
import re

import pytest
import torch
import torch.nn.functional as F
from command_line import fails, run
from tiny_agents import tiny_painter
from tiny_trainings import some_targets, tiny

from neural_paint import mypaint
from neural_paint.agents import FusedRenderer, Targets, digit_templates, draw, load_agent, open_targets
from neural_paint.agents.evaluation import evaluate_drawings
from neural_paint.agents.training.losses import nearest_template, picture_error
from neural_paint.painters import save_painter
from neural_paint.training import Run, Trainer


def trainer(name: str, **settings: object) -> Trainer:
    return Trainer(tiny(name, **settings), some_targets())


def test_picture_error_is_that_of_all_sizes():
    canvas, target = torch.rand(2, 2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = (canvas - target).square().mean((1, 2, 3))
    torch.testing.assert_close(picture_error(canvas, target, 0), expected)
    for doubling in (1, 2, 3):
        means = [F.avg_pool2d(pictures, 2**doubling) for pictures in (canvas, target)]
        expected = expected + 2**doubling * (means[0] - means[1]).square().mean((1, 2, 3))
        torch.testing.assert_close(picture_error(canvas, target, doubling), expected)


def drawn_templates() -> torch.Tensor:
    canvas = torch.ones(10, 3, 64, 64)
    for actions in digit_templates().unbind(1):
        canvas = FusedRenderer().draw(actions, canvas)
    return canvas


def test_the_nearest_template_of_a_template_is_itself_wherever_and_however_it_is():
    templates = drawn_templates()
    smaller = F.pad(F.interpolate(templates, 32, mode="area"), (4, 28, 20, 12), value=1.0)
    leaning = torch.tensor([[1.2, 0.6, 0.0], [0.0, 1.2, 0.0]]).expand(10, 2, 3)
    slanted = 1 - F.grid_sample(1 - templates, F.affine_grid(leaning, [10, 3, 64, 64], False), align_corners=False)
    narrower = F.pad(F.interpolate(templates, (64, 40), mode="area"), (12, 12), value=1.0)
    for pictures in (templates, smaller, slanted, narrower):
        assert nearest_template(pictures, templates).tolist() == list(range(10))
    # Blank paper has no ink to look at.
    assert nearest_template(torch.ones(1, 3, 64, 64), templates).shape == (1,)


def test_turns_of_critic_and_agent():
    trained = trainer("agent with a critic", steps=6, critic_steps=2)
    turns = ["agent" if "score" in report.losses else "critic" for report in trained]
    assert turns == ["critic", "critic", "agent"] * 2


def test_an_agent_learns_no_weights_of_critic_or_painter():
    trained = trainer("agent with a critic", steps=2, critic_steps=1)
    state = {}
    for report in trained:
        state[report.step] = {name: tensor.clone() for name, tensor in trained.state().items()}
    for name, tensor in state[1].items():
        if name.startswith("critic.") and "num_batches" not in name and "running" not in name:
            assert torch.equal(tensor, state[2][name])
    assert not torch.equal(state[1]["agent.head.bias"], state[2]["agent.head.bias"])
    assert not any(name.startswith("painter") for name in state[1])


def test_templates_first_then_with_a_share(monkeypatch):
    settings = {"steps": 5, "template_steps": 2, "template_shares": [1.0, 0.25], "template_boundaries": [2]}
    trained = trainer("agent with templates", pixel_weight=0.0, **settings)
    counted = []
    monkeypatch.setattr(
        trained.recipe, "_update", lambda name, loss, *_: counted.append((name, loss.item())), raising=True
    )
    reports = list(trained)
    assert [report.stage for report in reports] == ["templates"] * 2 + ["drawing"] * 3
    weights = [loss / report.losses["template"].item() for (_, loss), report in zip(counted, reports, strict=True)]
    assert weights == pytest.approx([2000, 2000, 2000, 2000, 500])


@pytest.mark.parametrize("labels", [True, False])
def test_an_agent_imitates_the_template_of_its_digit(labels):
    trained = trainer("agent with templates", labels=labels)
    recipe, templates = trained.recipe, drawn_templates()
    pictures = (255 * templates).round().byte()
    # Labels that are wrong count only where labels count at all.
    batch = recipe.batch((pictures, torch.arange(9, -1, -1)))
    drawing = draw(recipe.agent, recipe.renderer, batch.target)
    wanted = digit_templates().flip(0) if labels else digit_templates()
    assert recipe._template_error(drawing, batch).item() == pytest.approx(F.mse_loss(drawing.outputs, wanted).item())


@pytest.mark.parametrize("see_gradients", [True, False])
def test_templates_alone_need_no_gradients_of_the_medium(see_gradients, monkeypatch):
    trained = trainer("agent with templates", see_gradients=see_gradients)
    wanted, renderer = [], trained.recipe.renderer

    def watch(actions, canvas, paint=renderer.draw):
        drawn = paint(actions, canvas)
        wanted.append(drawn.requires_grad)
        return drawn

    monkeypatch.setattr(renderer, "draw", watch)
    assert [report.stage for report in trained] == ["templates", "drawing"]
    assert wanted == [see_gradients] * 8 + [True] * 8


def test_another_painter_is_another_training(tmp_path):
    file, painters = tmp_path / "painter.safetensors", [tiny_painter(), tiny_painter()]

    def train(steps, data="whole"):
        config = tiny("agent", medium="neural", painter=str(file), steps=steps)
        return Run(config, some_targets(24 if data == "whole" else 23), some_targets(4), tmp_path / "run").train()

    save_painter(painters[0], file)
    train(2)
    save_painter(painters[1], file)
    with pytest.raises(ValueError, match="holds a training with another painter; take another folder"):
        train(4)
    with pytest.raises(ValueError, match="holds a training with other pictures; take another folder"):
        train(4, "less")
    save_painter(painters[0], file)
    assert train(4).evaluation.pictures == 4


def test_labels_must_be_digits():
    trained = Trainer(tiny("agent with templates"), Targets(some_targets().pictures, torch.full((24,), 12)))
    with pytest.raises(ValueError, match="labels must be digits, 0 to 9, to imitate templates of them, got 12"):
        next(iter(trained))
    with pytest.raises(ValueError, match=r"characters must be 'digits' .*, got 'zyx'"):
        tiny("agent with templates", characters="zyx").check_labels(some_targets().labels)
    # Nobody asks for them.
    for config in (tiny("agent", characters="zyx"), tiny("agent with templates", labels=False)):
        config.check_labels(torch.tensor([12]))


@pytest.mark.parametrize("medium", ["fused", "neural"])
def test_half_precision_is_close(medium):
    def errors(precision):
        trained = trainer("agent", medium=medium, precision=precision, steps=1)
        return [report.losses["error"].item() for report in trained]

    assert errors("bfloat16") == pytest.approx(errors("float32"), rel=0.02)


def test_there_must_be_pictures_to_validate_with(tmp_path):
    with pytest.raises(ValueError, match="there must be pictures to validate with, got none"):
        Run(tiny("agent"), some_targets(), some_targets(0), tmp_path)


@pytest.mark.parametrize(
    "name, settings, message",
    [
        ("agent", {"pixel_weight": 0.0}, "one of pixel_weight, adversarial_weight and template_weight must be above 0"),
        ("agent", {"template_steps": 1}, "template_steps need a template_weight above 0, got 0"),
        ("agent with a critic", {"critic_steps": 2}, "steps must be more than template_steps + critic_steps = 2"),
        ("agent", {"doublings": 7}, "doublings must be at most 6, got 7"),
        ("agent with templates", {"template_steps": 2}, "steps must be more than template_steps = 2, got 2"),
        ("agent with templates", {"strokes": 5}, "templates are of 8 connected strokes, got 5 strokes"),
        ("agent with templates", {"template_boundaries": [1]}, "template_shares must be one more"),
        ("agent", {"agent": {"strokes": 3}}, "strokes is a setting of its own, and agent has it too"),
        ("agent", {"agent": {"legs": 3}}, "there is no agent with {'legs': 3}"),
        ("agent", {"agent": {"stride": 3}}, "stride must be one of 1, 2, 4, got 3"),
        ("agent", {"medium": "oil"}, "medium must be 'neural' or 'fused', got 'oil'"),
        ("agent", {"medium": "neural", "painter": "nobody"}, "cannot load nobody"),
    ],
)
def test_rejects_bad_settings(name, settings, message):
    with pytest.raises((ValueError, OSError), match=re.escape(message)):
        trainer(name, **settings)


def test_evaluation_is_of_finished_drawings():
    recipe = trainer("agent").recipe
    targets = some_targets(5)
    evaluation = evaluate_drawings(
        lambda target: draw(recipe.agent, recipe.renderer, target), "connected", targets, torch.zeros(1), limit=3
    )
    target = next(targets.once(3))[0].float() / 255
    expected = F.mse_loss(draw(recipe.agent, recipe.renderer, target).canvas, target)
    assert evaluation.pictures == 3 and evaluation.mse == pytest.approx(expected.item(), rel=1e-5)
    assert (evaluation.mypaint_mse is not None) == mypaint.available()
    with pytest.raises(ValueError, match="there must be pictures to evaluate an agent with, got none"):
        evaluate_drawings(lambda target: None, "jump", targets, torch.zeros(1), limit=0)


def test_an_agent_learns_to_draw_a_picture():
    targets = some_targets(1)
    settings = {"steps": 60, "strokes": 1, "mode": "jump", "learning_rate": 0.01, "warmup_steps": 5}
    trained = Trainer(tiny("agent", batch_size=1, **settings), targets)
    errors = [report.losses["error"].item() for report in trained]
    assert errors[-1] < 0.3 * errors[0]


@pytest.fixture
def digits(tmp_path):
    """A folder of IDX files."""
    folder = tmp_path / "digits"
    folder.mkdir()
    for side, count in (("train", 16), ("t10k", 4)):
        targets = some_targets(count)
        pictures = (255 - targets.pictures[:, 0]).numpy().tobytes()
        (folder / f"{side}-images-idx3-ubyte").write_bytes(
            bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in (count, 28, 28)) + pictures
        )
        labels = targets.labels.byte().numpy().tobytes()
        (folder / f"{side}-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1]) + count.to_bytes(4, "big") + labels)
    return folder


QUICK = (
    "--medium",
    "fused",
    "--strokes",
    "2",
    "--batch-size",
    "4",
    "--set",
    "agent.width=4",
    "--set",
    "agent.hidden=8",
)


def test_the_command_trains_goes_on_and_is_finished(digits, tmp_path, capsys):
    folder = tmp_path / "run"
    status, said, _ = run(capsys, "train-agent", "-o", folder, "--data", digits, "--steps", 2, *QUICK)
    assert status == 0
    assert re.search(r"agent\.safetensors: 2 steps; on 4 validation pictures mean squared error [\d.]+", said)
    agent = load_agent(folder / "agent.safetensors")
    assert agent.strokes == 2 and agent.painter is None and agent.width == 4
    left = json.loads((folder / "evaluation.json").read_text())
    assert left["pictures"] == 4 and left["steps"] == 2
    # Elsewhere, and the same by their digest.
    moved = digits.rename(tmp_path / "elsewhere")
    status, said, _ = run(capsys, "train-agent", "-o", folder, "--resume", "--data", moved, "--steps", 4)
    assert status == 0 and "4 steps" in said
    assert "finished already" in run(capsys, "train-agent", "-o", folder, "--resume")[1]
    assert json.loads((folder / "config.json").read_text())["data"] == str(moved)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--data", "nothing"), "nothing"),
        (("--set", "legs=3"), "legs is no setting of the recipe agent, got 3"),
        (("--strokes", 0), "must be in 1 .. 1,000, got 0"),
    ],
)
def test_the_command_says_what_is_wrong(tmp_path, capsys, arguments, message):
    assert message in fails(capsys, "train-agent", "-o", tmp_path / "run", *arguments)


def test_scikit_learns_digits_are_what_is_drawn_by_default():
    pytest.importorskip("sklearn")
    train, validation = open_targets("digits")
    trained = Trainer(tiny("agent"), train)
    assert trained.config.data == "digits" and len(list(trained)) == 2 and len(validation) == 90


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["agent", "agent with a critic", "agent with templates"])
def test_a_gpu_trains_as_the_cpu_does(name):
    trainers = [Trainer(tiny(name, precision="float32"), some_targets(), device) for device in ("cpu", "cuda")]
    for on_cpu, on_gpu in zip(*trainers, strict=True):
        for loss, value in on_cpu.losses.items():
            torch.testing.assert_close(on_gpu.losses[loss].cpu(), value, rtol=1e-3, atol=1e-4)
