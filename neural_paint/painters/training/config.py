"""What a training of a painter is told: dataclasses with the published numbers as defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from neural_paint.painters.recipe_names import RECIPES
from neural_paint.painters.training.losses import Reduction
from neural_paint.training.config import (
    Betas,
    Count,
    Positive,
    Share,
    Steps,
    TrainConfig,
    Weight,
    check_pieces,
    check_stages,
)

if TYPE_CHECKING:
    from neural_paint.training.recipe import Recipe, Setting


@dataclass(frozen=True)
class PainterConfig(TrainConfig):
    """What all recipes for painters have in common; units are strokes.

    Attributes:
        painter: arguments of the painter's constructor.
    """

    painter: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class VAEConfig(PainterConfig):
    """The VAE painter, with the numbers of the PyTorch port.

    The TensorFlow original differs in batch_size 100, stage1_steps 200,000, steps 300,000 and a painter with
    stochastic = false, whose predictor learns a sample of the latent vector.

    Attributes:
        stage1_steps: of encoder and decoder; what is left is the predictor's.
        nonwhite_weight: of pixels that are not white, in the first `nonwhite_steps` steps; 1 afterwards.
        free_bits: for each entry of the latent vector.
        predictor_rates: from step to step of `predictor_boundaries`, counted from the predictor's first.
    """

    recipe: Literal["vae"] = "vae"
    steps: Count = 450_000
    stage1_steps: Count = 300_000
    learning_rate: Positive = 1e-4
    betas: Betas = (0.9, 0.999)
    nonwhite_weight: Weight = 10.0
    nonwhite_steps: Steps = 10_000
    free_bits: Weight = 0.5
    divergence_weight: Weight = 1.0
    predictor_rates: tuple[Positive, ...] = (1e-2, 1e-3, 1e-4)
    predictor_boundaries: tuple[Steps, ...] = (20_000, 80_000)

    def check(self) -> None:
        check_stages(self.steps, stage1_steps=self.stage1_steps)
        check_pieces(self, "predictor_rates", "predictor_boundaries")

    def make(self, setting: Setting) -> Recipe[Any, Any]:
        from neural_paint.painters.training.vae import VAERecipe

        return VAERecipe(self, setting)


@dataclass(frozen=True)
class GANConfig(PainterConfig):
    """The WGAN-GP painter, with the numbers of the PyTorch port. Steps are those of critic and generator together.

    The TensorFlow original differs in reconstruction "mean", reconstruction_weights [10] without boundaries,
    nonwhite_steps 1,770,264 (of the generator 295,044), betas [0.5, 0.9] and a painter with noise_size = 0.

    Attributes:
        critic_steps: for each step of the generator.
        epsilon: "sample" mixes each real stroke with its painted one by a number of its own, as WGAN-GP is defined;
            "batch" all of them by the same number, as published.
        reconstruction: see `losses.weighted_error`.
        reconstruction_weights: from step to step of `reconstruction_boundaries`.
        nonwhite_weight: of pixels that are not white, in the first `nonwhite_steps` steps; 1 afterwards.
    """

    recipe: Literal["gan"] = "gan"
    steps: Count = 1_400_000
    learning_rate: Positive = 1e-4
    betas: Betas = (0.9, 0.999)
    critic_dim: Count = 16
    critic_steps: Count = 5
    penalty_weight: Weight = 10.0
    epsilon: Literal["sample", "batch"] = "sample"
    reconstruction: Reduction = "sum"
    reconstruction_weights: tuple[Weight, ...] = (10.0, 1.0, 0.1)
    reconstruction_boundaries: tuple[Steps, ...] = (500_000, 550_000)
    nonwhite_weight: Weight = 10.0
    nonwhite_steps: Steps = 100_000

    def check(self) -> None:
        check_pieces(self, "reconstruction_weights", "reconstruction_boundaries")

    def make(self, setting: Setting) -> Recipe[Any, Any]:
        from neural_paint.painters.training.gan import GANRecipe

        return GANRecipe(self, setting)


@dataclass(frozen=True)
class NPXConfig(PainterConfig):
    """The painter of Neural Painters X: 15, 10 and 1 passes over 100,000 strokes, without the last, short batches.

    Attributes:
        painter_steps: of the painter alone, against the feature loss.
        critic_steps: of the critic alone, the painter being frozen; what is left is of both, in turn on each batch.
        critic_batch_size: of the critic alone.
        features: the network of the feature loss: EfficientNet-Lite0, or VGG16-BN as published.
        feature_weights: of its three layers, by default (5, 15, 2) with VGG16-BN, as published, and a tenth of that
            with EfficientNet-Lite0, whose activations are larger: pixels would count for nothing.
        gram_weight: Gram matrices of a layer count by so much, times the square of its weight; by default 5,000 with
            VGG16-BN, as published, and 50 with EfficientNet-Lite0.
    """

    recipe: Literal["npx"] = "npx"
    steps: Count = 8_190
    painter_steps: Count = 5_850
    critic_steps: Count = 1_950
    batch_size: Count = 256
    critic_batch_size: Count = 512
    painter_rate: Positive = 1e-3
    painter_betas: Betas = (0.5, 0.9)
    critic_rate: Positive = 1e-3
    critic_betas: Betas = (0.5, 0.999)
    joint_rate: Positive = 1e-4
    joint_betas: Betas = (0.5, 0.9)
    critic_width: Annotated[int, Field(ge=4)] = 64
    dropout: Share = 0.15
    features: Literal["efficientnet-lite0", "vgg16-bn"] = "efficientnet-lite0"
    feature_weights: tuple[Weight, Weight, Weight] | None = None
    gram_weight: Weight | None = None

    def check(self) -> None:
        check_stages(self.steps, painter_steps=self.painter_steps, critic_steps=self.critic_steps)

    def make(self, setting: Setting) -> Recipe[Any, Any]:
        from neural_paint.painters.training.npx import NPXRecipe

        return NPXRecipe(self, setting)


@dataclass(frozen=True)
class RegressionConfig(PainterConfig):
    """Any painter, made to paint what the strokes are: by default this project's own.

    Attributes:
        kind: of the painter, as in its file.
        loss: of pictures without noise: "mse", the mean squared error, or "l1", the mean absolute one.
        energy_weight: of the energy score of pictures with noise; 0 leaves the noise untrained.
        warmup_steps: in which the learning rate rises, before it falls as half a cosine to `last_rate`.
    """

    recipe: Literal["dab"] = "dab"
    steps: Count = 4_000
    kind: str = "dab"
    loss: Literal["mse", "l1"] = "mse"
    energy_weight: Weight = 0.2
    learning_rate: Positive = 5e-3
    last_rate: Weight = 0.0
    warmup_steps: Steps = 100
    betas: Betas = (0.9, 0.99)

    def make(self, setting: Setting) -> Recipe[Any, Any]:
        from neural_paint.painters.training.regression import RegressionRecipe

        return RegressionRecipe(self, setting)


CONFIGS: dict[str, type[PainterConfig]] = dict(
    zip(RECIPES, (VAEConfig, GANConfig, NPXConfig, RegressionConfig), strict=True)
)
