"""The command line as its tests call it."""

from __future__ import annotations

import pytest

from neural_paint.cli import main

QUICK = ("--strokes", "12", "--steps", "6", "--fit", "32")


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main([str(argument) for argument in arguments])
    return status, *capsys.readouterr()


def fails(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that a failing command says."""
    status, out, err = run(capsys, *arguments)
    assert status in (1, 2)
    assert out == ""
    assert err.startswith("neural-paint: ") and err.endswith("\n") and err.count("\n") == 1
    return err
