"""Finished paintings and the files that were asked for: none is lost where a file cannot be written."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from neural_paint.io.atomic import check_writable
from neural_paint.io.paintings import check_picture
from neural_paint.io.strokes import stroke_suffix
from neural_paint.io.video import check_video
from neural_paint.painting_files import Painting, VideoOptions
from neural_paint.progress import listed, reason, say

# What a full disk, a lack of memory (torch reports it as RuntimeError) and a bad file raise.
FAILURES = (OSError, ValueError, MemoryError, RuntimeError)


@dataclass(frozen=True)
class Files:
    """The files that a painting, its strokes, its video and that of its optimisation are written to."""

    picture: Path
    strokes: Path | None
    video: Path | None
    bloom: Path | None = None

    @property
    def videos(self) -> list[Path]:
        return [path for path in (self.video, self.bloom) if path is not None]

    @property
    def outputs(self) -> list[Path]:
        return [self.picture, *([] if self.strokes is None else [self.strokes]), *self.videos]

    def check_endings(self) -> None:
        """ImageError or ValueError where one is not known."""
        check_picture(self.picture, (1, 1))
        if self.strokes is not None:
            stroke_suffix(self.strokes)
        for path in self.videos:
            check_video(path, (1, 1))

    def check(self, size: tuple[int, int], video: VideoOptions) -> None:
        """Refuse now what could not be written later, of a painting of (H, W) pixels.

        Raises:
            ImageError, OSError: with a message of one sentence.
        """
        check_picture(self.picture, size)
        for path in self.videos:
            video.frame_size(path, size)
        for path in self.outputs:
            check_writable(path)


def write_painting(painting: Painting, files: Files, video: VideoOptions) -> tuple[int, list[Path]]:
    """Write a painting's files, the video last; returns the exit status and the files that were written as asked.

    What cannot be written where it was asked for goes elsewhere.
    """
    # The strokes first: they are small, and everything else can be made from them again.
    wanted = [(files.strokes, painting.save_strokes), (files.picture, painting.save)]
    written: list[Path] = []
    try:
        problems = [attempt(write, path, written) for path, write in wanted if path is not None]
    except KeyboardInterrupt:
        rescued = "" if files.strokes in written else f"; {_rescue([('strokes.safetensors', painting.save_strokes)])}"
        say(f"interrupted before {files.picture} was written{rescued}")
        return 130, []
    if any(problems):
        everything = [(files.picture.name, painting.save), ("strokes.safetensors", painting.save_strokes)]
        say(f"{'; '.join(filter(None, problems))}; {_rescue(everything)}")
        return 1, []
    written.reverse()
    return _write_videos(painting, files, video, written), written


def _write_videos(painting: Painting, files: Files, video: VideoOptions, written: list[Path]) -> int:
    """The exit status; `written` takes up the videos."""
    problems = []
    for path, save in ((files.video, painting.save_video), (files.bloom, painting.save_bloom)):
        if path is None:
            continue
        try:
            problems.append(attempt(partial(save, options=video), path, written))
        except KeyboardInterrupt:
            say(f"interrupted before {path} was written")
            return 130
    if any(problems):
        rescued = "" if files.strokes in written else f"; {_rescue([('strokes.safetensors', painting.save_strokes)])}"
        say(f"{'; '.join(filter(None, problems))}{rescued}")
    return int(any(problems))


def attempt(write: Callable[[Path], None], path: Path, written: list[Path]) -> str | None:
    """Why `path` could not be written; None where it was, and is in `written` now."""
    try:
        write(path)
    except FAILURES as error:
        text = reason(error)
        return text if str(path) in text else f"cannot write {path}: {text}"
    written.append(path)
    return None


def _rescue(files: Sequence[tuple[str, Callable[[Path], None]]]) -> str:
    """Write files to a new folder among the temporary ones, or in the current one; says where they are."""
    saved: list[Path] = []
    for parent in (tempfile.gettempdir(), os.getcwd()):
        try:
            folder = Path(tempfile.mkdtemp(prefix="neural-paint-", dir=parent))
        except OSError:
            continue
        for name, write in files:
            if name not in [path.name for path in saved]:
                attempt(write, folder / name, saved)
        with contextlib.suppress(OSError):
            folder.rmdir()  # only where it stayed empty
    return f"the work is in {listed(saved)}" if saved else "it could not be written elsewhere either"
