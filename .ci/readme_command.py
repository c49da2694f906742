"""Prints the fenced block after `<!-- ci:NAME -->` of the README, so that CI runs what the README says."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def main(readme: str, name: str) -> None:
    text = Path(readme).read_text(encoding="utf-8")
    blocks = re.findall(rf"^<!-- ci:{name} -->\n+```\w*\n(.+?)\n```$", text, re.MULTILINE | re.DOTALL)
    if len(blocks) != 1:
        raise SystemExit(f"{readme} must hold one fenced block after <!-- ci:{name} -->, got {len(blocks)}")
    print(blocks[0])


main(*sys.argv[1:])
