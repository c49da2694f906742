"""Fails where a CUDA kernel of the built library spills, takes more than 128 registers, shuffles more than it may, or
is missing for an architecture."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections import Counter
from pathlib import Path

# Two blocks of 256 threads fill the register file of a multiprocessor.
MAX_REGISTERS = 128

# Double precision, which is there to check gradients, may have what an instruction can name.
DOUBLE = re.compile(r"_kernelId")
MAX_REGISTERS_DOUBLE = 255

# Shuffle instructions that a kernel may hold, on any architecture, by a part of its name.
# The backward pass of `paint` sums 16 numbers of a stroke's gradient in 16 of them; the others are those of the list of
# strokes and of the deepest stroke.
MAX_SHUFFLES: dict[str, int] = {"paint_backward_kernelIf": 27, "paint_kernelIf": 6}

# What a build must hold, the last one as PTX too, for GPUs to come. Newer versions of nvcc may add others.
ARCHITECTURES = ("sm_75", "sm_80", "sm_90", "sm_100", "sm_120")

# The architecture whose kernels are listed.
LISTED = "sm_90"

# As cuobjdump prints them, in this order: the architecture once, then each of its kernels.
USAGE = re.compile(
    r"^arch = (?P<arch>\w+)$"
    r"|^ Function (?P<kernel>\S+):\n  REG:(?P<reg>\d+) STACK:(?P<stack>\d+).* LOCAL:(?P<local>\d+)",
    re.MULTILINE,
)
SASS = re.compile(r"^\s*code for (?P<arch>\w+)$|^\s*Function : (?P<kernel>\S+)$|\s(?P<shuffle>SHFL)\.", re.MULTILINE)
PTX = re.compile(r"^PTX file.*\.(?P<arch>sm_\w+)\.ptx$", re.MULTILINE)

Kernel = tuple[str, str]  # architecture, name


def cuobjdump(*arguments: str) -> str:
    """What it prints; it is found on PATH or, with the nvdisasm that it starts for SASS, among Python's packages."""
    packaged = [str(path) for path in sorted(Path(sysconfig.get_path("purelib")).glob("nvidia/cu*/bin"))]
    path = os.pathsep.join([os.environ["PATH"], *packaged])
    for program, package in (("cuobjdump", "nvidia-cuda-cuobjdump"), ("nvdisasm", "nvidia-cuda-nvdisasm")):
        if shutil.which(program, path=path) is None:
            raise SystemExit(f"{program} must be on PATH or come from the package {package}, found neither")
    command = [str(shutil.which("cuobjdump", path=path)), *arguments]
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def resources(library: str) -> dict[Kernel, tuple[int, int]]:
    """Registers, and bytes of local memory, of every kernel."""
    arch, found = "", {}
    for line in USAGE.finditer(cuobjdump("--dump-resource-usage", library)):
        if line["arch"]:
            arch = line["arch"]
        else:
            found[arch, line["kernel"]] = int(line["reg"]), int(line["stack"]) + int(line["local"])
    return found


def shuffles(library: str) -> Counter[Kernel]:
    """Shuffle instructions of every kernel; of one that has none, 0."""
    arch, kernel, found = "", "", Counter[Kernel]()
    for line in SASS.finditer(cuobjdump("--dump-sass", library)):
        arch = line["arch"] or arch
        kernel = line["kernel"] or kernel
        if not line["arch"]:
            found[arch, kernel] += line["shuffle"] is not None
    return found


def missing(library: str, kernels: set[str], found: dict[Kernel, tuple[int, int]]) -> list[str]:
    faults = [f"{arch} {name}: missing" for arch in ARCHITECTURES for name in kernels if (arch, name) not in found]
    if ARCHITECTURES[-1] not in PTX.findall(cuobjdump("--list-ptx", library)):
        faults.append(f"{ARCHITECTURES[-1]}: no PTX")
    return faults


def limit_of(kernel: str) -> int:
    return MAX_REGISTERS_DOUBLE if DOUBLE.search(kernel) else MAX_REGISTERS


def main(library: str) -> None:
    found = resources(library)
    if not found:
        raise SystemExit(f"{library} must hold CUDA kernels, got none")
    counted = shuffles(library)
    kernels = {name for _, name in found}
    faults = missing(library, kernels, found)
    for (arch, name), (registers, spilled) in found.items():
        if (arch, name) not in counted:
            faults.append(f"{arch} {name}: no machine code")
        if registers > limit_of(name) or spilled:
            faults.append(f"{arch} {name}: {registers} registers, {spilled} bytes of local memory")
        for part, limit in MAX_SHUFFLES.items():
            if part in name and counted[arch, name] > limit:
                faults.append(f"{arch} {name}: {counted[arch, name]} shuffles, {limit} allowed")
        if arch == LISTED:
            print(f"{arch} {name}: {registers} registers, {counted[arch, name]} shuffles")
    faults += [f"no kernel is named {part}" for part in MAX_SHUFFLES if not any(part in name for name in kernels)]
    if faults:
        raise SystemExit("\n".join(sorted(faults)))
    count = f"{len(found)} kernels (functions times architectures)"
    print(f"{count}: none is missing, none spills, none takes too many registers")


main(*sys.argv[1:])
