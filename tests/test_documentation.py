"""What the documentation shows works: examples run, and links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from neural_paint import mypaint
from neural_paint.io import save_image

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "csrc" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def _examples(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.+?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


# Those that need no GPU; each example leaves a file. Weights that were published are not there.
SHOWN = (
    *("agents", "decode_strokes", "mypaint", "neural_painters", "painter", "patches", "perception", "sketch"),
    *("stylize", "visualize"),
)
EXAMPLES = [
    pytest.param(example, id=f"{page.name}-{i}")
    for page in (ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in SHOWN))
    for i, example in enumerate(_examples(page))
    if "load_painter(" not in example
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_run(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if ".mp4" in example:
        pytest.importorskip("av")
    if "import mypaint" in example and not mypaint.available():
        pytest.skip("libmypaint is not installed")
    monkeypatch.chdir(tmp_path)
    picture = torch.ones(1, 3, 90, 70)
    picture[..., 20:70, 30:40] = 0
    save_image("seven.png", picture)
    exec(compile(example, "example", "exec"), {})
    assert len(list(tmp_path.iterdir())) > 1


@pytest.mark.gpu
def test_examples_of_the_page_on_gpus_run() -> None:
    for example in _examples(ROOT / "docs" / "gpu.md"):
        exec(compile(example, "gpu.md", "exec"), {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
