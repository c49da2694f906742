"""Compiles programs of tests/emulator with sanitizers, runs them, and hands arrays over, in the format of arrays.h.

A program is compiled to find one kind of fault: "memory" (AddressSanitizer and UBSan) or "races" (ThreadSanitizer).
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
FLAGS = ["-std=c++20", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-fno-omit-frame-pointer"]
SANITIZERS = {
    "memory": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    "races": ["-fsanitize=thread"],
}
# Exit status of a program in which ThreadSanitizer found a race.
RACE = 66
INCLUDES = [f"-I{HERE}", f"-I{HERE.parents[1] / 'csrc'}"]


def why_not(finds: str, folder: Path) -> str | None:
    """Why programs that find such faults cannot be compiled and run here, or None."""
    program = folder / f"probe_{finds}"
    try:
        compile_command = ["g++", *SANITIZERS[finds], "-x", "c++", "-", "-o", str(program)]
        subprocess.run(compile_command, input="int main() {}", capture_output=True, text=True, check=True)
        subprocess.run([program], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"needs g++ with {' '.join(SANITIZERS[finds])}: {error}"
    return None


def compile_program(source: str, finds: str, folder: Path) -> Path:
    """The executable, in `folder`, of a C++ source in tests/emulator."""
    program = folder / f"{Path(source).stem}_{finds}"
    subprocess.run(["g++", *FLAGS, *SANITIZERS[finds], *INCLUDES, str(HERE / source), "-o", str(program)], check=True)
    return program


def run_program(program: Path, *arguments: str | Path, seed: int = 0) -> subprocess.CompletedProcess[str]:
    """Runs it, with the threads of a block in the order that `seed` gives, and does not check whether it succeeds."""
    environment = {**os.environ, "EMULATOR_SEED": str(seed), "UBSAN_OPTIONS": "print_stacktrace=1"}
    environment["TSAN_OPTIONS"] = f"halt_on_error=1:exitcode={RACE}"
    command = [str(program), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def run_with_arrays(program: Path, folder: Path, seed: int = 0, **arrays: np.ndarray) -> dict[str, np.ndarray]:
    """What `program FILE_IN FILE_OUT` makes of the arrays; fails where the program does."""
    save_arrays(folder / "in.arrays", **arrays)
    done = run_program(program, folder / "in.arrays", folder / "out.arrays", seed=seed)
    assert done.returncode == 0, done.stderr
    return load_arrays(folder / "out.arrays")


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    with open(path, "wb") as file:
        for name, array in arrays.items():
            words = [name, str(array.dtype), *map(str, array.shape)]
            file.write((" ".join(words) + "\n").encode())
            file.write(array.tobytes())


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    arrays = {}
    with open(path, "rb") as file:
        while line := file.readline():
            name, dtype, *extents = line.decode().split()
            shape = tuple(map(int, extents))
            values = file.read(int(np.prod(shape, dtype=int)) * np.dtype(dtype).itemsize)
            arrays[name] = np.frombuffer(values, dtype).reshape(shape).copy()
    return arrays
