"""Which backends can run here, and the one rule that picks."""

from __future__ import annotations

import importlib.util
import os
import platform
from typing import Any

import torch

from neural_paint import _C

_DISPATCH_KEYS = {"cpu": "CPU", "cuda": "CUDA"}


def _devices_with_kernel() -> dict[str, frozenset[str]]:
    """For each operator of the library, the device types that it holds a kernel for."""
    names = [name for name in torch._C._dispatch_get_all_op_names() if name.startswith("neural_paint::")]
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    return {
        name.removeprefix("neural_paint::"): frozenset(d for d, key in _DISPATCH_KEYS.items() if has_kernel(name, key))
        for name in names
    }


# Fixed when the library was loaded; read once, so that torch.compile sees a constant.
_KERNELS = _devices_with_kernel()


def _has_kernel(device: torch.device | str, op: str) -> bool:
    return torch.device(device).type in _KERNELS.get(op, ())


# Operators with a Triton kernel, which computes in float32.
_TRITON_OPS = frozenset({"composite_patches", "decode_strokes", "paint", "stroke_mask"})
_HAS_TRITON = importlib.util.find_spec("triton") is not None
# Triton reads this when a kernel is defined: run it in Python, on any device, for tests.
_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


def _has_triton(device: torch.device | str, op: str, dtype: torch.dtype) -> bool:
    there = torch.device(device).type in (("cuda", "cpu") if _INTERPRETED else ("cuda",))
    return _HAS_TRITON and there and op in _TRITON_OPS and dtype == torch.float32


def available(device: torch.device | str, op: str = "paint", dtype: torch.dtype = torch.float32) -> list[str]:
    """Backends that can run `op` on `device` here for strokes of `dtype`, the preferred one first.

    "cpp" is the compiled library: on the CPU, and on CUDA where it was built with the kernel. "triton" is there on CUDA
    where Triton is installed, in float32; for tensors of the CPU, last, only under TRITON_INTERPRET=1. "reference" is
    plain PyTorch, anywhere.
    """
    found = ["cpp"] if _has_kernel(device, op) else []
    if _has_triton(device, op, dtype):
        slow = torch.device(device).type == "cpu"
        return [*found, "reference", "triton"] if slow else [*found, "triton", "reference"]
    return [*found, "reference"]


def pick(backend: str | None, device: torch.device | str, op: str = "paint", dtype: torch.dtype = torch.float32) -> str:
    """The backend that runs `op` on `device` for strokes of `dtype`: the one asked for, else the first of `available`.

    Raises:
        ValueError: if `backend` cannot run here.
    """
    if backend is None and _has_kernel(device, op):
        return "cpp"
    choices = available(device, op, dtype)
    if backend is None:
        return choices[0]
    if backend not in choices:
        what = op if dtype == torch.float32 else f"{op} in {str(dtype).removeprefix('torch.')}"
        raise ValueError(f"backend must be one of {choices} for {what} on {torch.device(device)}, got {backend!r}")
    return backend


def instruction_set() -> str:
    """The CPU kernels' instruction set in use: "baseline", "avx2" or "avx512" on x86-64, "neon" on aarch64."""
    return _C.instruction_sets.split(",")[torch.ops.neural_paint.use_instruction_set(-1)]


def info() -> dict[str, Any]:
    """What `neural-paint info` prints: versions, kernels, threads, devices."""
    from neural_paint import __version__

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    devices = ["cpu", *(["cuda"] if gpus else [])]
    return {
        "neural_paint": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "backends": {device: available(device) for device in devices},
        "cuda_kernels": sorted(op for op, held in _KERNELS.items() if "cuda" in held),
        "cuda_architectures": [f"sm_{number}" for number in _C.cuda_architectures.split(",") if number],
        "instruction_set": instruction_set(),
        "threads": torch.get_num_threads(),
        "devices": ["cpu", *(f"cuda:{i} ({name})" for i, name in enumerate(gpus))],
    }
