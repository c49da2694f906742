"""Scenes and tolerances shared by the tests, the benchmarks and whoever writes a backend."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from neural_paint.strokes import Strokes


class Tolerance(NamedTuple):
    """What a fused backend owes the float64 reference, for values in [0, 1] and gradients relative to the greatest."""

    usual: float  # at `share` of the pixels
    share: float
    worst: float  # at every pixel
    gradient: float


# Brush-like strokes bend gently. On random control points the two nearest branches of a curve may be all but equally
# far, and single precision takes the other one now and then: the worst pixel is free there.
TOLERANCES = {
    (torch.float32, "brush"): Tolerance(usual=1e-5, share=0.999, worst=2e-3, gradient=1e-3),
    # On a hairline the gradient is the direction to the spine, which rounding turns where the centre of a pixel lies
    # within a thousandth of a pixel of it.
    (torch.float32, "hairline"): Tolerance(usual=1e-5, share=0.999, worst=2e-3, gradient=3e-2),
    (torch.float32, "random"): Tolerance(usual=1e-4, share=0.99, worst=math.inf, gradient=math.inf),
    (torch.float64, "brush"): Tolerance(usual=1e-12, share=1.0, worst=1e-12, gradient=1e-9),
    (torch.float64, "hairline"): Tolerance(usual=1e-12, share=1.0, worst=1e-12, gradient=1e-9),
    (torch.float64, "random"): Tolerance(usual=1e-12, share=0.999, worst=math.inf, gradient=math.inf),
}


def assert_image_close(actual: Tensor, expected: Tensor, tolerance: Tolerance) -> None:
    """Raise AssertionError unless an image agrees with the float64 reference's as well as `tolerance` asks."""
    error = (actual.double() - expected.double()).abs()
    share = (error <= tolerance.usual).double().mean().item() if error.numel() else 1.0
    assert share >= tolerance.share, f"{share:.5f} of the pixels within {tolerance.usual}, asked {tolerance.share}"
    worst = error.max().item() if error.numel() else 0.0
    assert worst <= tolerance.worst, f"worst pixel off by {worst:.2e}, asked {tolerance.worst}"


def assert_gradient_close(actual: Tensor, expected: Tensor, tolerance: Tolerance, name: str = "gradient") -> None:
    """Raise AssertionError unless a gradient agrees with the float64 reference's, relative to its greatest element."""
    assert torch.isfinite(actual).all(), f"{name} is not finite"
    scale = expected.abs().max().clamp(min=1e-12) if expected.numel() else 1.0
    worst = ((actual.double() - expected.double()).abs() / scale).max().item() if expected.numel() else 0.0
    assert worst <= tolerance.gradient, f"d_{name} off by {worst:.2e} of its greatest, asked {tolerance.gradient}"


def brush_strokes(
    *,
    batch: int = 1,
    strokes: int = 20,
    height: int = 63,
    width: int = 100,
    control_points: int = 3,
    channels: int = 3,
    color_ends: int = 1,
    opacity_ends: int = 1,
    textures: int = 0,
    length: float = 48.0,
    radius: float = 6.0,
    taper: float = 1.0,
    feather: float = 1.5,
    opacity: tuple[float, float] = (0.5, 1.0),
    bend: float = 0.1,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
) -> Strokes:
    """Random strokes as a painter makes them: uniform centres and directions, gently bent.

    Args:
        length: from end to end, in pixels; the inner control points are jittered by a normal of `bend * length`.
        radius: at the start, in pixels; `taper * radius` at the end.
        opacity: range of a uniform opacity, at one end or both.
        textures: K textures of 5 x 9, every (K + 1)-th stroke without one.
    """
    random = torch.Generator().manual_seed(seed)

    def uniform(*shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand(batch, strokes, *shape, dtype=torch.float64, generator=random)

    center = uniform(1, 2) * torch.tensor([width, height])
    angle = uniform(1, high=2 * math.pi)
    axis = torch.cat([angle.cos(), angle.sin()], -1)[:, :, None] * length / 2
    along = torch.linspace(-1, 1, control_points, dtype=torch.float64) if control_points > 1 else torch.zeros(1)
    jitter = torch.randn(batch, strokes, control_points, 2, dtype=torch.float64, generator=random) * bend * length
    jitter[:, :, [0, -1]] = 0
    ends = {1: (), 2: (2,)}
    fields = {
        "points": center + along[:, None] * axis + jitter,
        "radius": torch.tensor([radius, taper * radius]).expand(batch, strokes, 2).clone(),
        "color": uniform(*ends[color_ends], channels),
        "opacity": uniform(*ends[opacity_ends], low=opacity[0], high=opacity[1]),
        "feather": torch.full((batch, strokes), feather),
    }
    if textures:
        fields["texture"] = 0.3 + 0.7 * torch.rand(textures, 5, 9, generator=random)
    texture_id = torch.arange(batch * strokes).reshape(batch, strokes) % (textures + 1) - 1 if textures else None
    return Strokes(**{name: field.to(dtype) for name, field in fields.items()}, texture_id=texture_id)


def scene_of_record(
    strokes: int = 1000, size: int = 512, *, batch: int = 1, dtype: torch.dtype = torch.float32
) -> tuple[Strokes, Tensor]:
    """The benchmarks' scene: quadratics of 48 px, radius 6, feather 1.5, opacity uniform in [0.5, 1] at both ends, one
    colour, on a white background (batch, 3, size, size)."""
    scene = brush_strokes(batch=batch, strokes=strokes, height=size, width=size, opacity_ends=2, dtype=dtype)
    return scene, torch.ones(batch, 3, size, size, dtype=dtype)


def patch_scene(
    *,
    batch: int = 2,
    count: int = 12,
    channels: int = 3,
    size: tuple[int, int] = (13, 17),
    canvas: tuple[int, int] = (50, 70),
    place: str = "turned",
    scale: tuple[float, float] = (0.4, 1.8),
    level: tuple[float, float] = (0.0, 1.0),
    colored: bool = False,
    shared: int = 0,
    opacity: bool = True,
    dtype: torch.dtype = torch.float64,
) -> dict[str, Tensor]:
    """Arguments of `composite_patches` by name: random patches, all over the canvas and beyond.

    Args:
        place: "turned" and stretched, only a "shift", or one by whole pixels, on the "grid".
        scale: range of a uniform scale along each side of a patch.
        level: range of alpha and of opacity.
        shared: K patches by `patch_id`, some of which do not exist; 0 is one for each stroke.
    """
    random = torch.Generator().manual_seed(0)

    def uniform(*shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand(shape, dtype=torch.float64, generator=random)

    middle = uniform(batch, count, 2, 1) * torch.tensor([[canvas[1]], [canvas[0]]], dtype=torch.float64)
    if place == "turned":
        angle = uniform(batch, count, high=2 * math.pi)
        turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], -1).unflatten(-1, (2, 2))
        stretch = uniform(batch, count, 1, 2, low=scale[0], high=scale[1])
        matrix = turn * stretch
    else:
        matrix = torch.eye(2, dtype=torch.float64).expand(batch, count, 2, 2)
    shift = middle - matrix @ torch.tensor([[size[1] / 2], [size[0] / 2]], dtype=torch.float64)
    if place == "grid":
        shift = shift.round()
    planes = (channels + 1,) if colored else ()
    first = (shared,) if shared else (batch, count)
    scene = {
        "patches": uniform(*first, *planes, *size, low=level[0], high=level[1]),
        "transform": torch.cat([matrix, shift], -1),
        "background": uniform(batch, channels, *canvas),
    }
    if not colored:
        scene["color"] = uniform(batch, count, channels)
    if opacity:
        scene["opacity"] = uniform(batch, count, low=level[0], high=level[1])
    scene = {name: tensor.to(dtype) for name, tensor in scene.items()}
    if shared:
        scene["patch_id"] = torch.randint(-1, shared + 1, (batch, count), generator=random)
    return scene
