"""Limited palettes: colours by name, or those that a photograph is best reduced to."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageColor
from torch import Tensor

from neural_paint.io.paintings import to_bytes

# Pillow's palettes end here.
MAX_COLORS = 256


def palette_of(text: str, photo: Tensor) -> Tensor:
    """(K, 3) colours in [0, 1] that `text` asks for: a number, of colours that the photograph (1, 3, H, W) is reduced
    to, or colours with commas between them, as "#1b1b1b,white,tomato".

    Raises:
        ValueError: it is neither, or the number is not in [1, 256].
    """
    if text.strip().isdigit():
        count = int(text)
        if not 1 <= count <= MAX_COLORS:
            raise ValueError(f"palette must have 1 to {MAX_COLORS} colors, got {count}")
        return _colors_of(photo, count)
    colors = [_color(name.strip()) for name in text.split(",")]
    return torch.tensor(colors, dtype=torch.float32) / 255


def _color(name: str) -> tuple[int, int, int]:
    try:
        red, green, blue, *_ = ImageColor.getrgb(name)
    except ValueError:
        what = 'a number, or names such as "white" and "#1b1b1b" with commas between them'
        raise ValueError(f"palette must be {what}, got {name!r}") from None
    return red, green, blue


def _colors_of(photo: Tensor, count: int) -> Tensor:
    picture = Image.fromarray(to_bytes(photo)).convert("RGB")
    # Median cut, its boxes' means then moved by k-means.
    reduced = picture.quantize(count, Image.Quantize.MEDIANCUT, kmeans=4)
    palette = torch.tensor(reduced.getpalette(), dtype=torch.float32).view(-1, 3) / 255
    # Where the photograph has fewer colours, there are entries that nothing uses.
    used = np.unique(np.asarray(reduced))
    return palette[torch.from_numpy(used.astype(np.int64))]
