"""`neural-paint render`: a stroke file as a picture of any size, and as a video."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from neural_paint.action_strokes import ActionStrokes
from neural_paint.chosen_painter import painter_of
from neural_paint.io import StrokeFile, load_strokes
from neural_paint.io.atomic import check_writable
from neural_paint.io.paintings import check_picture
from neural_paint.painting_files import Painting, VideoOptions, scaled
from neural_paint.progress import listed

_WHITE = 1.0


@dataclass(frozen=True)
class RenderOptions:
    """The options of `neural-paint render`, each within its range; a picture or a video or both are asked for."""

    strokes: Path
    picture: Path | None
    video: Path | None
    size: int | None
    device: str
    weights: Path | None
    video_options: VideoOptions


def render_file(options: RenderOptions) -> int:
    """Render a stroke file, and return the exit status.

    Raises:
        ValueError, OSError: with a message of one sentence.
    """
    file = load_strokes(options.strokes)
    if options.weights is not None and not isinstance(file.strokes, ActionStrokes):
        raise ValueError(f"--weights is for strokes that are actions, and those of {options.strokes} are not")
    painting = painting_of(file, options.strokes, options.size)
    painting = shown(painting, options.strokes, options.device, options.weights)
    if options.picture is not None:
        check_picture(options.picture, painting.size)
    if options.video is not None:
        options.video_options.frame_size(options.video, painting.size)
    outputs = [path for path in (options.picture, options.video) if path is not None]
    for path in outputs:
        check_writable(path)
    if options.picture is not None:
        painting.save(options.picture)
    if options.video is not None:
        painting.save_video(options.video, options.video_options)
    height, width = painting.size
    print(f"{listed(outputs)}: {width} x {height} pixels, {file.strokes.num_strokes} strokes")
    return 0


def painting_of(file: StrokeFile, path: Path, longest: int | None) -> Painting:
    """The painting that a stroke file holds, its longest side that many pixels; without a painter.

    Raises:
        ValueError: the file does not hold one painting of 1 or 3 channels in srgb.
    """
    paintings, channels = file.strokes.batch_size, file.strokes.channels
    if paintings != 1 or channels not in (1, 3):
        what = f"{paintings} paintings of {channels} channels"
        raise ValueError(f"cannot paint {path}: it must hold one painting of 1 or 3 channels, got {what}")
    if file.color_space != "srgb":
        raise ValueError(f"cannot paint {path}: its colours must be srgb, got {file.color_space}")
    size = scaled(_painted_size(file), longest)
    background = file.background or (_WHITE,) * channels
    return Painting(file.strokes, file.canvas, background, size, file.metadata)


def shown(painting: Painting, path: Path, device: str, weights: Path | None) -> Painting:
    """The painting on a device, and with the neural painter that shows its strokes where they are actions."""
    strokes = painting.strokes.to(device)
    if not isinstance(strokes, ActionStrokes):
        return replace(painting, strokes=strokes)
    painter = painter_of(painting.metadata, path, weights, device)
    return replace(painting, strokes=strokes.to(painter.dtype), painter=painter)


def _painted_size(file: StrokeFile) -> tuple[int, int]:
    """(H, W) of the picture that was painted along with the strokes, where that is recorded."""
    size = file.metadata.get("size")
    if isinstance(size, list) and len(size) == 2 and all(type(side) is int and side > 0 for side in size):
        return size[0], size[1]
    return file.canvas
