"""The container of bitmap strokes, with the fields of `composite_patches`."""

from __future__ import annotations

from torch import Tensor


class Stamps:
    """A batch of B canvases with N bitmaps each, laid in order: the arguments of `composite_patches`, as they are."""

    FIELDS = ("patches", "transform", "color", "opacity", "patch_id")

    def __init__(
        self,
        *,
        patches: Tensor,
        transform: Tensor,
        color: Tensor | None = None,
        opacity: Tensor | None = None,
        patch_id: Tensor | None = None,
    ) -> None:
        self.patches = patches
        self.transform = transform
        self.color = color
        self.opacity = opacity
        self.patch_id = patch_id

    def fields(self) -> dict[str, Tensor]:
        """The tensors that are not None, by name."""
        present = {name: getattr(self, name) for name in self.FIELDS}
        return {name: tensor for name, tensor in present.items() if tensor is not None}
