"""Fails where the built library has instructions of AVX2 or AVX-512 outside the functions meant for CPUs with them.

Where two files compile one inline function under one name, each for its own instruction set, the linker keeps either,
and a call of it is fatal on a CPU that lacks its instructions. So each instruction set has its own namespace
(csrc/README.md); this reads the machine code.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter

# The namespaces avx2 and avx512 as they stand in mangled names.
NAMESPACES = {"AVX2": "4avx2", "AVX-512": "6avx512"}

FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
# Registers that only AVX-512 has; and instructions on vectors that SSE has not: their names start with v.
AVX512 = re.compile(r"%zmm|%k[0-7]|%[xy]mm(1[6-9]|2\d|3[01])")
AVX = re.compile(r"^v(?!err|erw)")


def needed_set(instruction: str) -> str | None:
    if AVX512.search(instruction):
        return "AVX-512"
    return "AVX2" if AVX.search(instruction) else None


def main(library: str) -> None:
    command = ["objdump", "--disassemble", "--no-show-raw-insn", library]
    disassembly = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used: Counter[tuple[str, str]] = Counter()
    function = ""
    for line in disassembly.splitlines():
        if start := FUNCTION.match(line):
            function = start[1]
        elif "\t" in line and (wanted := needed_set(line.split("\t", 1)[1])):
            used[function, wanted] += 1

    allowed, faults = Counter[str](), []
    for (function, wanted), count in sorted(used.items()):
        home = next((name for name, namespace in NAMESPACES.items() if namespace in function), None)
        if home is None or (home == "AVX2" and wanted == "AVX-512"):
            faults.append(f"{function}: {count} instructions of {wanted}")
        else:
            allowed[home] += 1
    for name in NAMESPACES:
        if not allowed[name]:
            raise SystemExit(f"{library} must hold functions for {name} and their symbols, found none")
    if faults:
        raise SystemExit("\n".join(faults))
    print("no instruction of AVX2 or AVX-512 outside their own functions")


main(*sys.argv[1:])
