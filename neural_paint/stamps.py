"""The container of bitmap stamps: patches and the maps that lay them on a canvas."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from neural_paint.stamp_rules import channels_of, check_layout, check_stamp_values, determinant
from neural_paint.stroke_batch import StrokeBatch, check_joinable, distinct, ids_in, one_dtype, require_same


class Stamps(StrokeBatch):
    """A batch of B canvases with N stamps each, laid in order: stamp 0 first.

    The fields are what `neural_paint.composite_patches` takes, where docs/patches.md says what they mean:
    `composite_patches(**stamps.fields(), background=background)` lays them.

    Args:
        patches: with `color` (B, N, h, w), else (B, N, C + 1, h, w), colour and then alpha. With `patch_id`
            (K, h, w) or (K, C + 1, h, w), shared by all stamps. Alpha is in [0, 1].
        transform: (B, N, 2, 3) from places in the patch to places on the canvas, float32 or float64.
        color: (B, N, C) of patches that are alpha alone.
        opacity: (B, N) in [0, 1], multiplies alpha; 1 by default.
        patch_id: (B, N) int64, which of the shared patches.

    The tensors are kept as given, with their autograd graph, and nothing here synchronises: values are checked by
    `validate()` alone.

    Raises:
        TypeError: a field is not a tensor or has an unsupported dtype.
        ValueError: a field has the wrong shape or is on another device than `transform`.
    """

    FIELDS = ("transform", "patches", "color", "opacity", "patch_id")
    REQUIRED = ("transform", "patches")

    def __init__(
        self,
        *,
        patches: Tensor,
        transform: Tensor,
        color: Tensor | None = None,
        opacity: Tensor | None = None,
        patch_id: Tensor | None = None,
    ) -> None:
        check_layout(patches, transform, color, opacity, patch_id)
        self.patches = patches
        self.transform = transform
        self.color = color
        self.opacity = opacity
        self.patch_id = patch_id

    @property
    def shared(self) -> tuple[str, ...]:
        return () if self.patch_id is None else ("patches",)

    @property
    def channels(self) -> int:
        return channels_of(self.patches, self.color)

    def _described(self) -> str:
        height, width = self.patches.shape[-2:]
        shared = "" if self.patch_id is None else f"{self.patches.shape[0]} of "
        return f"C={self.channels}, patches={shared}{height}x{width}"

    def _scaled(self, factor: builtins.float) -> Stamps:
        return self.replace(transform=self.transform * factor)

    def stretched(self, x: builtins.float, y: builtins.float) -> Stamps:
        """The same painting on a canvas `x` times as wide and `y` times as high: the stamps are stretched with it."""
        return self.replace(transform=self.transform * self.transform.new_tensor([[x], [y]]))

    def shifted(self, x: builtins.float, y: builtins.float) -> Stamps:
        """The same stamps farther to the right and down, in pixels."""
        return self.replace(transform=self.transform + self.transform.new_tensor([[0, 0, x], [0, 0, y]]))

    def masked(self, mask: Tensor) -> Stamps:
        """The same stamps, of which `composite_patches` leaves out all but those in `mask`, (B, N) or (N,), with zero
        gradients: their maps have no inverse. No shape changes."""
        return self.replace(transform=torch.where(mask[..., None, None], self.transform, 0.0))

    def bounds(self) -> Tensor:
        """(B, N, 4) boxes (x0, y0, x1, y1) in pixels, outside which a stamp leaves no paint; not differentiable. The
        empty box, (inf, inf, -inf, -inf), for one whose map is not finite or has no inverse."""
        transform = self.transform.detach()
        height, width = self.patches.shape[-2:]
        size = transform.new_tensor([width, height])
        middle = (transform[..., :2] * (size / 2)).sum(-1) + transform[..., 2]
        # Interpolation reaches half a texel beyond the patch, samples of a pixel half a pixel beyond its centre.
        half = (transform[..., :2].abs() * ((size + 1) / 2)).sum(-1) + 0.5
        shown = (transform.isfinite().all(-1).all(-1) & (determinant(transform) != 0))[..., None]
        low = torch.where(shown, middle - half, math.inf)
        return torch.cat([low, torch.where(shown, middle + half, -math.inf)], -1)

    @staticmethod
    def cat(stamps: Sequence[Stamps], dim: int = 1) -> Stamps:
        """Join along the stamps (dim=1, later ones are laid over earlier ones) or along the batch (dim=0).

        Distinct shared patches (not the same tensor object) are joined and their ids offset; an opacity that is not
        given becomes 1 where another one is.

        Raises:
            ValueError: nothing to join, or the channels, dtypes, devices or sizes of patches differ, or only some have
                `color` or `patch_id`.
        """
        return _cat(list(stamps), dim)

    def validate(self) -> Stamps:
        """Check the values of every field, with one synchronisation, and return self.

        Raises:
            ValueError: naming the field, the rule, the value and the index of the first offender.
        """
        check_stamp_values(self.fields())
        return self


def _cat(stamps: list[Stamps], dim: int) -> Stamps:
    check_joinable(stamps, dim)
    require_same("fields", ["/".join(x for x in ("color", "patch_id") if x in s.fields()) or "neither" for s in stamps])
    require_same("patch size", [tuple(s.patches.shape[-2:]) for s in stamps])
    dtype = stamps[0].dtype
    joined: dict[str, Tensor] = {"transform": torch.cat([s.transform for s in stamps], dim)}
    if stamps[0].color is not None:
        joined["color"] = torch.cat(one_dtype([s.color for s in stamps if s.color is not None], dtype), dim)
    if any(s.opacity is not None for s in stamps):
        opacities = [s.transform.new_ones(s.shape) if s.opacity is None else s.opacity for s in stamps]
        joined["opacity"] = torch.cat(one_dtype(opacities, dtype), dim)
    if stamps[0].patch_id is None:
        return Stamps(patches=torch.cat(one_dtype([s.patches for s in stamps], dtype), dim), **joined)
    banks = distinct([s.patches for s in stamps])
    ids = [ids_in(banks, s.patches, s.patch_id) for s in stamps if s.patch_id is not None]
    patches = banks[0] if len(banks) == 1 else torch.cat(one_dtype(banks, dtype))
    return Stamps(patches=patches, patch_id=torch.cat(ids, dim), **joined)
