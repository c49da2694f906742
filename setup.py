"""Builds neural_paint._C: one library with the CPU kernels and, where nvcc is found, the CUDA kernels.

Its binding uses the LibTorch stable ABI, so one build runs on torch 2.10 and later, with or without CUDA.
NEURAL_PAINT_CUDA=1 demands the CUDA kernels, =0 leaves them out; by default they follow nvcc, never a GPU.

And neural_paint._mypaint, which opens libmypaint when it is used: building needs nothing of it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pybind11
import torch
from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.modified import newer_group

ROOT = Path(__file__).resolve().parent
TORCH = Path(torch.__file__).resolve().parent

# Turing: the oldest architecture that is compiled for. Of the later ones, every major one that nvcc knows.
OLDEST = 75

FLAGS = [
    *("-O3", "-std=c++20", f"-I{ROOT / 'csrc'}", "-isystem", str(TORCH / "include")),
    "-DTORCH_TARGET_VERSION=0x020a000000000000",  # torch 2.10
]
HOST_FLAGS = [
    *("-fPIC", "-fvisibility=hidden", "-Wall", "-Wno-psabi"),
    # No -ffast-math and no -march=native: results must not depend on the machine that built the library.
    *("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"),
]
# libtorch is linked for what it depends on, torch_cuda; as no symbol of its own is used, the linker would drop it.
KEEP = ["-Wl,--no-as-needed", "-Wl,--exclude-libs,ALL"] if sys.platform == "linux" else []
LINK_FLAGS = [*KEEP, "-ltorch", "-ltorch_cpu"]


def find_nvcc() -> str | None:
    """The nvcc to use, or None for a library of CPU kernels."""
    wanted = os.environ.get("NEURAL_PAINT_CUDA", "")
    if wanted not in ("", "0", "1"):
        raise SystemExit(f"NEURAL_PAINT_CUDA must be 0 or 1, got {wanted!r}")
    # torch's CUDA functions are found by weak symbols, which only ELF has.
    if wanted == "0" or sys.platform != "linux":
        return None
    home = os.environ.get("CUDA_HOME")
    nvcc = shutil.which("nvcc", path=os.path.join(home, "bin") if home else None)
    if wanted == "1" and nvcc is None:
        raise SystemExit("NEURAL_PAINT_CUDA=1 needs nvcc in CUDA_HOME/bin or on PATH, found none")
    return nvcc


class CudaToolkit:
    """What one nvcc knows and does: its libraries, its architectures, compiling an object."""

    def __init__(self, nvcc: str):
        self.nvcc = nvcc
        # Asked of the toolkit itself: the nvcc on PATH may be a link or a wrapper script.
        top = re.search(r"^#\$ TOP=(.+)$", self.ask("--dryrun", "-E", "-x", "cu", os.devnull), re.MULTILINE)
        self.libraries = str(Path(top[1]).resolve() / "lib64")
        known = {int(number) for number in re.findall(r"compute_(\d+)\b", self.ask("--list-gpu-arch"))}
        self.architectures = sorted(a for a in known if a == OLDEST or (a > OLDEST and a % 10 == 0))

    def ask(self, *arguments: str) -> str:
        answer = subprocess.run([self.nvcc, *arguments], capture_output=True, text=True, check=True)
        return answer.stdout + answer.stderr

    def compile(self, source: str, target: str) -> None:
        # Machine code for each architecture, and PTX of the newest for those to come.
        codes = [f"-gencode=arch=compute_{a},code=sm_{a}" for a in self.architectures]
        newest = f"compute_{self.architectures[-1]}"
        codes.append(f"-gencode=arch={newest},code={newest}")
        options = ["-DUSE_CUDA", "--expt-relaxed-constexpr", "--threads=0", f"-Xcompiler={','.join(HOST_FLAGS)}"]
        subprocess.run([self.nvcc, "-c", source, "-o", target, *FLAGS, *options, *codes], check=True)


class BuildLibrary(build_ext):
    """Compiles every source by itself, side by side, and links all objects into one library."""

    def build_extension(self, ext: Extension) -> None:
        if ext.name != "neural_paint._C":
            super().build_extension(ext)
            return
        nvcc = find_nvcc()
        cuda = CudaToolkit(nvcc) if nvcc else None
        sources = list(ext.sources)
        if cuda:
            sources += relative_paths("csrc/cuda/*.cu")
            ext.library_dirs.append(cuda.libraries)
            ext.libraries += ["cudart_static", "rt", "dl", "pthread"]
        with ThreadPoolExecutor(usable_cores()) as pool:
            ext.extra_objects = list(pool.map(lambda source: self.compile_source(source, ext, cuda), sources))
        # What is left to setuptools is the link, always: which objects there are may have changed.
        ext.sources, self.force = [], True
        super().build_extension(ext)

    def compile_source(self, source: str, ext: Extension, cuda: CudaToolkit | None) -> str:
        folder = os.path.join(self.build_temp, "cuda" if cuda else "cpu")
        target = os.path.join(folder, os.path.splitext(source)[0] + ".o")
        if not self.force and not newer_group([source, *ext.depends], target, "newer"):
            return target
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if source.endswith(".cu"):
            cuda.compile(source, target)
        else:
            architectures = ",".join(map(str, cuda.architectures)) if cuda else ""
            define = f'-DNEURAL_PAINT_CUDA_ARCHITECTURES="{architectures}"'
            self.compiler.compile([source], folder, extra_postargs=[*FLAGS, *HOST_FLAGS, define, "-g0"])
        return target


def usable_cores() -> int | None:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def relative_paths(pattern: str) -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern))


setup(
    packages=[*find_packages(include=["neural_paint", "neural_paint.*"]), "neural_paint.kernels"],
    package_dir={"neural_paint.kernels": "kernels"},
    package_data={"neural_paint": ["py.typed", "*.pyi", "data/*", "data/painters/*", "data/agents/*"]},
    ext_modules=[
        Extension(
            "neural_paint._mypaint",
            sources=["csrc/mypaint.cpp"],
            depends=["setup.py", *relative_paths("csrc/mypaint*.h")],
            include_dirs=[pybind11.get_include()],
            extra_compile_args=["-O3", "-std=c++20", "-fvisibility=hidden", "-Wall", "-g0"],
            libraries=["dl"] if sys.platform == "linux" else [],
            language="c++",
        ),
        Extension(
            "neural_paint._C",
            sources=["csrc/ops.cpp", *relative_paths("csrc/cpu/*.cpp")],
            depends=["setup.py", *relative_paths("csrc/**/*.h"), *relative_paths("csrc/**/*.cuh")],
            library_dirs=[str(TORCH / "lib")],
            extra_link_args=LINK_FLAGS,
            language="c++",
        ),
    ],
    cmdclass={"build_ext": BuildLibrary},
)
