"""Compiles every Triton kernel, the benchmarks' too, to machine code: python triton_cubins.py CAPABILITY..., such as
90. Needs no GPU, and benchmarks/ in PYTHONPATH.

A program of its own, since Triton decides between compiler and interpreter when a kernel is defined.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import gaussians
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

from neural_paint.kernels.bins import WINDOW, paint_bounds_kernel
from neural_paint.kernels.composite_patches import CHUNK as PATCH_CHUNK
from neural_paint.kernels.composite_patches import SEGMENTS, composite_patches_kernel
from neural_paint.kernels.composite_patches_backward import composite_patches_backward_kernel
from neural_paint.kernels.decode_strokes import BLOCK, decode_strokes_backward_kernel, decode_strokes_kernel
from neural_paint.kernels.exact_sum import round_kernel
from neural_paint.kernels.paint import CHUNK, paint_kernel
from neural_paint.kernels.paint_backward import paint_backward_kernel
from neural_paint.kernels.patch import patch_bounds_kernel
from neural_paint.kernels.scene import LAUNCH
from neural_paint.kernels.stroke_mask import stroke_mask_backward_kernel, stroke_mask_kernel
from neural_paint.kernels.tile import TILE
from neural_paint.stroke_vectors import KINDS, MyPaintBrush

# What is neither a whole number nor a tensor of float32, by name.
TYPES = {
    **dict.fromkeys(("texture_id", "patch_id", "sums", "ends", "place"), "*i64"),
    **dict.fromkeys(("evaluated", "touched", "tile_of", "listed", "ranges", "deepest"), "*i32"),
    "closing": "fp32",
}
NUMBERS = ("strokes", "channels", "height", "width", "background_step", "texture_height", "texture_width", "segments",
           "tiles", "color_values", "textures", "numbers", "count", "per_canvas", "columns", "rows", "pixels",
           "stroke_step", "channel_step", "row_step", "column_step", "d_channel_step", "d_column_step", "bank",
           "patch_height", "patch_width")  # fmt: skip
# Gradients are summed in floats or, deterministically, in digits.
DIGITS = {
    name: "*i64"
    for kernel in (paint_backward_kernel, composite_patches_backward_kernel)
    for name in kernel.arg_names
    if name.startswith("d_") and name != "d_background"
}

KERNELS = {
    "bounds": (paint_bounds_kernel, {}),
    "paint": (paint_kernel, {}),
    "backward": (paint_backward_kernel, {}),
    "deterministic backward": (paint_backward_kernel, DIGITS),
    "round": (round_kernel, {}),
    "mask": (stroke_mask_kernel, {}),
    "mask backward": (stroke_mask_backward_kernel, {}),
}
BLOCKS = {"TILE": TILE, "WINDOW": WINDOW, "CHUNK": CHUNK, "BLOCK": 64}
# Everything that a stroke can have.
CUBIC = dict(BLOCKS, D=4, CHORDS=8, STEPS=3, COLOR_ENDS=2, OPACITY_ENDS=2, TEXTURED=True, TEXTURE_GRADIENT=True,
             SAVE=True, LOGITS=True, CHANNELS=4)  # fmt: skip
# As little as it can have, on one pixel: Triton makes an argument of 1 a compile-time constant.
DAB = dict(BLOCKS, D=1, CHORDS=1, STEPS=0, COLOR_ENDS=1, OPACITY_ENDS=1, TEXTURED=False, TEXTURE_GRADIENT=False,
           SAVE=False, LOGITS=False, CHANNELS=1, **dict.fromkeys(NUMBERS, 1))  # fmt: skip

PATCH_KERNELS = {
    "patch bounds": (patch_bounds_kernel, {}),
    "composite_patches": (composite_patches_kernel, {}),
    "composite_patches backward": (composite_patches_backward_kernel, {}),
    "composite_patches deterministic backward": (composite_patches_backward_kernel, DIGITS),
}
PATCH_OPTIONS = ("SHARED", "COLORED", "HAS_OPACITY", "PATCHES_GRADIENT", "BACKGROUND_GRADIENT")
PATCH_BLOCKS = dict(BLOCKS, CHUNK=PATCH_CHUNK, SEGMENTS=SEGMENTS)
COLORS = dict(PATCH_BLOCKS, CHANNELS=4, **dict.fromkeys(PATCH_OPTIONS, True))
# More channels are for more warps.
PLAIN = dict(PATCH_BLOCKS, CHANNELS=16, **dict.fromkeys(PATCH_OPTIONS, False))
ALPHA = dict(PATCH_BLOCKS, CHANNELS=1, **dict.fromkeys(NUMBERS, 1), **dict.fromkeys(PATCH_OPTIONS, False))

VECTOR_KERNELS = {"decode_strokes": decode_strokes_kernel, "decode_strokes backward": decode_strokes_backward_kernel}
# A vector's canvas and the brush's constants.
VECTOR_TYPES = dict.fromkeys(("height", "width", "side", "ink", *MyPaintBrush._fields), "fp32")
VECTORS = {
    name: {"KIND": kind.code, "ENTRIES": kind.entries, "NUMBERS": kind.numbers, "BLOCK": BLOCK}
    for name, kind in KINDS.items()
}

# The opponent's kernels, and how many Gaussians each evaluates at once.
GAUSSIANS = {
    gaussians.count_kernel: 0,
    gaussians.list_kernel: 0,
    gaussians.rasterise_kernel: gaussians.BATCH,
    gaussians.rasterise_backward_kernel: gaussians.BACKWARD_BATCH,
}
OPPONENT = {"TILE": gaussians.TILE, "BLOCK": gaussians.BLOCK}


class Case(NamedTuple):
    """A kernel to compile; `types` are those that differ from TYPES."""

    name: str
    kernel: Any
    types: dict[str, str]
    constants: dict[str, Any]
    options: dict[str, Any]
    capability: str


def cases(capabilities: Sequence[str]) -> Iterator[Case]:
    first, *others = capabilities
    for capability, scene in (*product(capabilities, (CUBIC,)), (first, DAB)):
        for name, (kernel, types) in KERNELS.items():
            yield Case(f"{name} D={scene['D']}", kernel, types, scene, LAUNCH, capability)
    for capability, scene in ((first, ALPHA), *product(others, (COLORS,))):
        for name, (kernel, types) in PATCH_KERNELS.items():
            yield Case(f"{name} COLORED={scene['COLORED']}", kernel, types, scene, LAUNCH, capability)
    for name, (kernel, types) in PATCH_KERNELS.items():
        yield Case(f"{name} CHANNELS=16", kernel, types, PLAIN, {**LAUNCH, "num_warps": 8}, first)
    for (name, kernel), (kind, scene) in product(VECTOR_KERNELS.items(), VECTORS.items()):
        yield Case(f"{name} {kind}", kernel, VECTOR_TYPES, scene, LAUNCH, first)
    for (kernel, batch), capability in product(GAUSSIANS.items(), capabilities):
        yield Case(kernel.__name__, kernel, {}, {**OPPONENT, "BATCH": batch}, gaussians.LAUNCH, capability)


def cubin(case: Case) -> bytes:
    types = {**TYPES, **case.types}

    def kind(name: str) -> str:
        if name in case.constants:
            return "constexpr"
        return types.get(name, "i32" if name in NUMBERS else "*fp32")

    source = ASTSource(
        fn=case.kernel,
        signature={name: kind(name) for name in case.kernel.arg_names},
        constexprs={name: value for name, value in case.constants.items() if name in case.kernel.arg_names},
    )
    return compile(source, target=GPUTarget("cuda", int(case.capability), 32), options=case.options).asm["cubin"]


if __name__ == "__main__":
    for case in cases(sys.argv[1:]):
        code = cubin(case)
        assert code.startswith(b"\x7fELF"), case.name
        print(f"sm_{case.capability} {case.name}: {len(code)} bytes")
