"""Compiles every Triton kernel, the benchmarks' too, to machine code: python triton_cubins.py CAPABILITY..., such as
90. Needs no GPU, and benchmarks/ in PYTHONPATH.

A program of its own, since Triton decides between compiler and interpreter when a kernel is defined.
"""

from __future__ import annotations

import sys
from itertools import product
from typing import Any

import gaussians
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

from neural_paint.kernels.bins import WINDOW, paint_bounds_kernel
from neural_paint.kernels.composite_patches import CHUNK as PATCH_CHUNK
from neural_paint.kernels.composite_patches import SEGMENTS, composite_patches_kernel
from neural_paint.kernels.composite_patches_backward import composite_patches_backward_kernel
from neural_paint.kernels.exact_sum import round_kernel
from neural_paint.kernels.paint import CHUNK, paint_kernel
from neural_paint.kernels.paint_backward import paint_backward_kernel
from neural_paint.kernels.patch import patch_bounds_kernel
from neural_paint.kernels.scene import LAUNCH
from neural_paint.kernels.tile import TILE

# Integers behind a pointer, by name; what else is a tensor, is float32.
POINTERS = {"texture_id": "*i64", "patch_id": "*i64", "evaluated": "*i32", "sums": "*i64", "ends": "*i64",
            **dict.fromkeys(("touched", "tile_of", "listed", "ranges", "deepest"), "*i32")}  # fmt: skip
# Gradients are summed in floats or, deterministically, in digits.
DIGITS = {
    name: "*i64"
    for kernel in (paint_backward_kernel, composite_patches_backward_kernel)
    for name in kernel.arg_names
    if name.startswith("d_") and name != "d_background"
}
KERNELS = {
    "bounds": (paint_bounds_kernel, POINTERS),
    "paint": (paint_kernel, POINTERS),
    "backward": (paint_backward_kernel, POINTERS),
    "deterministic backward": (paint_backward_kernel, {**POINTERS, **DIGITS}),
    "round": (round_kernel, POINTERS),
}
PATCH_KERNELS = {
    "patch bounds": (patch_bounds_kernel, POINTERS),
    "composite_patches": (composite_patches_kernel, POINTERS),
    "composite_patches backward": (composite_patches_backward_kernel, POINTERS),
    "composite_patches deterministic backward": (composite_patches_backward_kernel, {**POINTERS, **DIGITS}),
}
NUMBERS = ("strokes", "channels", "height", "width", "background_step", "texture_height", "texture_width", "segments",
           "tiles", "color_values", "textures", "numbers", "count", "per_canvas", "columns", "rows", "bank",
           "patch_height", "patch_width")  # fmt: skip

BLOCKS = {"TILE": TILE, "WINDOW": WINDOW, "CHUNK": CHUNK, "BLOCK": 64}
# Everything that a stroke can have.
CUBIC = dict(BLOCKS, D=4, CHORDS=8, STEPS=3, COLOR_ENDS=2, OPACITY_ENDS=2, TEXTURED=True, TEXTURE_GRADIENT=True,
             SAVE=True, CHANNELS=4)  # fmt: skip
# As little as it can have, on one pixel: Triton makes an argument of 1 a compile-time constant.
DAB = dict(BLOCKS, D=1, CHORDS=1, STEPS=0, COLOR_ENDS=1, OPACITY_ENDS=1, TEXTURED=False, TEXTURE_GRADIENT=False,
           SAVE=False, CHANNELS=1, **dict.fromkeys(NUMBERS, 1))  # fmt: skip
PATCH_OPTIONS = ("SHARED", "COLORED", "HAS_OPACITY", "PATCHES_GRADIENT", "BACKGROUND_GRADIENT")
PATCH_BLOCKS = dict(BLOCKS, CHUNK=PATCH_CHUNK, SEGMENTS=SEGMENTS)
COLORS = dict(PATCH_BLOCKS, CHANNELS=4, **dict.fromkeys(PATCH_OPTIONS, True))
ALPHA = dict(PATCH_BLOCKS, CHANNELS=1, **dict.fromkeys(NUMBERS, 1), **dict.fromkeys(PATCH_OPTIONS, False))
# The opponent's kernels, and how many Gaussians each evaluates at once.
GAUSSIANS = {
    gaussians.count_kernel: 0,
    gaussians.list_kernel: 0,
    gaussians.rasterise_kernel: gaussians.BATCH,
    gaussians.rasterise_backward_kernel: gaussians.BACKWARD_BATCH,
}
OPPONENT = {"TILE": gaussians.TILE, "BLOCK": gaussians.BLOCK}


def cubin(
    kernel: Any, pointers: dict[str, str], constants: dict[str, Any], options: dict[str, Any], capability: int
) -> bytes:
    def kind(name: str) -> str:
        if name in constants:
            return "constexpr"
        return "i32" if name in NUMBERS else "fp32" if name == "closing" else pointers.get(name, "*fp32")

    source = ASTSource(
        fn=kernel,
        signature={name: kind(name) for name in kernel.arg_names},
        constexprs={name: value for name, value in constants.items() if name in kernel.arg_names},
    )
    return compile(source, target=GPUTarget("cuda", capability, 32), options=options).asm["cubin"]


if __name__ == "__main__":
    capabilities = sys.argv[1:]
    work = [
        *(
            (f"{name} D={constants['D']}", kernel, pointers, constants, LAUNCH, capability)
            for (name, (kernel, pointers)), (capability, constants) in product(
                KERNELS.items(), [*product(capabilities, (CUBIC,)), (capabilities[0], DAB)]
            )
        ),
        *(
            (f"{name} COLORED={constants['COLORED']}", kernel, pointers, constants, LAUNCH, capability)
            for (name, (kernel, pointers)), (capability, constants) in product(
                PATCH_KERNELS.items(), [(capabilities[0], ALPHA), *product(capabilities[1:], (COLORS,))]
            )
        ),
        *(
            (kernel.__name__, kernel, POINTERS, {**OPPONENT, "BATCH": batch}, gaussians.LAUNCH, capability)
            for (kernel, batch), capability in product(GAUSSIANS.items(), capabilities)
        ),
    ]
    for name, kernel, pointers, constants, options, capability in work:
        code = cubin(kernel, pointers, constants, options, int(capability))
        assert code.startswith(b"\x7fELF"), name
        print(f"sm_{capability} {name}: {len(code)} bytes")
