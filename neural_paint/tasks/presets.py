"""Published settings of painting by features, as arguments of `stylize`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from neural_paint.media import NEURAL
from neural_paint.perception import DEFAULT_NETWORK, NPX_TERMS
from neural_paint.tasks.stylize import Objective, Start


@dataclass(frozen=True)
class Preset:
    """Settings of one publication, but for its network, whose weights may not be at hand.

    Attributes:
        source: which.
        norm: of differences of features, pixels and Gram matrices; the latter two are compared where `pixels`.
        pixels: whether pixels and Gram matrices count as well, as `NPX_TERMS` says.
        strokes, steps: their numbers.
        canvas: (H, W), which the program fills with the middle of the photograph.
        medium: named in `neural_paint.media.MEDIA`.
        start: see `stylize`.
    """

    source: str
    norm: Literal["l1", "l2"]
    pixels: bool
    strokes: int
    steps: int
    canvas: tuple[int, int]
    medium: str = NEURAL
    start: Start = "random"

    def objective(self, network: str = DEFAULT_NETWORK) -> Objective:
        """What is compared.

        Raises:
            ValueError: its layers are not known for that network.
        """
        if not self.pixels:
            return Objective(network=network, norm=self.norm)
        if network not in NPX_TERMS:
            raise ValueError(f"network must be one of {', '.join(NPX_TERMS)} for {self.source}, got {network!r}")
        terms = NPX_TERMS[network]
        return Objective(
            layers=terms.layers,
            weights=terms.weights,
            network=network,
            norm=self.norm,
            gram_weight=terms.gram_weight,
            pixel_weight=1.0,
            transform=None,
        )


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "neural-painters": Preset("Neural Painters (arXiv:1904.08410)", "l1", False, 256, 4_981, (288, 288)),
        "npx": Preset("The Joy of Neural Painting (arXiv:2111.10283)", "l2", True, 32, 1_000, (64, 64)),
        "soro": Preset("GAN: generating brushstroke paintings", "l1", True, 50, 3_000, (64, 64)),
    }
)
