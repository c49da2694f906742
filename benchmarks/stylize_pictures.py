"""The pictures of docs/stylize.md, by the command that it shows them with.

python benchmarks/stylize_pictures.py
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import skimage
import torch.nn.functional as F
from torch import Tensor

from neural_paint.cli import main as neural_paint
from neural_paint.contact_sheet import contact_sheet
from neural_paint.io import demo_photo, load_image, save_image
from neural_paint.media import MEDIA

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
# What a painting in plain strokes looks like is no news.
SHOWN = tuple(medium for medium in MEDIA if medium != "round")
# Longest side of a panel.
PANEL = 300
CONSTRAINTS = (
    "--medium marker --palette 6",
    "--medium dry-brush --grey --thin 1.5",
    "--medium oil --thin 3 --layer expand9",
)
STYLES = ("--style-loss gram --style-weight {gram}", "--style-loss transport --style-weight {transport}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Make the pictures of docs/stylize.md.")
    parser.add_argument("--style", type=Path, help="a picture of a style; by default scikit-image's deep field")
    parser.add_argument("--gram", type=float, default=0.6, help="weight of the style by Gram matrices")
    parser.add_argument("--transport", type=float, default=0.6, help="weight of the style by transport")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--images", type=Path, default=IMAGES)
    options = parser.parse_args(arguments)
    photo = load_image(demo_photo(), size=PANEL)
    more = f" --steps {options.steps}"

    media = [paint(f"--medium {medium}{more}") for medium in SHOWN]
    save_image(options.images / "media.jpg", contact_sheet([photo, *media], ["photograph", *SHOWN], 3))
    held = [paint(f"{constraint}{more}") for constraint in CONSTRAINTS]
    save_image(options.images / "constraints.jpg", contact_sheet(held, CONSTRAINTS, 3))
    paint(f"--sheet {options.images / 'layers.jpg'}{more}")
    style = options.style or deep_field()
    styled = [
        paint(f"--medium oil --style {style} {loss.format(gram=options.gram, transport=options.transport)}{more}")
        for loss in STYLES
    ]
    height, width = photo.shape[2:]
    shown = load_image(style)
    # As much of its top as has the photograph's proportions.
    shown = shown[:, :, : shown.shape[3] * height // width]
    panel = F.interpolate(shown, (height, width), mode="bilinear", antialias=True).clamp(0, 1)
    save_image(options.images / "style.jpg", contact_sheet([panel, *styled], ["style", "gram", "transport"], 3))


def paint(arguments: str) -> Tensor:
    """The painting of the demo's photograph that the command makes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "painting.png"
        status = neural_paint(["stylize", "--demo", "-o", str(path), "--size", str(PANEL), *arguments.split()])
        if status:
            raise SystemExit(f"stylize {arguments} failed")
        return load_image(path)


def deep_field() -> Path:
    """Of the Hubble Space Telescope: NASA's, in the public domain."""
    return Path(skimage.__file__).parent / "data" / "hubble_deep_field.jpg"


if __name__ == "__main__":
    main()
