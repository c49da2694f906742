from __future__ import annotations

import importlib.metadata
import importlib.resources
import platform

import torch

import neural_paint
import neural_paint.kernels
from neural_paint import _C, backends


def test_version_is_the_distribution_s() -> None:
    assert importlib.metadata.version("neural-paint") == neural_paint.__version__


def test_package_is_typed() -> None:
    assert importlib.resources.files("neural_paint").joinpath("py.typed").is_file()


def test_every_operator_has_a_cpu_kernel_and_a_fake() -> None:
    schemas = [schema for schema in torch._C._jit_get_all_schemas() if schema.name.startswith("neural_paint::")]
    operators = [schema.name for schema in schemas if any("Tensor" in str(x.type) for x in schema.arguments)]
    fused = ("paint", "composite_patches", "decode_strokes", "stroke_mask")
    twofold = (f"{op}{backend}" for op in fused for backend in ("", "_triton"))
    names = ["stroke_bounds", *(f"{op}{direction}" for op in twofold for direction in ("", "_backward"))]
    assert sorted(operators) == sorted(f"neural_paint::{name}" for name in names)
    for name in operators:
        assert torch._C._dispatch_has_computed_kernel_for_dispatch_key(name, "CPU"), name
        assert torch._library.simple_registry.singleton.find(name).fake_impl.kernel is not None, name


def test_info_names_what_runs_here() -> None:
    info = backends.info()
    assert info["neural_paint"] == neural_paint.__version__
    assert info["torch"] == torch.__version__
    assert info["backends"]["cpu"][:2] == ["cpp", "reference"]
    assert bool(info["cuda_kernels"]) == bool(info["cuda_architectures"])
    lowest = "neon" if platform.machine() in ("aarch64", "arm64") else "baseline"
    assert _C.instruction_sets.split(",")[0] == lowest
    assert info["instruction_set"] in _C.instruction_sets.split(",")
    assert info["threads"] == torch.get_num_threads()
