"""The opponent: `paint` in plain batched PyTorch, by the method of the C++ kernel.

For each stroke at each pixel the nearest of 8 chords, Newton steps from there, coverage, and compositing; a few strokes
to one operation over the whole canvas. Gradients are autograd's. For what the benchmarks draw: one canvas, quadratic
curves of constant radius, one colour, opacity at both ends, no texture.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from neural_paint import Strokes

CHORDS = 8
NEWTON_STEPS = 2
# As in the kernel: what a Newton step may lose, in pixels, the rounding of |w| at the curve, the least squared
# length that is divided by, and the least G_t in units of |q'|^2.
TIE = 1e-5
EPSILON = 1e-6
MIN_SQUARED_LENGTH = 1e-12
KAPPA = 1e-3


def paint(strokes: Strokes, background: Tensor, *, chunk: int) -> Tensor:
    """Paint over a background (1, C, H, W), `chunk` strokes at a time; differentiable in the strokes' fields.

    With gradients a chunk is computed again in the backward pass, so that the values of only one chunk are held.
    """
    fields = (strokes.points, strokes.radius, strokes.color, strokes.opacity, strokes.feather)
    canvas = background[0]
    for part in zip(*(field[0].split(chunk) for field in fields), strict=True):
        if torch.is_grad_enabled():
            canvas = checkpoint(paint_chunk, canvas, *part, use_reentrant=False, preserve_rng_state=False)
        else:
            canvas = paint_chunk(canvas, *part)
    return canvas[None]


def paint_chunk(
    canvas: Tensor, points: Tensor, radius: Tensor, color: Tensor, opacity: Tensor, feather: Tensor
) -> Tensor:
    """canvas (C, H, W) under n strokes: points (n, 3, 2), radius (n, 2), color (n, C), opacity (n, 2), feather (n,)."""
    columns, rows = (torch.arange(size, device=canvas.device) + 0.5 for size in (canvas.shape[2], canvas.shape[1]))
    pixel = (columns, rows[:, None])
    first, middle, last = points.unbind(1)
    curve = Curve(first - 2 * middle + last, 2 * (middle - first), first)
    with torch.no_grad():
        t = newton(curve, nearest_chord(curve, pixel), pixel)
    alpha = stroke_alpha(curve, radius, opacity, feather, t, pixel)
    return composite(canvas, color, alpha)


class Curve:
    """q(t) = square t^2 + linear t + start for n strokes, each (2, n, 1, 1)."""

    def __init__(self, square: Tensor, linear: Tensor, start: Tensor) -> None:
        self.square, self.linear, self.start = (x.T[..., None, None] for x in (square, linear, start))

    def at(self, t: Tensor | float) -> tuple[Tensor, Tensor]:
        x, y = ((a * t + b) * t + c for a, b, c in zip(self.square, self.linear, self.start, strict=True))
        return x, y

    def velocity(self, t: Tensor) -> tuple[Tensor, Tensor]:
        x, y = (torch.addcmul(b, t, 2 * a) for a, b in zip(self.square, self.linear, strict=True))
        return x, y


def nearest_chord(curve: Curve, pixel: tuple[Tensor, Tensor]) -> Tensor:
    """t (n, H, W) of the nearest point of the chords."""
    ends = [curve.at(i / CHORDS) for i in range(CHORDS + 1)]
    best = best_s = None
    for i, ((x0, y0), (x1, y1)) in enumerate(pairwise(ends)):
        along_x, along_y, from_x, from_y = x1 - x0, y1 - y0, pixel[0] - x0, pixel[1] - y0
        inverse = 1 / (along_x**2 + along_y**2).clamp(min=MIN_SQUARED_LENGTH)
        s = (from_x * (along_x * inverse) + from_y * (along_y * inverse)).clamp_(0, 1)
        w_x, w_y = torch.addcmul(from_x, s, along_x, value=-1), torch.addcmul(from_y, s, along_y, value=-1)
        squared = w_x.square_().addcmul_(w_y, w_y)
        s.add_(i)
        best_s = s if best_s is None else torch.where(squared < best, s, best_s)
        best = squared if best is None else torch.minimum(squared, best)
    return best_s.div_(CHORDS)


def offset(curve: Curve, t: Tensor, pixel: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    x, y = curve.at(t)
    return x - pixel[0], y - pixel[1]


def dot(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> Tensor:
    return torch.addcmul(a[0] * b[0], a[1], b[1])


def newton(curve: Curve, start: Tensor, pixel: tuple[Tensor, Tensor]) -> Tensor:
    """t* (n, H, W): Newton steps on w . q' from `start`, kept within two chords of it; the better of start and end."""
    low, high = (start - 2 / CHORDS).clamp_(min=0), (start + 2 / CHORDS).clamp_(max=1)
    t, bend = start, tuple(2 * curve.square)
    w = offset(curve, t, pixel)
    squared_start = dot(w, w)
    for _ in range(NEWTON_STEPS):
        velocity = curve.velocity(t)
        speed = dot(velocity, velocity)
        g_t = dot(w, bend).add_(speed)
        g_t = torch.where(g_t > 0.1 * speed, g_t, speed).clamp_(min=MIN_SQUARED_LENGTH)
        t = torch.clamp(t - dot(w, velocity).div_(g_t), low, high)
        w = offset(curve, t, pixel)
    return torch.where(dot(w, w).sqrt_() > squared_start.sqrt_() + TIE, start, t)


def stroke_alpha(
    curve: Curve, radius: Tensor, opacity: Tensor, feather: Tensor, t: Tensor, pixel: tuple[Tensor, Tensor]
) -> Tensor:
    """(n, H, W); F at fixed t*, by the envelope theorem, and the opacity by the derivative of t* itself."""
    radius, opacity, feather = radius.T[..., None, None], opacity.T[..., None, None], feather[:, None, None]
    w, velocity = offset(curve, t, pixel), curve.velocity(t)
    distance = (dot(w, w) + EPSILON**2).sqrt()
    x = (0.5 - (distance - torch.lerp(radius[0], radius[1], t)) / feather).clamp(0, 1)
    g = dot(w, velocity) - distance * (radius[1] - radius[0])
    with torch.no_grad():
        speed = dot(velocity, velocity)
        g_t = torch.maximum(dot(w, tuple(2 * curve.square)) + speed, KAPPA * speed)
        rate = torch.where((t > 0) & (t < 1) & (speed > 0), 1 / g_t, 0)
    t = t - (g - g.detach()) * rate
    return torch.lerp(opacity[0], opacity[1], t) * (x * x * (3 - 2 * x))


def composite(canvas: Tensor, color: Tensor, alpha: Tensor) -> Tensor:
    for layer_color, layer_alpha in zip(color, alpha, strict=True):
        canvas = torch.lerp(canvas, layer_color[:, None, None], layer_alpha)
    return canvas
