"""`neural-paint paint`: everything around the painter, so that no finished work is lost."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from torch import Tensor

from neural_paint import __version__
from neural_paint.io import ImageError, load_image, save_image, save_strokes
from neural_paint.io.atomic import check_writable
from neural_paint.io.images import image_format
from neural_paint.io.photo_info import photo_info
from neural_paint.progress import Progress
from neural_paint.tasks import Step, reconstruct, render

_STROKE_SUFFIXES = (".safetensors", ".json")


@dataclass(frozen=True)
class PaintOptions:
    """The options of `neural-paint paint`, each within its range."""

    photo: Path
    output: Path
    save: Path | None
    strokes: int
    steps: int | None
    seconds: float | None
    size: int | None
    fit: int
    seed: int
    device: str


def paint_photo(options: PaintOptions) -> int:
    """Paint a photograph, write the painting, and return the exit status.

    Raises:
        ImageError, OSError: before the work starts, with a message of one sentence.
    """
    info = photo_info(options.photo)
    size = _scaled((info.height, info.width), options.size)
    _check_outputs(options, size)
    if info.frames > 1:
        _say(f"{options.photo} has {info.frames} frames, the first is painted")
    # A canvas finer than the photograph would have nothing more to show.
    photo = load_image(options.photo, size=min(options.fit, max(info.height, info.width)))

    begun = time.perf_counter()
    with _stop_signals() as received:
        step = _optimise(photo.to(options.device), options, received)
    seconds = time.perf_counter() - begun
    if received:
        _say(f"stopped by {signal.Signals(received[0]).name}, writing the painting as it is")
    written = _write(step, options, size)
    if not written:
        return 1
    height, width = step.canvas.shape[2:]
    print(
        f"{' and '.join(written)}: {size[1]} x {size[0]} pixels, {step.strokes.num_strokes} strokes, "
        f"{step.index + 1} steps, {step.psnr:.2f} dB at {width} x {height}, {seconds:.1f} s"
    )
    return 128 + received[0] if received else 0


def _say(message: str) -> None:
    print(f"neural-paint: {message}", file=sys.stderr)


def _scaled(size: tuple[int, int], longest: int | None) -> tuple[int, int]:
    if longest is None:
        return size
    height, width = (max(1, round(side * longest / max(size))) for side in size)
    return height, width


def _check_outputs(options: PaintOptions, size: tuple[int, int]) -> None:
    """Refuse now what could not be written later."""
    name, _, longest = image_format(options.output)
    if max(size) > longest:
        raise ImageError(f"cannot write {options.output}: {name} holds {longest} pixels a side, got {max(size)}")
    if options.save is not None and options.save.suffix.lower() not in _STROKE_SUFFIXES:
        raise ImageError(f"cannot write {options.save}: the name must end in one of {', '.join(_STROKE_SUFFIXES)}")
    for path in filter(None, (options.output, options.save)):
        if check_writable(path) == Path(os.path.realpath(options.photo)):
            raise ImageError(f"cannot write {path}: it is the photograph")


@contextlib.contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """A list that takes up the first SIGINT or SIGTERM; a second one acts as it does otherwise."""
    received: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        restore()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    try:
        yield received
    finally:
        restore()


def _optimise(photo: Tensor, options: PaintOptions, received: list[int]) -> Step:
    painter = reconstruct(photo, options.strokes, steps=options.steps, seconds=options.seconds, seed=options.seed)
    with Progress(sys.stderr) as progress:
        for step in painter:
            progress.show(step)
            if received:
                break
    return step


def _write(step: Step, options: PaintOptions, size: tuple[int, int]) -> list[str]:
    """Write the painting and the strokes; what cannot be written where it was asked for goes elsewhere.

    Returns the files written as asked, none if any failed.
    """
    canvas = tuple(step.canvas.shape[2:])
    background = step.background[0].tolist()

    def write_painting(path: Path) -> None:
        save_image(path, render(step.strokes, canvas, background, size))

    def write_strokes(path: Path) -> None:
        metadata = _metadata(step, options)
        save_strokes(path, step.strokes, canvas=canvas, background=background, metadata=metadata)

    # The strokes first: they are small, and the painting can be made from them again.
    wanted: list[tuple[Path, Callable[[Path], None]]] = [(options.output, write_painting)]
    if options.save is not None:
        wanted.insert(0, (options.save, write_strokes))
    problems = [problem for path, write in wanted if (problem := _attempt(write, path))]
    if not problems:
        return [str(path) for path in (options.output, options.save) if path is not None]
    rescued = _rescue([(options.output.name, write_painting), ("strokes.safetensors", write_strokes)])
    where = f"the work is in {' and '.join(rescued)}" if rescued else "it could not be written elsewhere either"
    _say(f"{'; '.join(problems)}; {where}")
    return []


def _attempt(write: Callable[[Path], None], path: Path) -> str | None:
    """Why `path` could not be written, or None."""
    try:
        write(path)
    except (OSError, ValueError, MemoryError, RuntimeError) as error:  # torch reports a lack of memory as RuntimeError
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return reason if str(path) in reason else f"cannot write {path}: {reason.splitlines()[0]}"
    return None


def _rescue(files: list[tuple[str, Callable[[Path], None]]]) -> list[str]:
    """Write files to a new folder among the temporary ones, or in the current one; returns those that succeeded."""
    saved: dict[str, str] = {}
    for parent in (tempfile.gettempdir(), os.getcwd()):
        try:
            folder = Path(tempfile.mkdtemp(prefix="neural-paint-", dir=parent))
        except OSError:
            continue
        for name, write in files:
            if name not in saved and _attempt(write, folder / name) is None:
                saved[name] = str(folder / name)
        with contextlib.suppress(OSError):
            folder.rmdir()  # only where it stayed empty
    return list(saved.values())


def _metadata(step: Step, options: PaintOptions) -> dict[str, Any]:
    return {
        "program": f"neural-paint {__version__}",
        "photo": options.photo.name,
        "seed": options.seed,
        "steps": step.index + 1,
        "psnr": round(step.psnr, 3),
    }
