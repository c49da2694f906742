"""Paint a photograph: strokes placed where the error is, coarse to fine, all optimised together."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from neural_paint.ops.paint import paint
from neural_paint.strokes import Strokes
from neural_paint.tasks.placement import place

# (share of the budget at which it begins, share of the strokes placed by then, radius of the new ones in pixels for 250
# strokes at 256 px).
WAVES = ((0.0, 0.1, 24.0), (0.1, 0.4, 12.0), (0.25, 1.0, 6.0))
DECAY = 0.25
START_OPACITY = 0.8
START_FEATHER = 2.0
RAMP = False
RELOCATE = 0.0
PROBES = 4
CARRY = True
LR0 = 1.0
PSIZE = 256.0

STEP_POINT, STEP_WIDTH, STEP_OPACITY, STEP_COLOR = 0.5, 0.06, 0.05, 0.02
MIN_RADIUS, MIN_FEATHER = 0.5, 1.0
COL = 10


@dataclass(frozen=True)
class Step:
    index: int
    strokes: Strokes
    canvas: Tensor
    loss: Tensor
    progress: float

    @property
    def psnr(self) -> float:
        return -10 * math.log10(max(float(self.loss.mean()), 1e-20))


def _inv_softplus(x):
    return x + math.log(-math.expm1(-x))


class _Parameters:
    def __init__(self, photo, scale):
        b, c = photo.shape[:2]
        ends = 2 if RAMP else 1
        self.c, self.ends = c, ends
        self.scale = scale
        steps = [STEP_POINT * scale] * 6 + [STEP_WIDTH] * 3 + [STEP_OPACITY]*ends + [STEP_COLOR] * c * ends
        self.steps = photo.new_tensor(steps)
        self.raw = photo.new_zeros(b, 0, len(steps))
        self.m = self.raw.clone()
        self.v = self.raw.clone()
        self.t = 0

    def append(self, placement, radius):
        b, n = placement.color.shape[:2]
        raw = self.raw.new_empty(b, n, len(self.steps))
        raw[..., :6] = placement.points.flatten(2)
        raw[..., 6:8] = _inv_softplus(max(radius - MIN_RADIUS, 0.01) / self.scale)
        raw[..., 8] = _inv_softplus(max(START_FEATHER*min(radius/6,2) - MIN_FEATHER, 0.2) / self.scale)
        raw[..., 9:9+self.ends] = math.log(START_OPACITY / (1 - START_OPACITY))
        raw[..., 9+self.ends:] = placement.color.repeat(1,1,self.ends)
        raw /= self.steps
        self.raw = torch.cat([self.raw, raw], 1)
        if CARRY:
            self.m = torch.cat([self.m, torch.zeros_like(raw)], 1)
            self.v = torch.cat([self.v, torch.zeros_like(raw)], 1)
        else:
            self.m = torch.zeros_like(self.raw); self.v = self.m.clone(); self.t = 0

    def drop(self, keep):
        self.raw, self.m, self.v = (torch.stack([x[keep] for x, keep in zip(t, keep)]) for t in (self.raw, self.m, self.v))

    def strokes(self, raw):
        values = raw * self.steps
        width = F.softplus(values[..., 6:9]) * self.scale
        b, n = raw.shape[:2]
        e = self.ends
        op = values[..., 9:9+e].sigmoid()
        col = values[..., 9+e:]
        return Strokes(
            points=values[..., :6].unflatten(-1, (3, 2)),
            radius=width[..., :2] + MIN_RADIUS,
            feather=width[..., 2] + MIN_FEATHER,
            opacity=op if e == 2 else op[..., 0],
            color=col.unflatten(-1, (2, self.c)) if e == 2 else col,
        )

    def update(self, grad, rate):
        self.t += 1
        grad = grad.nan_to_num_(0, 0, 0)
        self.m.lerp_(grad, 0.1)
        self.v.lerp_(grad.square(), 0.01)
        c1, c2 = 1 - 0.9**self.t, 1 - 0.99**self.t
        self.raw.addcdiv_(self.m, (self.v.sqrt() / math.sqrt(c2)).add_(1e-12), value=-rate / c1)
        self.raw[..., 9+self.ends:].clamp_(0, 1 / STEP_COLOR)


def costs(params, photo, background, generator):
    """Increase of the squared error if a stroke were left out (B, N)."""
    raw = params.raw
    with torch.enable_grad():
        s = params.strokes(raw)
        op = s.opacity.detach().requires_grad_()
        s = s.replace(opacity=op)
        canvas = paint(s, background)
        res = canvas - photo
        loss = res.detach()
        lin, = torch.autograd.grad(canvas, op, 2 * res.detach(), retain_graph=True)
        cost = -(lin * op)
        for _ in range(PROBES):
            sign = (torch.rand(canvas.shape, generator=generator) < 0.5).to(canvas) * 2 - 1
            g, = torch.autograd.grad(canvas, op, sign, retain_graph=True)
            gg = (g * op.detach())
            cost = cost + (gg.sum(-1).square().unsqueeze(-1)/2 if gg.ndim==3 else gg.square()) / PROBES
    cost = cost.detach()
    return cost.sum(-1) if cost.ndim == 3 else cost


def reconstruct(photo: Tensor, strokes: int = 500, *, steps: int = 300, seed: int = 0, refresh=()) -> Iterator[Step]:
    generator = torch.Generator().manual_seed(seed)
    b, c, h, w = photo.shape
    background = photo.mean((2, 3), keepdim=True).expand(-1, -1, h, w).contiguous()
    scale = math.sqrt(h * w) / PSIZE
    rscale = math.sqrt(h * w) / 256 * math.sqrt(250 / strokes)
    params = _Parameters(photo, scale)
    canvas = background
    begins = {min(round(start * steps), steps - 1): (share, radius) for start, share, radius in WAVES}
    begins |= {round(r * steps): (1.0, WAVES[-1][2]*f) for r, f in refresh}
    for index in range(steps):
        if index in begins:
            share, radius = begins[index]
            if RELOCATE and index:
                cost = costs(params, photo, background, generator)
                k = int(RELOCATE * cost.shape[1])
                keep = cost.argsort(1)[:, k:].sort(1).values
                params.drop(keep)
                canvas = paint(params.strokes(params.raw), background)
            r = max(radius * rscale, MIN_RADIUS)
            count = max(round(share * strokes), 1) - params.raw.shape[1]
            params.append(place(photo, canvas, count, r, generator), r)
        raw = params.raw.detach().requires_grad_()
        current = params.strokes(raw)
        image = paint(current, background)
        sq = (image - photo).square()
        grad, = torch.autograd.grad(sq.sum(), raw)
        canvas = image.detach()
        yield Step(index, current.detach(), canvas, sq.detach().mean((1, 2, 3)), (index + 1) / steps)
        p = index / steps
        rate = LR0 if p < DECAY else LR0 * (1 + math.cos(math.pi * (p - DECAY) / (1 - DECAY))) / 2
        params.update(grad, rate)
