// paint and its gradient on CUDA: tensors guarded and made, strokes set up and binned, and a block for each tile.
#include <torch/csrc/stable/library.h>

#include "../make_scene.h"
#include "binned_memory.cuh"
#include "paint_backward.cuh"

namespace neural_paint {
namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// Blocks to a multiprocessor: 128 registers a thread. Double precision, which is there to check gradients, gets twice
// as many.
template <typename T>
constexpr int kBlocks = sizeof(T) == 4 ? 4 : 2;

template <typename T, int D>
__global__ void __launch_bounds__(kBinThreads, 4)
    paint_bin_kernel(const __grid_constant__ Binned<T, D> in, const __grid_constant__ FieldGradients<T, D> sums) {
  DeviceBlock block;
  bin_body(block, in, [&](int64_t stroke) {
    if (sums.points != nullptr) sums.clear(stroke);
  });
}

template <typename T, int D>
__global__ void __launch_bounds__(kRasterThreads, kBlocks<T>)
    paint_kernel(const __grid_constant__ Binned<T, D> in, const __grid_constant__ Painted<T> out,
                 const __grid_constant__ Layers<T> layers) {
  DeviceBlock block;
  forward_body(block, in, out, layers);
}

template <typename T, int D>
__global__ void __launch_bounds__(kThreads)
    paint_merge_kernel(int64_t pixels, const __grid_constant__ Binned<T, D> in,
                       const __grid_constant__ Layers<T> layers, const __grid_constant__ Painted<T> out) {
  NP_GRID_STRIDE(pixel, pixels) merge_layers(in, layers, out, pixel);
}

template <typename T, int D>
__global__ void __launch_bounds__(kRasterThreads, kBlocks<T>)
    paint_backward_kernel(const __grid_constant__ Binned<T, D> in, const __grid_constant__ Incoming<T> incoming,
                          const __grid_constant__ Layers<T> layers, const __grid_constant__ Gradients<T, D> out) {
  DeviceBlock block;
  backward_body(block, in, incoming, layers, out);
}

template <typename T, int D>
__global__ void __launch_bounds__(kThreads)
    paint_round_kernel(int64_t count, const __grid_constant__ FieldGradients<T, D> sums) {
  NP_GRID_STRIDE(i, count) sums.round(i);
}

template <typename T, int D>
BinnedMemory<Prepared<T, D>> bin(const PaintInputs& in, const Scene<T>& scene, const FieldGradients<T, D>& sums = {}) {
  return {in.points, scene, paint_bin_kernel<T, D>, sums};
}

// The layers of a scene, which are kept as long as this object; none where one block does all strokes of a tile.
template <typename T, int D>
class LayerMemory {
 public:
  LayerMemory(const PaintInputs& in, const Binned<T, D>& binned, bool saves)
      : layers_(make_layers<T>(binned.scene.strokes, choose_parts(binned))) {
    if (layers_.count == 1) return;
    const Scene<T>& scene = binned.scene;
    const int64_t pixels = layers_.count * scene.batch * scene.height * scene.width;
    layers_.values = data<T>(values_.emplace(allocate(in.points, {pixels * (scene.channels + 2)})));
    if (saves) layers_.evaluated = data<int32_t>(evaluated_.emplace(allocate(in.points, {pixels}, ScalarType::Int)));
  }

  const Layers<T>& operator*() const { return layers_; }

 private:
  Layers<T> layers_;
  std::optional<Tensor> values_, evaluated_;
};

template <typename T, int D>
void launch_forward(const PaintInputs& in, const Binned<T, D>& binned, const Painted<T>& out, const Layers<T>& layers) {
  launch_blocks(in.points, binned.tiles() * layers.count, kRasterThreads,
                ForwardShared<DeviceBlock, T, D>::bytes(binned.scene.channels), paint_kernel<T, D>, binned, out,
                layers);
}

template <typename T, int D>
FieldGradients<T, D> field_gradients(PaintGradients& out, const Scene<T>& scene) {
  FieldGradients<T, D> sums;
  sums.points = data<T>(out.points);
  sums.radius = data<T>(out.radius);
  sums.feather = data<T>(out.feather);
  sums.opacity = data<T>(out.opacity);
  sums.color = data<T>(out.color);
  if (out.has_texture) sums.texture = data<T>(out.texture);
  sums.strokes = scene.batch * scene.strokes;
  sums.texels = out.texture.numel();
  sums.channels = int(scene.channels);
  sums.opacity_ends = scene.opacity_ends;
  sums.color_ends = scene.color_ends;
  return sums;
}

std::tuple<Tensor, Tensor, Tensor, Tensor> paint_cuda(const Tensor& points, const Tensor& radius, const Tensor& color,
                                                      const Tensor& opacity, const Tensor& feather,
                                                      const std::optional<Tensor>& texture,
                                                      const std::optional<Tensor>& texture_id, const Tensor& background,
                                                      double t_min, int64_t segments) {
  const PaintInputs in(points, radius, color, opacity, feather, texture, texture_id, background);
  PaintOutputs out(in, segments);
  with_precision(points, [&]<typename T>() {
    const bool saves = segments > 0;
    const Painted<T> painted{data<T>(out.image), saves ? data<T>(out.transmittance) : nullptr,
                             saves ? data<T>(out.checkpoints) : nullptr, saves ? data<int32_t>(out.evaluated) : nullptr,
                             saves ? segments : 1};
    with_scene<T>(in, t_min, [&]<int D>(const Scene<T>& scene) {
      const auto binned = bin<T, D>(in, scene);
      const LayerMemory<T, D> layers(in, *binned, saves);
      launch_forward(in, *binned, painted, *layers);
      if ((*layers).count > 1)
        launch(in.points, scene.batch * scene.height * scene.width, paint_merge_kernel<T, D>, *binned, *layers,
               painted);
    });
  });
  return {out.image, out.transmittance, out.checkpoints, out.evaluated};
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> paint_backward_cuda(
    const Tensor& grad, const Tensor& points, const Tensor& radius, const Tensor& color, const Tensor& opacity,
    const Tensor& feather, const std::optional<Tensor>& texture, const std::optional<Tensor>& texture_id,
    const Tensor& background, const Tensor& transmittance, const Tensor& checkpoints, const Tensor& evaluated,
    double t_min, bool texture_gradient, bool background_gradient, bool deterministic) {
  const PaintInputs in(points, radius, color, opacity, feather, texture, texture_id, background);
  in.check_saved(grad, transmittance, checkpoints, evaluated);
  PaintGradients out(in, color, opacity, texture_gradient, background_gradient);
  with_precision(points, [&]<typename T>() {
    const Incoming<T> incoming{view_of<T, 4>(grad), view_of<T, 3>(transmittance), view_of<T, 4>(checkpoints),
                               view_of<int32_t, 3>(evaluated), checkpoints.size(1) + 1};
    with_scene<T>(in, t_min, [&]<int D>(const Scene<T>& scene) {
      FieldGradients<T, D> sums = field_gradients<T, D>(out, scene);
      clear(out.texture);
      const auto binned = bin<T, D>(in, scene, sums);
      std::optional<Tensor> digits;
      if (deterministic) {
        digits = allocate(in.points, {ExactSums<T>::kPlanes * sums.numbers()}, ScalarType::Long);
        clear(*digits);
        sums.exact = {data<int64_t>(*digits), sums.numbers()};
      }
      const Gradients<T, D> gradients{sums, out.has_background ? data<T>(out.background) : nullptr};
      const LayerMemory<T, D> layers(in, *binned, false);
      if ((*layers).count > 1) launch_forward(in, *binned, Painted<T>{nullptr, nullptr, nullptr, nullptr, 1}, *layers);
      launch_blocks(in.points, (*binned).tiles() * (*layers).count, kRasterThreads,
                    BackwardShared<DeviceBlock, T, D>::bytes(scene.channels), paint_backward_kernel<T, D>, *binned,
                    incoming, *layers, gradients);
      if (deterministic) launch(in.points, sums.numbers(), paint_round_kernel<T, D>, sums);
    });
  });
  return {out.points, out.radius, out.color, out.opacity, out.feather, out.texture, out.background};
}

}  // namespace
}  // namespace neural_paint

STABLE_TORCH_LIBRARY_IMPL(neural_paint, CUDA, m) {
  m.impl("paint", TORCH_BOX(&neural_paint::paint_cuda));
  m.impl("paint_backward", TORCH_BOX(&neural_paint::paint_backward_cuda));
}
