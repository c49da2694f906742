"""The recipe for agents: drawings like their pictures, hardly to be told from them, and drawn as a hand would.

Of "Neural Painters" (R. Nakano, arXiv:1904.08410) and its notebooks: a conditional WGAN-GP with or without an error of
pixels, and the preconditioning on one hand-made template per digit. Scores have the sign of the notebooks: the critic
makes those of drawings high.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from neural_paint import mypaint
from neural_paint.agents.agent import Agent
from neural_paint.agents.critic import DrawingCritic
from neural_paint.agents.drawing import Drawing, draw
from neural_paint.agents.evaluation import DrawingEvaluation, evaluate_drawings
from neural_paint.agents.files import save_agent
from neural_paint.agents.renderers import FusedRenderer, NeuralRenderer, Renderer
from neural_paint.agents.templates import digit_templates
from neural_paint.agents.training.config import AgentConfig
from neural_paint.agents.training.losses import nearest_template, picture_error
from neural_paint.painters import load_painter, pretrained_painters
from neural_paint.painters.actions import STROKE_SIZE
from neural_paint.painters.base import NeuralPainter
from neural_paint.painters.digest import digest
from neural_paint.painters.evaluation import as_pictures
from neural_paint.painters.layers import full_precision
from neural_paint.training.data import ValidationData
from neural_paint.training.losses import gradient_penalty
from neural_paint.training.recipe import Losses, Recipe, Setting, Stage, detached
from neural_paint.training.schedules import cosine, piecewise

_SHOWN = 8


class Batch(NamedTuple):
    """This process's pictures (M, 3, 64, 64) in [0, 1] of a step, and their labels (M,)."""

    target: Tensor
    labels: Tensor


class _Unseen(Renderer):
    """Draws as another one does, without gradients."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    @torch.no_grad()
    def draw(self, actions: Tensor, canvas: Tensor) -> Tensor:
        return self._renderer.draw(actions, canvas)


class AgentRecipe(Recipe[Batch, DrawingEvaluation]):
    """One way to train an agent.

    Attributes:
        agent: what it is about.
        renderer: what it draws with.
    """

    result = "agent.safetensors"
    shown = ("error", "template", "distance", "score")

    def __init__(self, config: AgentConfig, setting: Setting) -> None:
        super().__init__(setting)
        self.config = config
        painter = _painter(config.painter) if config.medium == "neural" else None
        self.agent = _agent(config, painter)
        self._add("agent", self.agent)
        if self.agent.painter is not None:
            self.inputs["painter"] = self.agent.painter
        self._like = next(self.agent.parameters())
        self.renderer: Renderer = FusedRenderer() if painter is None else NeuralRenderer(painter.to(self._like))
        self._add_optimizer("agent", (self.agent,), config.learning_rate, config.betas)
        if config.adversarial_weight:
            self.critic = DrawingCritic(config.critic_width, config.critic_norm)
            self._add("critic", self.critic)
            self._add_optimizer("critic", (self.critic,), config.critic_rate, config.critic_betas)
        # Batches from one step of the agent to the next.
        self._round = config.critic_steps + 1 if config.adversarial_weight else 1
        self._templates = self._draw_templates() if config.template_weight else None
        free = config.steps - config.template_steps
        stages = (
            Stage("templates", config.template_steps, config.batch_size, self._imitate),
            Stage("drawing", free, config.batch_size, self._step),
        )
        self.stages = tuple(stage for stage in stages if stage.steps)

    def begin(self, stage: int) -> None:
        for network in self.networks.values():
            network.train()

    def batch(self, tensors: tuple[Tensor, ...]) -> Batch:
        pictures, labels = tensors
        self.config.check_labels(labels)
        return Batch(as_pictures(pictures, self._like.device, self._like.dtype), labels.to(self._like.device))

    def _imitate(self, batch: Batch, step: int) -> Losses:
        """The agent's turn, with its templates alone."""
        with self.setting.autocast():
            # Where gradients do not go by way of the canvas, a painter's would be kept for nothing.
            renderer = self.renderer if self.config.see_gradients else _Unseen(self.renderer)
            template = self._template_error(self._draw(batch, renderer), batch)
        self._update("agent", self.config.template_weight * template, self._rate(step), self.config.clip)
        return detached(template=template)

    def _step(self, batch: Batch, step: int) -> Losses:
        # The agent's turn comes after the critic's.
        if step % self._round < self._round - 1:
            return self._train_critic(batch)
        return self._train_agent(batch, step // self._round)

    def _train_critic(self, batch: Batch) -> Losses:
        self.critic.requires_grad_(True)
        draws, shape, count = self.setting.draws, (1, 1, 1), len(batch.target)
        alone = self.config.epsilon == "sample"
        epsilon = draws.uniform(count, *shape) if alone else draws.uniform_for_all(1, *shape)
        with self.setting.autocast():
            with torch.no_grad():
                canvas = self._draw(batch, self.renderer).canvas
            real = self.critic(batch.target, batch.target)
            made = self.critic(canvas, batch.target)
            penalty = gradient_penalty(lambda x: self.critic(x, batch.target), batch.target, canvas, epsilon.to(canvas))
        distance = full_precision(made).mean() - full_precision(real).mean()
        self._update("critic", self.config.penalty_weight * penalty - distance)
        return detached(distance=distance, penalty=penalty)

    def _train_agent(self, batch: Batch, turn: int) -> Losses:
        config, losses = self.config, {}
        with self.setting.autocast():
            drawing = self._draw(batch, self.renderer)
            loss = config.pixel_weight * picture_error(drawing.canvas, batch.target, config.doublings).mean()
            losses["error"] = (drawing.canvas - batch.target).square().mean()
            if config.adversarial_weight:
                # Its gradients would be computed for nothing.
                self.critic.requires_grad_(False)
                losses["score"] = full_precision(self.critic(drawing.canvas, batch.target)).mean()
                loss = loss + config.adversarial_weight * losses["score"]
            if config.template_weight:
                losses["template"] = self._template_error(drawing, batch)
                share = piecewise(turn, config.template_shares, config.template_boundaries)
                loss = loss + share * config.template_weight * losses["template"]
        self._update("agent", loss, self._rate(config.template_steps + turn), config.clip)
        return detached(**losses)

    def _draw(self, batch: Batch, renderer: Renderer) -> Drawing:
        return draw(self.agent, renderer, batch.target, see_gradients=self.config.see_gradients)

    def _rate(self, turn: int) -> float:
        """Of the agent, at its so many-th step."""
        config = self.config
        turns = config.template_steps + (config.steps - config.template_steps) // self._round
        return cosine(turn, turns, config.learning_rate, config.warmup_steps, config.last_rate)

    def _template_error(self, drawing: Drawing, batch: Batch) -> Tensor:
        assert self._templates is not None
        actions, drawings = self._templates
        which = batch.labels if self.config.labels else nearest_template(batch.target, drawings)
        return F.mse_loss(drawing.outputs, actions[which])

    @torch.no_grad()
    def _draw_templates(self) -> tuple[Tensor, Tensor]:
        """Their actions (10, 8, 12), and how they look in the agent's medium."""
        templates = digit_templates().to(self._like)
        canvas = templates.new_ones(len(templates), 3, STROKE_SIZE, STROKE_SIZE)
        for actions in templates.unbind(1):
            canvas = self.renderer.draw(actions, canvas)
        return templates, canvas

    def evaluate(self, validation: ValidationData, limit: int | None = None) -> DrawingEvaluation:
        def drawn(target: Tensor) -> Drawing:
            return draw(self.agent, self.renderer, target)

        return evaluate_drawings(drawn, self.agent.mode, validation, self._like, limit)

    def scores(self, evaluation: DrawingEvaluation) -> Mapping[str, float | None]:
        return {"mse": evaluation.mse, "mypaint_mse": evaluation.mypaint_mse}

    def speeds(self, evaluation: DrawingEvaluation) -> Mapping[str, float]:
        return {"drawings per second": evaluation.drawings_per_second}

    @torch.no_grad()
    def pictures(self, validation: ValidationData) -> tuple[str, Tensor]:
        target = as_pictures(next(iter(validation.once(_SHOWN)))[0], self._like.device, self._like.dtype)
        rows = (target, draw(self.agent, self.renderer, target).canvas)
        return "pictures above drawings", torch.cat([torch.cat(list(row), 2) for row in rows], 1).clamp(0, 1)

    def save(self, path: Path) -> None:
        save_agent(self.agent, path)

    def describe(self, evaluation: DrawingEvaluation) -> str:
        real = "" if evaluation.mypaint_mse is None else f", {evaluation.mypaint_mse:.3g} in the real MyPaint"
        return (
            f"on {evaluation.pictures:,} validation pictures mean squared error {evaluation.mse:.3g}{real}, "
            f"{evaluation.drawings_per_second:,.0f} drawings/s"
        )

    def left_out(self) -> Sequence[str]:
        if mypaint.available():
            return ()
        return ("how MyPaint draws the agent's strokes is left out, as libmypaint is not installed",)


def _painter(name: str) -> NeuralPainter:
    return (NeuralPainter.pretrained(name) if name in pretrained_painters() else load_painter(name)).freeze()


def _agent(config: AgentConfig, painter: NeuralPainter | None) -> Agent:
    try:
        of = None if painter is None else digest(painter)
        agent = Agent(config.strokes, config.mode, config.black, of, **config.agent)
    except TypeError as error:
        raise ValueError(f"there is no agent with {config.agent}") from error
    if config.template_weight and (config.strokes != digit_templates().shape[1] or config.mode != "connected"):
        raise ValueError(
            f"templates are of {digit_templates().shape[1]} connected strokes, got {config.strokes} strokes and mode "
            f"{config.mode!r}"
        )
    return agent
