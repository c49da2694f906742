"""The opponent of `stylize`: a step of intrinsic style transfer as it was published for PyTorch (Nakano, "Neural
Painters", arXiv:1904.08410). Every stroke is decoded by itself and blended over the whole canvas, and canvas and
photograph go as one batch through five transforms and the network, with gradients through both."""

from __future__ import annotations

import random
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from neural_paint.painters import Grid, NeuralPainter
from neural_paint.painters.actions import COLOR
from neural_paint.perception import FeatureNetwork

PAD, FIRST_CROP, LAST_CROP = 12, 8, 4
SCALES = [0.9 + 0.02 * i for i in range(11)]
DEGREES, RATE, WEIGHT = 5.0, 0.1, 100.0


class Stylize:
    """The actions of a grid, free numbers before a sigmoid, and their Adam."""

    def __init__(self, painter: NeuralPainter, grid: Grid, network: FeatureNetwork, layer: str, photo: Tensor) -> None:
        self.painter, self.grid, self.network, self.layer, self.photo = painter, grid, network, layer, photo
        self.actions = torch.rand(1, grid.num_strokes, 12, requires_grad=True)
        self.adam = torch.optim.Adam([self.actions], lr=RATE)

    def step(self) -> Tensor:
        actions = self.actions.sigmoid()
        strokes = (self.painter(actions[:, k]) for k in range(self.grid.num_strokes))
        canvas = paint(strokes, actions[0, :, COLOR.slice], self.grid)
        seen = self.network.features(transform(torch.cat([canvas, self.photo])), [self.layer])[0]
        loss = WEIGHT * (seen[0] - seen[1]).abs().mean()
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        return loss.detach()


def paint(strokes: Iterable[Tensor], colors: Tensor, grid: Grid) -> Tensor:
    """A canvas of pictures of strokes (1, 3, 64, 64) in colours (N, 3): each is padded with white to the whole canvas,
    and there made alpha and blended."""
    canvas = torch.ones(1, 3, *grid.size)
    height, width = grid.size
    corners = grid.transform(colors)[:, :, 2].long().tolist()
    for stroke, color, (left, top) in zip(strokes, colors, corners, strict=True):
        padded = F.pad(stroke, (left, width - 64 - left, top, height - 64 - top), value=1.0)
        darkness = 1 - padded.mean(1, keepdim=True)
        alpha = darkness / darkness.amax((2, 3), keepdim=True)
        canvas = alpha * color[:, None, None] + (1 - alpha) * canvas
    return canvas


def transform(images: Tensor) -> Tensor:
    """All of them padded, cropped, scaled, turned and cropped by the same random numbers."""
    images = crop(F.pad(images, [PAD] * 4, value=0.5), FIRST_CROP)
    images = F.interpolate(images, scale_factor=random.choice(SCALES), mode="bilinear")
    angle = torch.deg2rad(DEGREES * torch.randn(()))
    turn = torch.stack([angle.cos(), -angle.sin(), angle * 0, angle.sin(), angle.cos(), angle * 0]).view(1, 2, 3)
    grid = F.affine_grid(turn.expand(len(images), 2, 3), list(images.shape), align_corners=False)
    return crop(F.grid_sample(images, grid, align_corners=False), LAST_CROP)


def crop(images: Tensor, size: int) -> Tensor:
    """By so many pixels each way, from a random side."""
    top, left = random.randint(0, size), random.randint(0, size)
    height, width = (side - size for side in images.shape[2:])
    return images[:, :, top : top + height, left : left + width]
