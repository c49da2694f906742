"""What all neural painters have in common: actions in, strokes out, in one call for as many strokes as there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from neural_paint.ops.stroke_mask import stroke_mask
from neural_paint.painters.actions import ACTION_SIZE, STROKE_SIZE

# Of those that come with the package: MyPaint's "classic/dry_brush", with which neural painters were published.
DEFAULT_PAINTER = "dry_brush"

Painter = TypeVar("Painter", bound="NeuralPainter")
# Actions (M, 12) and noise (M, noise_size), or none, -> pictures (M, 3, 64, 64) or masks (M, size, size).
Network = Callable[[Tensor, Tensor | None], Tensor]


class NeuralPainter(nn.Module):
    """A network that paints one stroke for each action: a differentiable stand-in for a painting program.

    Subclasses are `DabPainter`, `VAEPainter`, `GANPainter` and `NPXPainter`. Weights are in channels-last memory, which
    is faster on the CPU; `painter.to(memory_format=torch.contiguous_format)` undoes that.

    Attributes:
        kind: the painter's name in files.
        stroke_size: side of a stroke's image in pixels, 64.
        action_size: entries of an action, 12 (`neural_paint.painters.actions` names them).
        noise_size: random numbers that a stroke can depend on; 0 where a painter has none.
        ends_in_sigmoid: whether that is what `activate` is.
        any_size: whether `coverage` makes masks of any size, not of 64 pixels alone.
    """

    kind: ClassVar[str]
    stroke_size: ClassVar[int] = STROKE_SIZE
    action_size: ClassVar[int] = ACTION_SIZE
    noise_size: int
    ends_in_sigmoid: ClassVar[bool] = True
    any_size: ClassVar[bool] = False

    def architecture(self) -> dict[str, Any]:
        """The arguments of the constructor that make this painter again, apart from its weights."""
        raise NotImplementedError

    def _preactivation(self, actions: Tensor, noise: Tensor | None) -> Tensor:
        """Of the last layer (M, 3, 64, 64), for actions (M, 12) with noise (M, noise_size), or without any; not of a
        half type."""
        raise NotImplementedError

    def activate(self, x: Tensor) -> Tensor:
        """The last activation, which does not fall anywhere: strokes of `preactivation`."""
        return torch.sigmoid(x)

    def _paint(self, actions: Tensor, noise: Tensor | None) -> Tensor:
        return self.activate(self._preactivation(actions, noise))

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def forward(
        self,
        actions: Tensor,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
        *,
        chunk: int | None = None,
    ) -> Tensor:
        """Paint strokes. Without `noise` and `generator` the result depends on the actions alone.

        Args:
            actions: (..., 12) in [0, 1], any number of leading axes, empty ones too; values are not checked.
            noise: (..., noise_size) random numbers, as `sample_noise` draws them.
            generator: draws the noise instead; for code to be compiled, draw it before the call.
            chunk: paint at most so many strokes at a time, which bounds the memory for what lies between actions and
                strokes: a backward pass computes it again, chunk by chunk. In eval mode only.

        Returns:
            (..., 3, 64, 64) strokes on white paper, RGB in [0, 1], with the dtype of `actions`.

        Raises:
            TypeError: `actions` or `noise` have another dtype than the painter, outside of autocast.
            ValueError: a shape or `chunk` is wrong, or both `noise` and `generator` are given.
        """
        return self._run(self._paint, actions, noise, generator, chunk).to(actions.dtype)

    def preactivation(
        self,
        actions: Tensor,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
        *,
        chunk: int | None = None,
    ) -> Tensor:
        """What `activate` makes strokes of, for what goes on without them, such as `stroke_mask` of logits.

        Arguments and errors are those of `forward`.

        Returns:
            (..., 3, 64, 64), in the painter's dtype, or float32 where that is a half type.
        """
        return self._run(self._preactivation, actions, noise, generator, chunk)

    def coverage(
        self,
        actions: Tensor,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
        *,
        size: int = STROKE_SIZE,
        chunk: int | None = None,
    ) -> Tensor:
        """Alpha of the strokes, laid in the colours of their actions: `composite_patches` takes them as masks.

        A painter of pictures does not say how opaque its paint is: its alpha is the darkness of the picture, 1 at its
        darkest pixel (`stroke_mask`).

        Args:
            actions, noise, generator, chunk: see `forward`.
            size: side of the masks in pixels; painters of pictures have 64 alone.

        Returns:
            (..., size, size) in [0, 1].

        Raises:
            ValueError: see `forward`, or the painter has no masks of that size.
        """
        if size != self.stroke_size:
            raise ValueError(f"size must be {self.stroke_size} for a {self.kind} painter, got {size}")
        x = self.preactivation(actions, noise, generator, chunk=chunk)
        return stroke_mask(x, logits=True) if self.ends_in_sigmoid else stroke_mask(self.activate(x))

    def _run(
        self,
        network: Network,
        actions: Tensor,
        noise: Tensor | None,
        generator: torch.Generator | None,
        chunk: int | None,
    ) -> Tensor:
        batch = actions.shape[:-1]
        if generator is not None:
            if noise is not None:
                raise ValueError("noise must be given or drawn by a generator, got both")
            noise = self.sample_noise(batch, generator)
        self._check_input("actions", actions, (*batch, self.action_size))
        flat = actions.reshape(-1, self.action_size)
        if noise is not None:
            self._check_input("noise", noise, (*batch, self.noise_size))
            noise = noise.reshape(flat.shape[0], self.noise_size)
        images = network(flat, noise) if chunk is None else self._run_chunks(network, flat, noise, chunk)
        return images.reshape(*batch, *images.shape[1:])

    def sample_noise(self, batch: Sequence[int], generator: torch.Generator | None = None) -> Tensor:
        """Noise (*batch, noise_size) for a batch of actions, in the painter's dtype and on its device.

        Args:
            batch: the leading axes of the actions, `actions.shape[:-1]`.
            generator: draws it, on its own device; equal generators give equal noise for a painter of any dtype, on any
                device.
        """
        device = self.device if generator is None else generator.device
        noise = self._draw((*batch, self.noise_size), generator, device)
        return noise.to(self.device, self.dtype)

    def seeded_noise(self, seed: Tensor) -> Tensor:
        """Noise (..., noise_size) of strokes that have a seed each, (...) int64: that of a stroke depends on its seed
        alone, of which the last 32 bits count; in the painter's dtype and on its device."""
        noise, generator = torch.empty(seed.numel(), self.noise_size), torch.Generator()
        for row, value in zip(noise, seed.flatten().tolist(), strict=True):
            row.copy_(self._draw((self.noise_size,), generator.manual_seed(value), noise.device))
        return noise.reshape(*seed.shape, self.noise_size).to(self.device, self.dtype)

    def _draw(self, shape: tuple[int, ...], generator: torch.Generator | None, device: torch.device) -> Tensor:
        """In float32, as a generator gives other numbers in other types."""
        return torch.randn(shape, generator=generator, device=device, dtype=torch.float32)

    @staticmethod
    def pretrained(name: str = DEFAULT_PAINTER) -> NeuralPainter:
        """A painter that comes with the package, frozen and on the CPU; nothing is downloaded.

        Args:
            name: of the brush that it has learned, one of `pretrained_painters()`: the default is MyPaint's
                "classic/dry_brush", with which neural painters were published.

        Raises:
            ValueError: there is no painter of that name.
        """
        # Painters in files are above this class.
        from neural_paint.painters.pretrained import load_pretrained

        return load_pretrained(name)

    def freeze(self: Painter) -> Painter:
        """Set eval mode and `requires_grad` of all weights to False, and return self: gradients go to actions alone."""
        return self.eval().requires_grad_(False)

    def use_channels_last(self: Painter) -> Painter:
        """Put the weights in channels-last memory, and return self."""
        return self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _check_input(self, name: str, x: Tensor, shape: tuple[int, ...]) -> None:
        if x.shape != shape:
            raise ValueError(f"{name} must have shape {tuple(shape)}, got {tuple(x.shape)}")
        if x.dtype != self.dtype and not torch.is_autocast_enabled(x.device.type):
            raise TypeError(f"{name} must have the painter's dtype {self.dtype}, got {x.dtype}")

    def _run_chunks(self, network: Network, actions: Tensor, noise: Tensor | None, chunk: int) -> Tensor:
        if chunk < 1:
            raise ValueError(f"chunk must be >= 1, got {chunk}")
        if self.training:
            raise ValueError("chunk needs a painter in eval mode: in training, strokes are normalised over all of them")
        noises = repeat(None) if noise is None else noise.split(chunk)
        return torch.cat(
            [
                checkpoint(network, part, part_noise, use_reentrant=False, preserve_rng_state=False)
                for part, part_noise in zip(actions.split(chunk), noises, strict=False)
            ]
        )
