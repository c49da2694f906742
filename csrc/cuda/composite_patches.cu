// composite_patches and its gradient on CUDA: tensors guarded and made, patches set up and binned, and a block for each
// tile.
#include <torch/csrc/stable/library.h>

#include "../make_patch_scene.h"
#include "binned_memory.cuh"
#include "patch_backward.cuh"
#include "patch_forward.cuh"

namespace neural_paint {
namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// Blocks to a multiprocessor: 96 and 128 registers a thread, or twice as many in double precision, which is there to
// check gradients.
template <typename T>
constexpr int kForwardBlocks = sizeof(T) == 4 ? 5 : 3;
template <typename T>
constexpr int kBackwardBlocks = sizeof(T) == 4 ? 4 : 2;

template <typename T>
__global__ void __launch_bounds__(kBinThreads, 4)
    composite_patches_bin_kernel(const __grid_constant__ BinnedPatches<T> in,
                                 const __grid_constant__ PatchSums<T> sums) {
  DeviceBlock block;
  bin_body(block, in, [&](int64_t patch) {
    if (sums.transform != nullptr) sums.clear(patch);
  });
}

template <typename T>
__global__ void __launch_bounds__(kRasterThreads, kForwardBlocks<T>)
    composite_patches_kernel(const __grid_constant__ BinnedPatches<T> in, T* image) {
  DeviceBlock block;
  patch_forward_body(block, in, image);
}

template <typename T>
__global__ void __launch_bounds__(kRasterThreads, kBackwardBlocks<T>)
    composite_patches_backward_kernel(const __grid_constant__ BinnedPatches<T> in,
                                      const __grid_constant__ PatchBackward<T> out) {
  DeviceBlock block;
  patch_backward_body(block, in, out);
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    composite_patches_round_kernel(int64_t count, const __grid_constant__ PatchSums<T> sums) {
  NP_GRID_STRIDE(i, count) sums.round(i);
}

template <typename T>
BinnedMemory<PreparedPatch<T>> bin(const PatchInputs& in, const PatchSums<T>& sums = {}) {
  return {in.transform, make_patch_scene<T>(in), composite_patches_bin_kernel<T>, sums};
}

template <typename T>
PatchSums<T> patch_sums(const PatchInputs& in, PatchOutputs& out) {
  PatchSums<T> sums;
  sums.transform = data<T>(out.transform);
  if (in.opacity.has_value()) sums.opacity = data<T>(out.opacity);
  if (in.color.has_value()) {
    sums.color = data<T>(out.color);
    sums.channels = int(in.channels());
  }
  if (out.patches.numel() > 0) sums.texture = data<T>(out.patches);
  sums.strokes = in.batch() * in.count();
  sums.texels = out.patches.numel();
  return sums;
}

Tensor composite_patches_cuda(const Tensor& patches, const std::optional<Tensor>& patch_id, const Tensor& transform,
                              const std::optional<Tensor>& color, const std::optional<Tensor>& opacity,
                              const Tensor& background) {
  const PatchInputs in{patches, transform, background, patch_id, color, opacity};
  in.check();
  Tensor image = allocate(transform, {in.batch(), in.channels(), background.size(2), background.size(3)});
  with_precision(transform, [&]<typename T>() {
    const auto binned = bin<T>(in);
    launch_blocks(transform, (*binned).tiles(), kRasterThreads,
                  PatchForwardShared<DeviceBlock, T>::bytes(in.channels()), composite_patches_kernel<T>, *binned,
                  data<T>(image));
  });
  return image;
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> composite_patches_backward_cuda(
    const Tensor& grad, const Tensor& patches, const std::optional<Tensor>& patch_id, const Tensor& transform,
    const std::optional<Tensor>& color, const std::optional<Tensor>& opacity, const Tensor& background,
    bool patches_gradient, bool background_gradient, bool deterministic) {
  const PatchInputs in{patches, transform, background, patch_id, color, opacity};
  in.check();
  in.check_like_transform(grad, "grad", {in.batch(), in.channels(), background.size(2), background.size(3)});
  PatchOutputs out(in, patches_gradient, background_gradient);
  with_precision(transform, [&]<typename T>() {
    PatchSums<T> sums = patch_sums<T>(in, out);
    clear(out.patches);
    const auto binned = bin<T>(in, sums);
    std::optional<Tensor> digits;
    if (deterministic) {
      digits = allocate(transform, {ExactSums<T>::kPlanes * sums.numbers()}, ScalarType::Long);
      clear(*digits);
      sums.exact = {data<int64_t>(*digits), sums.numbers()};
    }
    const PatchBackward<T> backward{view_of<T, 4>(grad), sums, background_gradient ? data<T>(out.background) : nullptr};
    launch_blocks(transform, (*binned).tiles(), kRasterThreads,
                  PatchBackwardShared<DeviceBlock, T>::bytes(in.channels()), composite_patches_backward_kernel<T>,
                  *binned, backward);
    if (deterministic) launch(transform, sums.numbers(), composite_patches_round_kernel<T>, sums);
  });
  return {out.patches, out.transform, out.color, out.opacity, out.background};
}

}  // namespace
}  // namespace neural_paint

STABLE_TORCH_LIBRARY_IMPL(neural_paint, CUDA, m) {
  m.impl("composite_patches", TORCH_BOX(&neural_paint::composite_patches_cuda));
  m.impl("composite_patches_backward", TORCH_BOX(&neural_paint::composite_patches_backward_cuda));
}
