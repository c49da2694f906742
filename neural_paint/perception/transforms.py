"""Random views of a picture, as a network is to see it while something is painted by its gradients.

Of the notebooks of "Neural Painters" (arXiv:1904.08410): TF is the author's TensorFlow ones, which follow Lucid, PT his
port to PyTorch. A view is padded, moved, scaled and turned by one affine map, so that it is resampled once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Views:
    """Views that have been drawn: of any picture of that size they are the same.

    Attributes:
        maps: (N, 2, 3), from places in a view to those in the picture, -1 and 1 being the edges of both.
        size: rows and columns of the picture.
        reduced: to what it is reduced before it is sampled, so that small views miss none of its pixels.
        view_size: rows and columns of a view.
        fill: what is around the picture, in all channels.
        gain, bias: (N, 3, 1, 1), or None: colours are multiplied by one, and the other is added.
        noise: (N, 3, h, w), or None: it is added.
    """

    maps: Tensor
    size: tuple[int, int]
    reduced: tuple[int, int]
    view_size: tuple[int, int]
    fill: float
    gain: Tensor | None = None
    bias: Tensor | None = None
    noise: Tensor | None = None

    def __call__(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> (N, 3, h, w): N / B of the first image, then those of the next."""
        count = len(self.maps)
        if images.ndim != 4 or images.shape[1] != 3 or tuple(images.shape[2:]) != self.size:
            raise ValueError(f"images must be (B, 3, {self.size[0]}, {self.size[1]}), got {tuple(images.shape)}")
        if not len(images) or count % len(images):
            raise ValueError(f"the number of images must divide that of the views, {count}, got {len(images)}")
        if self.reduced != self.size:
            images = F.interpolate(images, self.reduced, mode="bilinear", antialias=True)
        images = images[:, None].expand(-1, count // len(images), -1, -1, -1).flatten(0, 1)
        grid = F.affine_grid(self.maps.to(images), [count, 3, *self.view_size], align_corners=False)
        # To the sampler, all that is around is 0.
        views = F.grid_sample(images - self.fill, grid, align_corners=False) + self.fill
        if self.gain is not None:
            views = views * self.gain.to(images)
        if self.bias is not None:
            views = views + self.bias.to(images)
        return views if self.noise is None else views + self.noise.to(images)


@dataclass(frozen=True)
class Transform:
    """How views are drawn, in this order; by default they are the picture itself.

    Attributes:
        pad: so many pixels of `fill` are put around the picture.
        jitter: so many rows and columns are cropped off it, at random from either side.
        scales: of which one is drawn, about the middle; what comes in or goes out is cropped, or `fill`.
        degrees: by which it is turned, counter-clockwise: one of several is drawn, or a standard deviation.
        last_jitter: so many rows and columns are cropped after that.
        flip: half of the views are mirrored, left to right.
        gain, bias: colours of a view are multiplied by up to 1 +- `gain`, and up to +- `bias` is added to each channel.
        noise: the standard deviation of what is added to each value.
    """

    pad: int = 0
    fill: float = 0.5
    jitter: int = 0
    scales: tuple[float, ...] = (1.0,)
    degrees: float | tuple[float, ...] = 0.0
    last_jitter: int = 0
    flip: bool = False
    gain: float = 0.0
    bias: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        for name in ("pad", "jitter", "last_jitter", "gain", "bias", "noise"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        if not self.scales or min(self.scales) <= 0:
            raise ValueError(f"scales must be above 0, got {self.scales}")
        if self.degrees == ():
            raise ValueError("degrees must be a number, or at least one, got ()")

    def draw(self, count: int, size: tuple[int, int], generator: torch.Generator, out: int | None = None) -> Views:
        """Views, each drawn for itself.

        Args:
            count: of views.
            size: rows and columns of the pictures.
            out: the side of the views, to which they are stretched; by default they keep the size of what is cropped.
        """
        height, width = (side + 2 * self.pad - self.jitter - self.last_jitter for side in size)
        if min(height, width) < 1:
            crop = self.jitter + self.last_jitter - 2 * self.pad
            raise ValueError(f"size must be above the {crop} pixels that are cropped off, got {size[0]} x {size[1]}")
        view_size = (height, width) if out is None else (out, out)
        reduced = tuple(
            max(1, min(side, round(side * seen / cropped)))
            for side, seen, cropped in zip(size, view_size, (height, width), strict=True)
        )
        return Views(
            self._maps(count, size, (height, width), generator),
            size,
            (reduced[0], reduced[1]),
            view_size,
            self.fill,
            self._colours(count, 1.0, self.gain, generator),
            self._colours(count, 0.0, self.bias, generator),
            _normal((count, 3, *view_size), generator) * self.noise if self.noise else None,
        )

    def _maps(self, count: int, size: tuple[int, int], cropped: tuple[int, int], generator: torch.Generator) -> Tensor:
        # Whole pixels, so that what is neither scaled nor turned is not blurred.
        moved, last = (
            torch.randint(crop + 1, (count, 2, 1), generator=generator, device=generator.device) - crop / 2
            for crop in (self.jitter, self.last_jitter)
        )
        scale = _one_of(self.scales, count, generator)
        if isinstance(self.degrees, tuple):
            degrees = _one_of(self.degrees, count, generator)
        else:
            degrees = self.degrees * _normal((count,), generator)
        angle = torch.deg2rad(degrees)
        mirror = _one_of((1.0, -1.0) if self.flip else (1.0,), count, generator)
        # From a view's pixels to the picture's, both counted from the middle: back by the angle, y being down.
        back = torch.stack([mirror * angle.cos(), -angle.sin(), mirror * angle.sin(), angle.cos()], -1)
        back = back.unflatten(-1, (2, 2)) / scale[:, None, None]
        shift = back @ last.double() + moved.double()
        picture, view = (torch.tensor(sides[::-1], device=back.device) / 2 for sides in (size, cropped))
        return torch.cat([back * view, shift], -1) / picture[:, None]

    def _colours(self, count: int, middle: float, most: float, generator: torch.Generator) -> Tensor | None:
        if not most:
            return None
        drawn = torch.rand((count, 3, 1, 1), generator=generator, device=generator.device)
        return middle + most * (2 * drawn - 1)


def _one_of(values: tuple[float, ...], count: int, generator: torch.Generator) -> Tensor:
    drawn = torch.randint(len(values), (count,), generator=generator, device=generator.device)
    return torch.tensor(values, dtype=torch.float64, device=generator.device)[drawn]


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, device=generator.device, dtype=torch.float64)


# Every second hundredth from 0.9 to 1.1.
_SCALES = tuple(percent / 100 for percent in range(90, 112, 2))
_NOT_TURNED = (0.0,) * 5

# Of style transfer; the pictures compared get the same views.
STYLE_TF = Transform(pad=12, jitter=8, scales=_SCALES, degrees=(*map(float, range(-5, 5)), *_NOT_TURNED), last_jitter=4)
STYLE_PT = Transform(pad=12, jitter=8, scales=_SCALES, degrees=5.0, last_jitter=4)
# Of pictures of a class; PT does not move them.
CLASS_TF = Transform(jitter=8, degrees=(*map(float, range(-20, 21)), *_NOT_TURNED), last_jitter=4)
CLASS_PT = Transform(degrees=20.0)
