#include <torch/csrc/stable/library.h>

#include "launch.cuh"
#include "stroke_bounds.h"

namespace neural_paint {
namespace {

using torch::stable::Tensor;

template <typename T>
__global__ void __launch_bounds__(kThreads)
    stroke_bounds_kernel(int64_t count, StrokeGeometry<T> geometry, Box<T>* boxes) {
  NP_GRID_STRIDE(i, count) boxes[i] = geometry.box(i);
}

template <typename T>
void launch_stroke_bounds(const Tensor& points, const Tensor& radius, const Tensor& feather, const Tensor& boxes) {
  launch(points, feather.numel(), stroke_bounds_kernel<T>, stroke_geometry<T>(points, radius, feather),
         reinterpret_cast<Box<T>*>(boxes.mutable_data_ptr<T>()));
}

Tensor stroke_bounds_cuda(const Tensor& points, const Tensor& radius, const Tensor& feather) {
  const Tensor boxes = new_boxes(points, radius, feather);
  with_precision(points, [&]<typename T>() { launch_stroke_bounds<T>(points, radius, feather, boxes); });
  return boxes;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(neural_paint, CUDA, m) { m.impl("stroke_bounds", TORCH_BOX(&stroke_bounds_cuda)); }

}  // namespace neural_paint
