// The kernels of `composite_patches`, compiled by each instruction set's own file after it has chosen its instructions.
#pragma once

#include "../make_patch_scene.h"
#include "patch_backward_tiles.h"

NP_MATH_BEGIN

template <typename T>
void composite_patches_forward(const PatchCall& call) {
  paint_patches(make_patch_scene<T>(call.inputs), data<T>(call.image));
}

template <typename T>
void composite_patches_backward(const PatchBackwardCall& call) {
  PatchOutputs& out = call.out;
  const auto wanted = [](torch::stable::Tensor& tensor) { return tensor.numel() > 0 ? data<T>(tensor) : nullptr; };
  const PatchGradients<T> gradients{wanted(out.patches), data<T>(out.transform), wanted(out.color), wanted(out.opacity),
                                    wanted(out.background)};
  paint_patches_backward(make_patch_scene<T>(call.inputs), view_of<T, 4>(call.grad), gradients, out.patches.numel());
}

NP_MATH_END
