"""What the training of an agent is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor

from neural_paint.agents.agent import Mode
from neural_paint.agents.critic import Norm
from neural_paint.painters.base import DEFAULT_PAINTER
from neural_paint.training.config import Betas, Count, Positive, Steps, TrainConfig, Weight, check_pieces

if TYPE_CHECKING:
    from neural_paint.agents.training.recipe import AgentRecipe
    from neural_paint.training.recipe import Setting


@dataclass(frozen=True)
class AgentConfig(TrainConfig):
    """An agent that learns to draw pictures: by how its drawings look, by a critic, by hand-made templates, or by more
    than one of these. Of "Neural Painters" (arXiv:1904.08410); numbers by default are our own, the published ones are
    in docs/train_agent.md. A step takes a batch for the critic or for the agent.

    Attributes:
        data, invert, characters, glyphs: what it draws, see `open_targets`.
        strokes, mode, black: see `Agent`.
        medium: what it learns to draw with: "neural", a painter, or "fused", curves as `paint` draws them.
        painter: with "neural": one that comes with the package, or the file of one.
        agent: further arguments of the agent's constructor.
        pixel_weight: of the mean squared error of a finished drawing.
        doublings: the same error counts again where drawing and picture are averaged over squares of 2 pixels, with
            weight 2, of 4 pixels, with weight 4, and so on, so many times: strokes feel ink from afar. Published: 0.
        see_gradients: see `draw`.
        adversarial_weight: of a critic's score, a WGAN-GP of drawings next to their pictures; 0: there is no critic.
        critic_width, critic_norm: published: 64 and "batch"; see `DrawingCritic`.
        critic_steps: for each step of the agent.
        epsilon: as that of GAN painters.
        template_weight: of the mean squared error between what the agent says and the templates of its digits.
        template_steps: first, in which that is all that counts.
        template_shares: of the weight afterwards, from step to step of `template_boundaries`, which count the agent's
            steps from there.
        labels: the template of a picture is that of its label; otherwise the one whose drawing is nearest.
        learning_rate: the highest, after `warmup_steps` of the agent; it falls as half a cosine to `last_rate`.
        clip: the largest norm of the agent's gradient.
    """

    recipe: Literal["agent"] = "agent"
    steps: Count = 8_000
    batch_size: Count = 32
    data: str = "digits"
    invert: bool | None = None
    characters: str = "digits"
    glyphs: Count = 20_000
    strokes: Count = 8
    mode: Mode = "connected"
    black: bool = True
    medium: Literal["neural", "fused"] = "neural"
    painter: str = DEFAULT_PAINTER
    agent: dict[str, Any] = field(default_factory=dict)
    pixel_weight: Weight = 100.0
    doublings: Steps = 4
    see_gradients: bool = False
    adversarial_weight: Weight = 0.0
    critic_width: Count = 16
    critic_norm: Norm = "layer"
    critic_steps: Count = 5
    critic_rate: Positive = 1e-4
    critic_betas: Betas = (0.5, 0.9)
    penalty_weight: Weight = 10.0
    epsilon: Literal["sample", "batch"] = "sample"
    template_weight: Weight = 0.0
    template_steps: Steps = 0
    template_shares: tuple[Weight, ...] = (1.0,)
    template_boundaries: tuple[Steps, ...] = ()
    labels: bool = True
    learning_rate: Positive = 1e-3
    last_rate: Weight = 0.0
    warmup_steps: Steps = 100
    betas: Betas = (0.9, 0.999)
    clip: Positive = 1.0

    def check(self) -> None:
        check_pieces(self, "template_shares", "template_boundaries")
        if self.template_steps >= self.steps:
            raise ValueError(f"steps must be more than template_steps = {self.template_steps:,}, got {self.steps:,}")
        if self.template_steps and not self.template_weight:
            raise ValueError("template_steps need a template_weight above 0, got 0")
        if not (self.pixel_weight or self.adversarial_weight or self.template_weight):
            raise ValueError(
                "one of pixel_weight, adversarial_weight and template_weight must be above 0, got 0 for all"
            )
        if self.adversarial_weight and self.steps - self.template_steps <= self.critic_steps:
            turns = f"template_steps + critic_steps = {self.template_steps + self.critic_steps:,}"
            raise ValueError(f"steps must be more than {turns}, for the agent to have a turn, got {self.steps:,}")
        # Halves as often as 64 can be halved.
        if self.doublings > 6:
            raise ValueError(f"doublings must be at most 6, got {self.doublings}")
        taken = sorted({"strokes", "mode", "black", "painter"} & self.agent.keys())
        if taken:
            raise ValueError(f"{taken[0]} is a setting of its own, and agent has it too")

    def check_labels(self, labels: Tensor) -> None:
        """Raise ValueError where a template would be taken by something else than a digit.

        Args:
            labels: (M,) of all pictures to train with.
        """
        if not (self.template_weight and self.labels):
            return
        if self.characters != "digits":
            rule = "characters must be 'digits' to imitate templates of them by labels"
            raise ValueError(f"{rule}, got {self.characters!r}")
        wrong = labels[(labels < 0) | (labels > 9)]
        if len(wrong):
            raise ValueError(f"labels must be digits, 0 to 9, to imitate templates of them, got {int(wrong[0])}")

    def make(self, setting: Setting) -> AgentRecipe:
        from neural_paint.agents.training.recipe import AgentRecipe

        return AgentRecipe(self, setting)


CONFIGS = {"agent": AgentConfig}
