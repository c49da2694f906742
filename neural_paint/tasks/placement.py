"""Where a painter puts its next strokes: on the error, along the picture's edges, in the picture's colours."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from neural_paint.stamps import Stamps
from neural_paint.strokes import Strokes
from neural_paint.tasks.lay import lay


@dataclass(frozen=True)
class Placement:
    """n new strokes for each of B canvases.

    Attributes:
        center: (B, n, 2) in pixels.
        half: (B, n, 2) from the centre to the end of a stroke, along the picture's edges.
        color: (B, n, C) in [0, 1].
    """

    center: Tensor
    half: Tensor
    color: Tensor

    @property
    def points(self) -> Tensor:
        """(B, n, 3, 2) straight quadratics."""
        return torch.stack([self.center - self.half, self.center, self.center + self.half], 2)


# Half length of a new stroke in radii: where the picture has no direction, and what a clean edge adds.
_HALF_LENGTH = 1.0
_EDGE_LENGTH = 1.2
# A floor under the density, in parts of its mean, so that a perfect canvas takes strokes as well.
_DENSITY_FLOOR = 1e-3
# Random projections that estimate the worth of a stroke; the standard error is sqrt(2 / probes) of the estimate.
_PROBES = 4


def place(photo: Tensor, canvas: Tensor, count: int, radius: float, generator: torch.Generator) -> Placement:
    """Choose `count` strokes of about `radius` pixels that would mend `canvas` most, the most needed first.

    All canvases are given the same random numbers, so that each gets what it would get alone.

    Args:
        photo: (B, C, H, W) what is to be painted, in [0, 1].
        canvas: (B, C, H, W) what has been painted so far.
        count: strokes for each canvas.
        radius: half width of the strokes in pixels.
        generator: source of randomness, on the CPU.
    """
    width = photo.shape[3]
    # What a stroke of this radius can mend is the error that is left when blurred by it.
    error = blur(photo - canvas, radius / 2).square().sum(1).flatten(1)
    pixels = _sample(error, photo.shape[2:], count, generator)
    pixels = pixels.gather(1, error.gather(1, pixels).argsort(dim=1, descending=True, stable=True))

    jitter = torch.rand((count, 2), generator=generator).to(photo)
    center = torch.stack([pixels % width, pixels // width], -1) + jitter
    # Either way along the edge: what a textured stroke looks like depends on where it begins.
    sign = torch.randint(0, 2, (count, 1), generator=generator).to(photo) * 2 - 1
    direction, coherence = _edges(photo, radius)
    half = radius * (_HALF_LENGTH + _EDGE_LENGTH * _at(coherence, pixels)) * sign * _at(direction, pixels)
    return Placement(center, half, color=_at(blur(photo, radius / 2), pixels).clamp(0, 1))


def stroke_worth(strokes: Strokes | Stamps, background: Tensor, photo: Tensor, generator: torch.Generator) -> Tensor:
    """Estimate (B, N) by how much the squared error would grow if one stroke were left out; negative where it harms.

    The canvas is affine in the opacity of each stroke, so that leaving it out changes the canvas by exactly
    D = -opacity * (d canvas / d opacity), and the squared error by 2 <residual, D> + |D|^2. The gradient of the error
    gives the first term; the second is the mean square of <signs, D> over random signs.
    """
    assert strokes.opacity is not None
    opacity = strokes.opacity.detach().requires_grad_()
    with torch.enable_grad():
        canvas = lay(strokes.detach().replace(opacity=opacity), background)

    def change(direction: Tensor) -> Tensor:
        (grad,) = torch.autograd.grad(canvas, opacity, direction, retain_graph=True)
        return -grad * opacity.detach()

    worth = change(2 * (canvas.detach() - photo))
    for _ in range(_PROBES):
        signs = torch.randint(0, 2, canvas.shape[1:], generator=generator).to(canvas) * 2 - 1
        worth = worth + change(signs.expand_as(canvas)).square() / _PROBES
    return worth.nan_to_num(nan=-torch.inf)


def blur(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (B, C, H, W) with the border repeated; sigma in pixels."""
    reach = math.ceil(2.5 * sigma)
    if reach == 0:
        return image
    offsets = torch.arange(-reach, reach + 1, dtype=image.dtype, device=image.device)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(image.shape[1], 1, 1, -1)
    groups = image.shape[1]
    image = F.conv2d(F.pad(image, (reach, reach, 0, 0), mode="replicate"), kernel, groups=groups)
    image = F.pad(image, (0, 0, reach, reach), mode="replicate")
    return F.conv2d(image, kernel.transpose(2, 3), groups=groups)


def _at(image: Tensor, pixels: Tensor) -> Tensor:
    """Values (B, n, C) of (B, C, H, W) at flat pixel indices (B, n)."""
    channels = image.flatten(2)
    return channels.gather(2, pixels[:, None].expand(-1, channels.shape[1], -1)).transpose(1, 2)


def _sample(density: Tensor, size: torch.Size, count: int, generator: torch.Generator) -> Tensor:
    """Flat indices (B, count) of pixels, spread evenly in proportion to `density` (B, H*W).

    One sample from each of `count` equal shares of the density, cut along a space-filling curve, so that samples keep
    a distance from each other in the plane.
    """
    order = _morton_order(size)
    # On the CPU: elsewhere, the last bits of such sums may differ from run to run.
    share = density.cpu()[:, order].double()
    share = share + _DENSITY_FLOOR * share.mean(1, keepdim=True) + 1e-12
    cumulative = share.cumsum(1)
    offsets = torch.rand(count, generator=generator, dtype=torch.float64)
    targets = (torch.arange(count) + offsets) / count * cumulative[:, -1:]
    return order[torch.searchsorted(cumulative, targets).clamp_(max=order.numel() - 1)].to(density.device)


def _morton_order(size: torch.Size) -> Tensor:
    """Flat indices of an (H, W) grid in Z-order: neighbours in the order are mostly neighbours in the plane."""
    height, width = size
    y, x = torch.arange(height)[:, None], torch.arange(width)[None, :]
    code = torch.zeros((height, width), dtype=torch.int64)
    for bit in range(max(height, width).bit_length()):
        code |= ((x >> bit & 1) << (2 * bit)) | ((y >> bit & 1) << (2 * bit + 1))
    return code.flatten().argsort()


def _edges(photo: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Unit vectors along the edges (B, 2, H, W), and how clear these are (B, 1, H, W) in [0, 1], near `radius`."""
    smooth = F.pad(blur(photo, max(radius / 4, 0.5)), (1, 1, 1, 1), mode="replicate")
    dx = smooth[:, :, 1:-1, 2:] - smooth[:, :, 1:-1, :-2]
    dy = smooth[:, :, 2:, 1:-1] - smooth[:, :, :-2, 1:-1]
    tensor = torch.stack([(dx * dx).sum(1), (dx * dy).sum(1), (dy * dy).sum(1)], 1)
    xx, xy, yy = blur(tensor, max(radius, 1.0)).unbind(1)
    # The gradient's main axis is at half the angle of (xx - yy, 2 xy); edges run across it.
    angle = torch.atan2(2 * xy, xx - yy) / 2 + math.pi / 2
    coherence = torch.hypot(2 * xy, xx - yy) / (xx + yy + 1e-8)
    return torch.stack([angle.cos(), angle.sin()], 1), coherence[:, None]
