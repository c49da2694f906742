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

from neural_paint.kernels.bins import paint_bounds_kernel
from neural_paint.kernels.decode_strokes import BLOCK, decode_strokes_backward_kernel, decode_strokes_kernel
from neural_paint.kernels.exact_sum import round_kernel
from neural_paint.kernels.paint import CHUNK, TILE, WINDOW, paint_kernel
from neural_paint.kernels.paint_backward import paint_backward_kernel
from neural_paint.kernels.scene import LAUNCH
from neural_paint.kernels.stroke_mask import stroke_mask_backward_kernel, stroke_mask_kernel
from neural_paint.stroke_vectors import KINDS, MyPaintBrush

# What is neither a whole number nor a tensor of float32, by name.
TYPES = {"closing": "fp32", "texture_id": "*i64", "evaluated": "*i32", "sums": "*i64", "ends": "*i64", "place": "*i64",
            **dict.fromkeys(("touched", "tile_of", "listed", "ranges", "deepest"), "*i32")}  # fmt: skip
# Gradients are summed in floats or, deterministically, in digits.
DIGITS = {name: "*i64" for name in paint_backward_kernel.arg_names if name.startswith("d_")}
KERNELS = {
    "bounds": (paint_bounds_kernel, TYPES),
    "paint": (paint_kernel, TYPES),
    "backward": (paint_backward_kernel, TYPES),
    "deterministic backward": (paint_backward_kernel, {**TYPES, **DIGITS}),
    "round": (round_kernel, TYPES),
    "mask": (stroke_mask_kernel, TYPES),
    "mask backward": (stroke_mask_backward_kernel, TYPES),
}
NUMBERS = ("strokes", "channels", "height", "width", "background_step", "texture_height", "texture_width", "segments",
           "tiles", "color_values", "textures", "numbers", "count", "per_canvas", "columns", "rows", "pixels",
           "stroke_step", "channel_step", "row_step", "column_step", "d_channel_step", "d_column_step")  # fmt: skip

BLOCKS = {"TILE": TILE, "WINDOW": WINDOW, "CHUNK": CHUNK, "BLOCK": 64}
# Everything that a stroke can have.
CUBIC = dict(BLOCKS, D=4, CHORDS=8, STEPS=3, COLOR_ENDS=2, OPACITY_ENDS=2, TEXTURED=True, TEXTURE_GRADIENT=True,
             SAVE=True, LOGITS=True, CHANNELS=4)  # fmt: skip
# As little as it can have, on one pixel: Triton makes an argument of 1 a compile-time constant.
DAB = dict(BLOCKS, D=1, CHORDS=1, STEPS=0, COLOR_ENDS=1, OPACITY_ENDS=1, TEXTURED=False, TEXTURE_GRADIENT=False,
           SAVE=False, LOGITS=False, CHANNELS=1, **dict.fromkeys(NUMBERS, 1))  # fmt: skip
# The opponent's kernels, and how many Gaussians each evaluates at once.
GAUSSIANS = {
    gaussians.count_kernel: 0,
    gaussians.list_kernel: 0,
    gaussians.rasterise_kernel: gaussians.BATCH,
    gaussians.rasterise_backward_kernel: gaussians.BACKWARD_BATCH,
}
OPPONENT = {"TILE": gaussians.TILE, "BLOCK": gaussians.BLOCK}
# A stroke vector's canvas and the brush's constants.
VECTOR_NUMBERS = dict.fromkeys(("height", "width", "side", "ink", *MyPaintBrush._fields), "fp32")
VECTORS = {
    name: {"KIND": kind.code, "ENTRIES": kind.entries, "NUMBERS": kind.numbers, "BLOCK": BLOCK}
    for name, kind in KINDS.items()
}


def cubin(
    kernel: Any, types: dict[str, str], constants: dict[str, Any], options: dict[str, Any], capability: int
) -> bytes:
    def kind(name: str) -> str:
        if name in constants:
            return "constexpr"
        return types.get(name, "i32" if name in NUMBERS else "*fp32")

    source = ASTSource(
        fn=kernel,
        signature={name: kind(name) for name in kernel.arg_names},
        constexprs={name: value for name, value in constants.items() if name in kernel.arg_names},
    )
    return compile(source, target=GPUTarget("cuda", capability, 32), options=options).asm["cubin"]


if __name__ == "__main__":
    capabilities = sys.argv[1:]
    scenes = [*product(capabilities, (CUBIC,)), (capabilities[0], DAB)]
    work = [
        *(
            (f"{name} D={constants['D']}", kernel, types, constants, LAUNCH, capability)
            for (name, (kernel, types)), (capability, constants) in product(KERNELS.items(), scenes)
        ),
        *(
            (kernel.__name__, kernel, TYPES, {**OPPONENT, "BATCH": batch}, gaussians.LAUNCH, capability)
            for (kernel, batch), capability in product(GAUSSIANS.items(), capabilities)
        ),
        *(
            (f"{kernel.__name__} {name}", kernel, VECTOR_NUMBERS, constants, LAUNCH, capability)
            for kernel in (decode_strokes_kernel, decode_strokes_backward_kernel)
            for (name, constants), capability in product(VECTORS.items(), capabilities[:1])
        ),
    ]
    for name, kernel, types, constants, options, capability in work:
        code = cubin(kernel, types, constants, options, int(capability))
        assert code.startswith(b"\x7fELF"), name
        print(f"sm_{capability} {name}: {len(code)} bytes")
