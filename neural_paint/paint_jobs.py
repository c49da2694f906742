"""Which files a run of `neural-paint paint` writes for each photograph."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from neural_paint.finished_work import Files


@dataclass(frozen=True)
class Job:
    """A photograph, and the files that its painting goes to."""

    photo: Path
    files: Files


def plan_jobs(
    photos: Sequence[Path], output: str, save: str | None, video: str | None, tool: Path | None = None
) -> list[Job]:
    """Name the files of each photograph, and make the folder that they go to.

    Args:
        output: the painting, or a folder: one that exists, ends in a slash, or is given for several photographs.
            Paintings in a folder are called as the photographs are, with the ending .png.
        save: the stroke file, or only its ending, such as ".json": it is called as the painting is then.
        video: the same for the video.
        tool: the file of the brush or the neural painter, where there is one.

    Raises:
        ValueError: an ending is not known, one file is given for several photographs, or an output is a photograph, the
            brush, the neural painter or the output of another photograph.
        OSError: the folder cannot be made.
    """
    several = len(photos) > 1
    in_folder = several or os.path.isdir(output) or output.endswith(("/", os.sep))
    if several and Path(output).suffix and not os.path.isdir(output):
        raise ValueError(f"--output must be a folder for several photographs, got {output}")
    jobs = []
    for photo in photos:
        picture = Path(output) / f"{photo.stem}.png" if in_folder else Path(output)
        jobs.append(Job(photo, Files(picture, beside(picture, save), beside(picture, video))))
    for option, text, example in (("--save", save, ".json"), ("--video", video, ".mp4")):
        if several and text is not None and not _is_ending(text):
            raise ValueError(f"{option} must be only an ending for several photographs, such as {example}, got {text}")
    _check_names(jobs, tool)
    if in_folder:
        Path(output).mkdir(parents=True, exist_ok=True)
    return jobs


def check_unlike(path: Path, files: Mapping[Path, str]) -> None:
    """ValueError where `path`, which is to be written, is one of these files, which say what they are."""
    for file, what in files.items():
        if os.path.realpath(path) == os.path.realpath(file):
            raise ValueError(f"cannot write {path}: it is {what}")


def _is_ending(text: str) -> bool:
    return text.startswith(".") and text == os.path.basename(text) and text.count(".") == 1


def beside(picture: Path, text: str | None) -> Path | None:
    """The file that `text` names; called as the picture is, where it is only an ending."""
    if text is None:
        return None
    return picture.with_suffix(text) if _is_ending(text) else Path(text)


def _check_names(jobs: Sequence[Job], tool: Path | None) -> None:
    for job in jobs[:1]:
        job.files.check_endings()
    photos = {os.path.realpath(job.photo) for job in jobs}
    taken: set[str] = set()
    for path in (path for job in jobs for path in job.files.outputs):
        real = os.path.realpath(path)
        if real in photos:
            raise ValueError(f"cannot write {path}: it is the photograph")
        if tool is not None and real == os.path.realpath(tool):
            raise ValueError(f"cannot write {path}: it is the brush or the painter")
        if real in taken:
            raise ValueError(f"cannot write {path}: two photographs would be painted to it")
        taken.add(real)
