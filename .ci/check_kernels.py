"""Fails where a CUDA kernel of the built library spills or takes more than 128 registers."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

# Two blocks of 256 threads fill the register file of a multiprocessor.
MAX_REGISTERS = 128

# As cuobjdump prints them, in this order: the architecture once, then each of its kernels.
LINE = re.compile(
    r"^arch = (?P<arch>\w+)$"
    r"|^ Function (?P<kernel>\S+):\n  REG:(?P<reg>\d+) STACK:(?P<stack>\d+).* LOCAL:(?P<local>\d+)",
    re.MULTILINE,
)


def find_cuobjdump() -> str:
    packaged = sorted(Path(sysconfig.get_path("purelib")).glob("nvidia/cu*/bin/cuobjdump"))
    found = shutil.which("cuobjdump") or (str(packaged[-1]) if packaged else None)
    if found is None:
        raise SystemExit("cuobjdump must be on PATH or come from the package nvidia-cuda-cuobjdump, found neither")
    return found


def main(library: str) -> None:
    command = [find_cuobjdump(), "--dump-resource-usage", library]
    usage = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    arch, kernels, faults = "", 0, []
    for line in LINE.finditer(usage):
        if line["arch"]:
            arch = line["arch"]
            continue
        kernels += 1
        registers, spilled = int(line["reg"]), int(line["stack"]) + int(line["local"])
        if registers > MAX_REGISTERS or spilled:
            faults.append(f"{arch} {line['kernel']}: {registers} registers, {spilled} bytes of local memory")
    if not kernels:
        raise SystemExit(f"{library} must hold CUDA kernels, got none")
    if faults:
        raise SystemExit("\n".join(faults))
    print(f"{kernels} kernels (functions times architectures): none spills, none takes over {MAX_REGISTERS} registers")


main(*sys.argv[1:])
