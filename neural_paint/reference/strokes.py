"""`paint` in plain PyTorch: curved strokes decoded and composited, one over the other.

Every formula of docs/stroke_model.md stands here once, written to be read. Gradients come from autograd and are right
to second order away from kinks (equal minima, texel lines, the floor `KAPPA`), so double backward works.

Layout: components first, and last one index per *sample*, which is one stroke at one pixel. With P samples the control
points, relative to the pixel, are (D, 2, P), a vector is (2, P), a scalar (P,).
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

if TYPE_CHECKING:
    from neural_paint.strokes import Strokes

# Rounds off the distance at the curve itself, in pixels, so that it can be differentiated; too little to be seen.
EPS = 1e-6
# Floor of G_t in units of |q'|^2: bounds dt*/dtheta near a centre of curvature, where the closest point jumps.
KAPPA = 1e-3
# Least radius by which texture coordinates are divided, in pixels: a hairline stays finite.
RADIUS_FLOOR = 1e-6
# Steps in t that bracket the minima of F; minima that share a step are nearly equal.
SEARCH_STEPS = 32
# Newton steps allowed; about six are needed, more only near a centre of curvature.
NEWTON_STEPS = 64
# Boxes that bound one curve: more of them leave fewer pixels to search.
BOXES = 16
# Values of colour and alpha held at once (32 MB in float64): bounds the memory for any number of strokes.
CHUNK_VALUES = 1 << 22


class Fields(NamedTuple):
    """The fields of S strokes, or of S samples, in one dtype and with that axis last."""

    points: Tensor  # (D, 2, S)
    radius: Tensor  # (2, S)
    color: Tensor  # (1 or 2, C, S): one end stands for both
    opacity: Tensor  # (1 or 2, S)
    feather: Tensor  # (S,)
    texture_id: Tensor  # (S,)

    @staticmethod
    def of(strokes: Strokes, chunk: slice) -> Fields:
        """Strokes `chunk` of every canvas, S = B n."""
        color = strokes.color if strokes.color.ndim == 4 else strokes.color[:, :, None]
        opacity = strokes.opacity if strokes.opacity.ndim == 3 else strokes.opacity[:, :, None]
        texture_id = torch.full_like(strokes.feather, -1) if strokes.texture_id is None else strokes.texture_id
        fields = (strokes.points, strokes.radius, color, opacity, strokes.feather, texture_id)
        *floats, texture_id = (x[:, chunk].flatten(0, 1).movedim(0, -1) for x in fields)
        return Fields._make([*(x.to(strokes.points.dtype) for x in floats), texture_id.long()])


def paint(strokes: Strokes, background: Tensor, *, t_min: float = 0.0) -> Tensor:
    """Paint N strokes in order on B canvases: (B, C, H, W) in the dtype of `background`, which is (B or 1, C, H, W).

    `strokes` has the fields of `neural_paint.Strokes`; the dtype of its points computes. A stroke with a non-finite
    field, feather <= 0 or a texture_id outside [-1, K - 1] paints nothing and gets zero gradients. `t_min` > 0 leaves
    out what hardly shows, see `paint_visible`.
    """
    (b, n), dtype = strokes.points.shape[:2], strokes.points.dtype
    canvas = background.to(dtype).expand(b, -1, -1, -1)
    texture = None if strokes.texture is None else strokes.texture.to(dtype)
    channels, height, width = canvas.shape[1:]
    size = max(1, CHUNK_VALUES // max(1, b * (channels + 1) * height * width))
    chunks = [slice(first, min(first + size, n)) for first in range(0, n, size)]

    def layers(chunk: slice) -> tuple[Tensor, ...]:
        flat = stroke_layers(Fields.of(strokes, chunk), texture, height, width)
        return tuple(x.unflatten(0, (b, chunk.stop - chunk.start)) for x in flat)

    if t_min > 0:
        return paint_visible(canvas, layers, chunks, t_min).to(background.dtype)
    for chunk in chunks:
        canvas = _recomputed(len(chunks) > 1, lambda canvas, chunk: composite(canvas, *layers(chunk)), canvas, chunk)
    return canvas.to(background.dtype)


def _recomputed(wanted: bool, step: Callable[..., Any], *args: Any) -> Any:
    """`step(*args)`, computed anew in the backward pass if wanted, so that the graph of one chunk is held at a time."""
    if wanted and torch.is_grad_enabled():
        return checkpoint(step, *args, use_reentrant=False, preserve_rng_state=False)
    return step(*args)


def composite(canvas: Tensor, colors: Tensor, alphas: Tensor) -> Tensor:
    """Paint N layers in order. canvas (B, C, H, W), colors (B, N, C, H, W), alphas (B, N, 1, H, W)."""
    for color, alpha in zip(colors.unbind(1), alphas.unbind(1), strict=True):
        canvas = over(canvas, color, alpha)
    return canvas


def over(below: Tensor, above: Tensor, alpha: Tensor) -> Tensor:
    """Exact at alpha 0 and 1."""
    return (1 - alpha) * below + alpha * above


def paint_visible(
    canvas: Tensor, layers: Callable[[slice], tuple[Tensor, ...]], chunks: list[slice], t_min: float
) -> Tensor:
    """Leave out what hardly shows: with T the transmittance of what lies above, a pixel is

        sum of T_k alpha_k color_k over the strokes that are shown, those with T_k >= t_min,  +  T background.

    Gradients are those of the shown strokes over a constant: the colour under the stroke that closed the pixel, which
    the strokes below it give by the same rule over the background.
    """
    above = below = canvas.new_ones(canvas.shape[0], 1, *canvas.shape[2:])
    starts = []
    with torch.no_grad():
        for chunk in reversed(chunks):
            starts.append((above, below))
            *_, above, below = visible(layers(chunk)[1], above, below, t_min)

    def step(canvas: Tensor, under: Tensor, chunk: slice, above: Tensor, below: Tensor) -> tuple[Tensor, Tensor]:
        colors, alphas = layers(chunk)
        shown, passed, *_ = visible(alphas.detach(), above, below, t_min)
        canvas = composite(canvas, colors.detach(), (alphas * shown).detach())
        alphas = torch.where(shown, alphas, (alphas * passed).detach())
        return canvas, composite(under, torch.where(shown, colors, colors.detach()), alphas)

    under = canvas.detach()
    for chunk, start in zip(chunks, reversed(starts), strict=True):
        canvas, under = _recomputed(len(chunks) > 1, step, canvas, under, chunk, *start)
    return canvas + (under - under.detach())


def visible(alphas: Tensor, above: Tensor, below: Tensor, t_min: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Which layers (B, N, 1, H, W) are shown, and which are passed under the closing one: two masks like `alphas`.

    `above` (B, 1, H, W) is the transmittance over these layers; `below` is a second one that starts at 1 under the
    closing layer and ends at t_min too. Both are returned as they are beneath these layers.
    """
    shown, passed = [], []
    for alpha in reversed(alphas.unbind(1)):
        shown.append(above >= t_min)
        passed.append(~shown[-1] & (below >= t_min))
        above = torch.where(shown[-1], above * (1 - alpha), above)
        below = torch.where(passed[-1], below * (1 - alpha), below)
    return torch.stack(shown[::-1], 1), torch.stack(passed[::-1], 1), above, below


def stroke_layers(strokes: Fields, texture: Tensor | None, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Colour (S, C, H, W) and alpha (S, 1, H, W) of each stroke at each pixel; both 0 where it does not reach."""
    with torch.no_grad():
        valid = valid_strokes(strokes, 0 if texture is None else len(texture))
        stroke, row, column = (near_curve(strokes, height, width) & valid[:, None, None]).nonzero(as_tuple=True)
        pixel = torch.stack([column, row]).to(strokes.points) + 0.5
        points, radius = strokes.points[..., stroke] - pixel, strokes.radius[:, stroke]
        t = closest_t(points, radius)
        reached = distance(points, radius, t) < strokes.feather[stroke] / 2
        stroke, row, column, pixel, t = (x[..., reached] for x in (stroke, row, column, pixel, t))

    samples = Fields(*(x[..., stroke] for x in strokes))
    samples = samples._replace(points=samples.points - pixel)
    t = differentiable_t(samples.points, samples.radius, t)
    layers = torch.cat([ramp(samples.color, t), stroke_alpha(samples, t, texture)[None]])
    where = ((stroke * height + row) * width + column).expand_as(layers)
    shape = (len(layers), strokes.feather.numel(), height, width)
    images = layers.new_zeros(shape).flatten(1).scatter(1, where, layers).view(shape).movedim(0, 1)
    return images[:, :-1], images[:, -1:]


def stroke_alpha(samples: Fields, t: Tensor, texture: Tensor | None) -> Tensor:
    """alpha = opacity(t) S(1/2 - F / feather) texture(u, v), with S(x) = x^2 (3 - 2x) on x clamped to [0, 1]."""
    x = (0.5 - distance(samples.points, samples.radius, t) / samples.feather).clamp(0, 1)
    alpha = ramp(samples.opacity, t) * (x * x * (3 - 2 * x))
    if texture is None:
        return alpha
    u, v = texture_coordinates(samples.points, samples.radius, t)
    return alpha * torch.where(samples.texture_id >= 0, texture_value(texture, samples.texture_id, u, v), 1)


def ramp(ends: Tensor, t: Tensor) -> Tensor:
    """The value at t, linear between two ends (2, ..., P), exact where they are equal; that of one end (1, ..., P)."""
    return ends[0] if len(ends) == 1 else torch.lerp(ends[0], ends[1], t)


def bezier(points: Tensor, t: Tensor) -> Tensor:
    """q(t) = sum of b_i(t) P_i (2, P), with b_i = binomial(D-1, i) t^i (1-t)^(D-1-i); t is (P,) or ()."""
    degree = len(points) - 1
    return sum(comb(degree, i) * t**i * (1 - t) ** (degree - i) * point for i, point in enumerate(points))


def hodograph(points: Tensor) -> Tensor:
    """Control points of q': (D-1)(P_{i+1} - P_i), or a single zero for a single point."""
    return (len(points) - 1) * points.diff(dim=0) if len(points) > 1 else torch.zeros_like(points)


def dot(a: Tensor, b: Tensor) -> Tensor:
    return a[0] * b[0] + a[1] * b[1]


def distance(points: Tensor, radius: Tensor, t: Tensor) -> Tensor:
    """F at t: d - r(t), with w = q(t) - p and d = sqrt(|w|^2 + EPS^2)."""
    w = bezier(points, t)
    return (dot(w, w) + EPS**2).sqrt() - ramp(radius, t)


def stationarity(points: Tensor, radius: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """G = w.q' - d r', which is d dF/dt; its derivative G_t = |q'|^2 + w.q'' - r' (w.q') / d; and |q'|^2."""
    velocity = hodograph(points)
    w, q1, q2 = bezier(points, t), bezier(velocity, t), bezier(hodograph(velocity), t)
    d, taper = (dot(w, w) + EPS**2).sqrt(), radius[1] - radius[0]
    along, speed2 = dot(w, q1), dot(q1, q1)
    return along - d * taper, speed2 + dot(w, q2) - taper * along / d, speed2


@torch.no_grad()
def closest_t(points: Tensor, radius: Tensor) -> Tensor:
    """t* (P,): where F is lowest, among equal minima the lowest t. No gradient.

    F has a minimum wherever G turns from < 0 to >= 0; counting G as < 0 before t = 0 and as >= 0 after t = 1 takes in
    the ends. Where the curve does not move this gives the end of larger radius, as a dab wants it.
    """
    steps = torch.linspace(0, 1, SEARCH_STEPS + 1).to(points)
    rising = torch.stack([stationarity(points, radius, t)[0] >= 0 for t in steps])
    edge = torch.zeros_like(rising[:1])
    rising = torch.cat([edge, rising, ~edge])
    bracket, sample = (~rising[:-1] & rising[1:]).nonzero(as_tuple=True)
    bounds = torch.cat([steps[:1], steps, steps[-1:]])

    points, radius, size = points[..., sample], radius[:, sample], points.shape[-1]
    t = refine(points, radius, bounds[bracket], bounds[bracket + 1])
    value = distance(points, radius, t)
    lowest = value.new_full((size,), torch.inf).scatter_reduce(0, sample, value, "amin")
    best = value == lowest[sample]
    return t.new_ones(size).scatter_reduce(0, sample[best], t[best], "amin")


def refine(points: Tensor, radius: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The root of G in [low, high] to the last bits: Newton steps, and bisection where one would leave the bracket."""
    root = (low + high) / 2
    moving = torch.arange(root.numel(), device=root.device)
    for _ in range(NEWTON_STEPS):
        if not len(moving):
            break
        t = root[moving]
        g, g_t, _ = stationarity(points, radius, t)
        low, high = torch.where(g < 0, t, low), torch.where(g < 0, high, t)
        step = t - g / g_t
        step = torch.where((step >= low) & (step <= high), step, (low + high) / 2)
        root[moving] = step
        unsettled = (step - t).abs() > 2 * torch.finfo(t.dtype).eps
        moving, points, radius, low, high = (x[..., unsettled] for x in (moving, points, radius, low, high))
    return root


def differentiable_t(points: Tensor, radius: Tensor, t: Tensor) -> Tensor:
    """t* with its derivatives: dt*/dtheta = -G_theta / max(G_t, KAPPA |q'|^2), and 0 where t* is an end or q' = 0.

    A root of G does not move under a Newton step, whose derivative is the implicit function theorem's; a second step
    makes the second derivative right as well. Where the floor holds, the rule is one step.
    """
    root, free = t, (t > 0) & (t < 1)
    for _ in range(2):
        g, g_t, speed2 = stationarity(points, radius, root)
        floor = KAPPA * speed2
        free = free & (floor > 0)
        root = torch.where(free, root - g / torch.where(free, torch.maximum(g_t, floor), 1), root)
        free = free & (g_t > floor)
    return t + (root - root.detach())


def texture_coordinates(points: Tensor, radius: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """u = t, v = (p - q).n / r with the normal n = (-q'_y, q'_x) / |q'|; the tangent is the x axis where q' = 0.

    A dab (D = 1) has u = 1/2 + (p - q)_x / 2r and v = (p - q)_y / r instead. r is at least RADIUS_FLOOR.
    """
    w, r = bezier(points, t), ramp(radius, t).clamp(min=RADIUS_FLOOR)
    if len(points) == 1:
        return 0.5 - w[0] / (2 * r), -w[1] / r
    tangent = bezier(hodograph(points), t)
    tangent = torch.where(dot(tangent, tangent) > 0, tangent, tangent.new_tensor([[1.0], [0.0]]))
    return t, (w[0] * tangent[1] - w[1] * tangent[0]) / (dot(tangent, tangent).sqrt() * r)


def texture_value(texture: Tensor, texture_id: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Texture (K, h, w) `texture_id` at column u w - 1/2, row (v + 1)/2 h - 1/2: bilinear, clamped to the border."""
    h, w = texture.shape[1:]
    x, y = (u * w - 0.5).clamp(0, w - 1), ((v + 1) / 2 * h - 0.5).clamp(0, h - 1)
    column, row = x.detach().floor(), y.detach().floor()

    def texel(down: int, right: int) -> Tensor:
        i, j = (row.long() + down).clamp(0, h - 1), (column.long() + right).clamp(0, w - 1)
        return texture.flatten()[(texture_id.clamp(min=0) * h + i) * w + j]

    upper, lower = (torch.lerp(texel(down, 0), texel(down, 1), x - column) for down in (0, 1))
    return torch.lerp(upper, lower, y - row)


def valid_strokes(strokes: Fields, textures: int) -> Tensor:
    """(S,): every field finite, feather > 0 and texture_id in [-1, textures - 1]."""
    finite = torch.stack([x.isfinite().flatten(0, -2).all(0) if x.ndim > 1 else x.isfinite() for x in strokes]).all(0)
    return finite & (strokes.feather > 0) & (strokes.texture_id >= -1) & (strokes.texture_id < textures)


def near_curve(strokes: Fields, height: int, width: int) -> Tensor:
    """(S, H, W): every pixel that a stroke can reach, and few others.

    A piece of the curve keeps within |q''| step^2 / 8 of its chord, and coverage ends at radius + feather / 2.
    """
    points = strokes.points
    q = torch.stack([bezier(points, t) for t in torch.linspace(0, 1, BOXES + 1).to(points)])
    bend = hodograph(hodograph(points)).norm(dim=1).amax(0) / (8 * BOXES**2)
    rounding = 16 * torch.finfo(points.dtype).eps * points.abs().amax((0, 1))
    reach = strokes.radius.amax(0) + strokes.feather / 2 + bend + rounding
    low, high = torch.minimum(q[:-1], q[1:]) - reach, torch.maximum(q[:-1], q[1:]) + reach

    def inside(axis: int, size: int) -> Tensor:
        center = torch.arange(size).to(points) + 0.5
        return ((center >= low[:, axis, :, None]) & (center <= high[:, axis, :, None])).to(points.dtype)

    return torch.einsum("ksh,ksw->shw", inside(1, height), inside(0, width)) > 0
