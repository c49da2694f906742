"""The brushes that a painter paints with: textures made by formula, and what they ask of strokes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

# Texels across and along a stroke: strokes of a photograph are a few to a few dozen pixels wide, and finer bristles
# would be lost between them.
_ACROSS, _ALONG = 24, 64
_VARIANTS = 8


@dataclass(frozen=True)
class Brush:
    """What the strokes of one painting have in common.

    Attributes:
        texture: makes the (K, h, w) bank of alpha factors in [0, 1] that strokes pick from; None paints plain strokes.
        radius: of the finest strokes as they begin, in sides of the square that each of all strokes has for itself.
        opacity: least opacity of a stroke: thin paint would hide what the texture does.
        softness: most feather of a stroke in parts of its mean radius, for the same reason; None lets edges be as soft
            as they come out.
        max_opacity: most opacity of a stroke: less than 1 is thin paint, through which what is below shows.
        even: whether strokes are as broad at one end as at the other.
    """

    texture: Callable[[], Tensor] | None
    radius: float
    opacity: float = 0.0
    softness: float | None = None
    max_opacity: float = 1.0
    even: bool = False


@dataclass(frozen=True, eq=False)
class BitmapBrush:
    """A picture that is stamped on the canvas, moved, turned and scaled, each time in one colour.

    Attributes:
        patch: (1, h, w) alpha in [0, 1].
        radius: of the finest stamps as they begin, as that of a `Brush`: they have as much paint as its strokes.
        opacity: least opacity of a stamp.

    Raises:
        TypeError, ValueError: `patch` is not such a tensor, or empty.
    """

    patch: Tensor
    radius: float = 0.2
    opacity: float = 0.5

    def __post_init__(self) -> None:
        patch = self.patch
        if not isinstance(patch, Tensor) or not patch.is_floating_point():
            raise TypeError(f"patch must be a floating tensor, got {getattr(patch, 'dtype', type(patch).__name__)}")
        if patch.ndim != 3 or len(patch) != 1 or patch.numel() == 0:
            raise ValueError(f"patch must have shape (1, h, w) without an empty side, got {tuple(patch.shape)}")
        if not ((patch >= 0) & (patch <= 1)).all():
            raise ValueError("patch must be in [0, 1], got values outside or nan")
        if not patch.any():
            raise ValueError("patch must have alpha somewhere, got none")


def reduced(patch: Tensor, longest: int) -> Tensor:
    """(K, h, w) with no side longer than that, each texel the mean of its area; itself where it is so already."""
    scale = longest / max(patch.shape[1:])
    if scale >= 1:
        return patch
    return F.interpolate(patch[None], [max(1, round(side * scale)) for side in patch.shape[1:]], mode="area")[0]


def dry_texture() -> Tensor:
    """Streaks of bristles that run out of paint towards the end: (8, 24, 64) float32, the same in every call."""
    generator = torch.Generator().manual_seed(0)
    load = 0.65 * _noise(generator, (11, 1)) + 0.35 * _noise(generator, (_ACROSS, 1))
    grain = _noise(generator, (_ACROSS, 12))
    along = torch.linspace(0, 1, _ALONG)
    across = torch.linspace(-1, 1, _ACROSS)[:, None]
    # Bristles at the rim carry less, and the brush touches down over a short way, not all bristles at once.
    paint = 0.35 + load + 0.4 * (grain - 0.5) - 0.35 * across**6
    dryness = 0.15 + 0.8 * along**1.5 + 0.5 * (1 - along / (0.02 + 0.12 * _noise(generator, (_ACROSS, 1)))).clamp(min=0)
    return _smoothstep((paint - dryness) / 0.35)


def pastel_texture() -> Tensor:
    """The grain of rough paper under a broad stick with worn edges: (8, 24, 64) float32."""
    generator = torch.Generator().manual_seed(1)
    grain = 0.6 * _noise(generator, (12, 32)) + 0.4 * _noise(generator, (_ACROSS, _ALONG))
    along, across = torch.linspace(-1, 1, _ALONG), torch.linspace(-1, 1, _ACROSS)[:, None]
    # Nothing is left of the round caps, which show the first and the last column, drawn out.
    return _smoothstep((grain - 0.15 - 0.35 * across**4 - along**12) / 0.3)


def oil_texture() -> Tensor:
    """Furrows of bristles in thick paint, ragged where the brush is put down and lifted: (8, 24, 64) float32."""
    generator = torch.Generator().manual_seed(2)
    furrow = 0.6 * _noise(generator, (_ACROSS, 3)) + 0.4 * _noise(generator, (12, 8))
    along, across = torch.linspace(-1, 1, _ALONG), torch.linspace(-1, 1, _ACROSS)[:, None]
    end = 0.75 + 0.25 * _noise(generator, (_ACROSS, 2))
    body = _smoothstep((end - along.abs()) / 0.12 + 1) * _smoothstep((1 - across**4) / 0.3)
    return body * (0.7 + 0.3 * _smoothstep((furrow - 0.25) / 0.3))


def watercolour_texture() -> Tensor:
    """A wash whose pigment gathers at its rim and in the hollows of the paper: (8, 24, 64) float32."""
    generator = torch.Generator().manual_seed(3)
    grain = 0.5 * _noise(generator, (_ACROSS, _ALONG)) + 0.5 * _noise(generator, (6, 16))
    along, across = torch.linspace(-1, 1, _ALONG), torch.linspace(-1, 1, _ACROSS)[:, None]
    # How near the rim is, 1 on it, wavering.
    rim = torch.maximum(across.abs().expand(_ACROSS, _ALONG), 1 - 3 * (1 - along.abs())).clamp(min=0)
    rim = rim * (0.85 + 0.15 * _noise(generator, (4, 10)))
    return (0.5 + 0.3 * grain + 0.5 * _smoothstep((rim - 0.6) / 0.25)).clamp(0, 1) * _smoothstep((1 - rim) / 0.12)


# By the name that `reconstruct` and the command line know them by.
BRUSHES: Mapping[str, Brush] = MappingProxyType(
    {
        "round": Brush(None, radius=0.1),
        "dry": Brush(dry_texture, radius=0.35, opacity=0.7, softness=0.3),
        "pastel": Brush(pastel_texture, radius=0.35, opacity=0.5, softness=0.3),
        "oil": Brush(oil_texture, radius=0.3, opacity=0.9, softness=0.2),
        "marker": Brush(None, radius=0.2, opacity=0.85, softness=0.0, even=True),
        "watercolour": Brush(watercolour_texture, radius=0.45, opacity=0.1, softness=0.4, max_opacity=0.5),
    }
)


def _noise(generator: torch.Generator, grid: tuple[int, int]) -> Tensor:
    """Uniform values in [0, 1] on a grid (rows, columns), interpolated to the texels of every variant."""
    values = torch.rand((_VARIANTS, 1, *grid), generator=generator)
    return F.interpolate(values, (_ACROSS, _ALONG), mode="bilinear", align_corners=False)[:, 0]


def _smoothstep(x: Tensor) -> Tensor:
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)
