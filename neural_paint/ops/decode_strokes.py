"""`decode_strokes`: stroke vectors of published painters made into `Strokes` or `Stamps`, differentiably."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from neural_paint import backends, reference
from neural_paint.ops import operators
from neural_paint.ops.operators import Formulas, as_dtype
from neural_paint.stamps import Stamps
from neural_paint.stroke_vectors import KINDS, MYPAINT_BRUSH, Kind
from neural_paint.strokes import Strokes

_OPERATORS = {"cpp": operators.compiled("decode_strokes"), "triton": operators.triton("decode_strokes")}
# In this order they are what csrc/decode.h counts.
_BRUSH = list(MYPAINT_BRUSH)

# Banks of brushes by how many there are: as upright as it is wide or more, else lying; small ones before large ones.
_BANKS = {"snp_oil": (1, 2, 4), "paint_transformer": (1, 2)}
# Share of the canvas's area from which a brush of Stylized Neural Painting is a large one.
_LARGE = 0.1


def decode_strokes(
    vectors: Tensor,
    kind: str,
    size: tuple[int, int],
    *,
    patches: Tensor | None = None,
    backend: str | None = None,
) -> Strokes | Stamps:
    """Strokes that a published painter's vectors stand for; differentiable in the vectors, and in the patches.

    docs/decode_strokes.md has each kind's entries and formulas, and how near they come to the painter's own renderer;
    `neural_paint.reference.decode_strokes` is what is computed in plain PyTorch.

    Args:
        vectors: (B, N, P) in [0, 1], floating. Half types are computed in float32.
        kind: "mypaint" (P = 12, the actions of neural painters), "learning_to_paint" (13), "snp_marker" (12), "snp_oil"
            (12) or "paint_transformer" (8).
        size: (H, W) of the canvas in pixels, which [0, 1] spans. Brushes are as large as on a square of that area.
        patches: of the last two kinds, their brush: (K, h, w) alpha in [0, 1], or (K, 2, h, w) shade and alpha, the
            colour being multiplied by the shade. One brush; or two, of which the first is taken where a stroke is
            higher than wide and the second elsewhere; or four for "snp_oil", two for small and two for large strokes.
        backend: "cpp", "triton" (float32 on CUDA), or "reference" for plain PyTorch; the fastest that can run by
            default.

    Returns:
        `Strokes`, quadratic curves, of the first three kinds, to be painted by `paint`; `Stamps` of the others, for
        `composite_patches`. Stamps have a patch of colours each where a stroke is not of one colour: N of them.

    Raises:
        TypeError: a tensor is not floating.
        ValueError: there is no such kind, shapes or devices do not fit, the kind needs patches or has none, or the
            backend cannot run here.
    """
    of = _check(vectors, kind, size, patches)
    dtype = vectors.dtype if vectors.dtype == torch.float64 else torch.float32
    backend = backends.pick(backend, vectors.device, "decode_strokes", dtype)
    fields = of.split(_decode(as_dtype(vectors, dtype), kind, size, backend))
    if patches is None:
        return Strokes(**fields)
    return _stamps(as_dtype(patches, dtype), **fields, bank=_bank(vectors.detach(), kind, size, len(patches)))


def _decode(vectors: Tensor, kind: str, size: tuple[int, int], backend: str) -> Tensor:
    if backend == "reference":
        return reference.decode_strokes(vectors, kind, size)
    ops, inputs = _OPERATORS[backend], (vectors, KINDS[kind].code, *size, _BRUSH)
    recorded = operators.is_recorded((vectors,))
    if recorded and not torch.compiler.is_compiling():
        return _differentiable(ops, *inputs)
    return operators.call(ops.forward, *inputs, recorded=recorded)


def _bank(vectors: Tensor, kind: str, size: tuple[int, int], brushes: int) -> Tensor:
    """(B, N) int64, which of the brushes each stroke takes."""
    width, height = vectors[..., 2], vectors[..., 3]
    bank = torch.zeros(vectors.shape[:2], dtype=torch.int64, device=vectors.device)
    if brushes > 1:
        bank = bank + (height <= width)
    if brushes > 2:
        area = (width + 1 / size[1]) * (height + 1 / size[0])
        bank = bank + 2 * (area > _LARGE)
    return bank


def _stamps(patches: Tensor, transform: Tensor, color: Tensor, bank: Tensor) -> Stamps:
    """Stamps of the unit square's maps and a bank of brushes, which are shared where each stroke is of one colour."""
    height, width = patches.shape[-2:]
    across, down, corner = transform.unbind(-1)
    transform = torch.stack([across / width, down / height, corner], -1)
    if color.ndim == 3 and patches.ndim == 3:
        return Stamps(patches=patches, transform=transform, color=color, patch_id=bank)
    alpha = patches[bank]
    paint = _rows(color, height).expand(*bank.shape, 3, height, width)
    if alpha.ndim == 5:
        shade, alpha = alpha.unbind(2)
        paint = paint * shade.unsqueeze(2)
    return Stamps(patches=torch.cat([paint, alpha.unsqueeze(2)], 2), transform=transform)


def _rows(color: Tensor, height: int) -> Tensor:
    """(B, N, 3, height or 1, 1), the colour of each row of a patch."""
    if color.ndim == 3:
        return color[..., None, None]
    # From the first row on, and not quite to the last colour: so its painter colours them.
    t = torch.arange(height, dtype=color.dtype, device=color.device)[:, None] / height
    first, last = color[..., None, None].unbind(2)
    return (1 - t) * first + t * last


def _check(vectors: Tensor, kind: str, size: tuple[int, int], patches: Tensor | None) -> Kind:
    for name, tensor in (("vectors", vectors), ("patches", patches)):
        if tensor is not None and not (isinstance(tensor, Tensor) and tensor.is_floating_point()):
            got = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
            raise TypeError(f"{name} must be a floating-point tensor, got {got}")
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {list(KINDS)}, got {kind!r}")
    of = KINDS[kind]
    if vectors.ndim != 3 or vectors.shape[2] != of.entries:
        raise ValueError(f"vectors must have shape (B, N, {of.entries}) for {kind!r}, got {tuple(vectors.shape)}")
    pair = isinstance(size, (tuple, list)) and len(size) == 2
    if not pair or not all(isinstance(side, int) and side >= 1 for side in size):
        raise ValueError(f"size must be (H, W) in whole pixels, both at least 1, got {size!r}")
    if of.is_curve != (patches is None):
        rule = "must not be given" if of.is_curve else "must be given"
        raise ValueError(f"patches {rule} for {kind!r}, got {None if patches is None else tuple(patches.shape)}")
    if patches is not None:
        counts = _BANKS[kind]
        shades = patches.ndim == 4 and patches.shape[1] == 2
        if not (patches.ndim == 3 or shades) or len(patches) not in counts or 0 in patches.shape:
            rule = f"(K, h, w) or (K, 2, h, w) with K in {counts} for {kind!r}"
            raise ValueError(f"patches must have shape {rule}, got {tuple(patches.shape)}")
        if patches.device != vectors.device:
            raise ValueError(f"patches must be on the device of vectors, {vectors.device}, got {patches.device}")
    return of


def _fake(vectors: Tensor, kind: int, height: int, width: int, brush: Sequence[float]) -> Tensor:
    (of,) = (k for k in KINDS.values() if k.code == kind)
    return vectors.new_empty(*vectors.shape[:2], of.numbers)


def _fake_backward(grad: Tensor, vectors: Tensor, kind: int, height: int, width: int, brush: Sequence[float]) -> Tensor:
    return vectors.new_empty(vectors.shape)


def _save(ctx: Any, inputs: Sequence[Any], saved: Sequence[Tensor]) -> None:
    vectors, *ctx.options = inputs
    ctx.save_for_backward(vectors)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    # Gradients that are to be differentiated again need the operator's own autograd, which refuses.
    (vectors,) = ctx.saved_tensors
    recorded = torch.is_grad_enabled()
    return operators.call(ctx.ops.backward, grad, vectors, *ctx.options, recorded=recorded), None, None, None, None


_differentiable = operators.register(
    "decode_strokes", _OPERATORS.values(), Formulas(_fake, _fake_backward, _save, _backward)
)
