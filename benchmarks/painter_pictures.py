"""Pictures of what neural painters have learned: a contact sheet and a video, next to the real MyPaint.

    python benchmarks/painter_pictures.py --painter vae.safetensors --painter gan.safetensors

Of a painter of the package both its smooth strokes and those with noise are shown. The video goes from action to action
in straight lines, as that of the original does.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from neural_paint import mypaint
from neural_paint.contact_sheet import panel_gap, title_band
from neural_paint.io import save_image, save_video
from neural_paint.painters import NeuralPainter, load_painter, provenance
from neural_paint.painters.actions import STROKE_SIZE

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
# How much larger than they are strokes are shown.
ZOOM = 2
PANEL = ZOOM * STROKE_SIZE
# Actions (n, 12) -> strokes (n, 3, 64, 64).
Show = Callable[[Tensor], Tensor]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Show what neural painters have learned.")
    parser.add_argument("--pretrained", default="dry_brush", help="the painter of the package")
    parser.add_argument("--painter", type=Path, action="append", default=[], help="a painter's file; several")
    parser.add_argument("--strokes", type=int, default=10, help="on the contact sheet")
    parser.add_argument("--actions", type=int, default=8, help="that the video goes through")
    parser.add_argument("--frames", type=int, default=24, help="from one action to the next")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", type=Path, default=IMAGES)
    options = parser.parse_args(arguments)
    panels = shows(options.pretrained, options.painter, options.seed)
    generator = torch.Generator().manual_seed(options.seed)
    options.images.mkdir(parents=True, exist_ok=True)
    save_image(
        options.images / "learned_strokes.jpg", sheet(torch.rand(options.strokes, 12, generator=generator), panels)
    )
    stops = torch.rand(options.actions, 12, generator=generator)
    video = frames(interpolated(stops, options.frames), panels)
    save_video(options.images / "interpolation.mp4", video, fps=24)


def shows(pretrained: str, painters: Sequence[Path], seed: int) -> dict[str, Show]:
    """What shows strokes, by title."""
    painter = NeuralPainter.pretrained(pretrained)
    # The same noise for every stroke, so that speckle does not flicker.
    noise = painter.sample_noise((1,), torch.Generator().manual_seed(seed))
    panels: dict[str, Show] = {
        "MyPaint": partial(real, brush=provenance(pretrained)["brush"]),
        f"{painter.kind}, noise": lambda actions: painter(actions, noise.expand(len(actions), -1)),
        f"{painter.kind}": painter,
    }
    return panels | {path.stem: load_painter(path) for path in painters}


def real(actions: Tensor, brush: str) -> Tensor:
    strokes = torch.from_numpy(mypaint.paint_actions(actions.double().numpy(), brush))
    return strokes.permute(0, 3, 1, 2) / 255


def interpolated(stops: Tensor, count: int) -> Tensor:
    """From each action (n, 12) to the next, and from the last to the first, `count` each."""
    share = torch.arange(count)[:, None] / count
    return torch.cat([torch.lerp(a, b, share) for a, b in zip(stops, stops.roll(-1, 0), strict=True)])


def sheet(actions: Tensor, panels: dict[str, Show]) -> Tensor:
    """(1, 3, H, W): a column for each of the panels, a row for each action."""
    return torch.cat([title_band(list(panels), PANEL), *frame_rows(actions, panels)], 2)


def frames(actions: Tensor, panels: dict[str, Show]) -> Iterator[Tensor]:
    titles = title_band(list(panels), PANEL)
    for row in frame_rows(actions, panels):
        yield torch.cat([titles, row], 2)


def frame_rows(actions: Tensor, panels: dict[str, Show]) -> Iterator[Tensor]:
    """For each action, its strokes side by side."""
    with torch.no_grad():
        strokes = [show(actions) for show in panels.values()]
    gap = torch.ones(1, 3, PANEL, panel_gap(PANEL))
    for row in zip(*strokes, strict=True):
        large = [F.interpolate(stroke[None], scale_factor=ZOOM, mode="nearest") for stroke in row]
        parts = [part for stroke in large for part in (gap, stroke)][1:]
        yield torch.cat(parts, 3)


if __name__ == "__main__":
    main()
