#include "stroke_bounds.h"

#include <torch/csrc/stable/library.h>

namespace neural_paint {
namespace {

using torch::stable::Tensor;

// A stroke takes a few nanoseconds: fewer than this are not worth a thread.
constexpr int64_t kGrain = 4096;

template <typename T>
void write_boxes(const Tensor& points, const Tensor& radius, const Tensor& feather, const Tensor& boxes) {
  const auto geometry = stroke_geometry<T>(points, radius, feather);
  const auto out = reinterpret_cast<Box<T>*>(boxes.mutable_data_ptr<T>());
  torch::stable::parallel_for(0, feather.numel(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = geometry.box(i);
  });
}

Tensor stroke_bounds_cpu(const Tensor& points, const Tensor& radius, const Tensor& feather) {
  const Tensor boxes = new_boxes(points, radius, feather);
  if (points.scalar_type() == torch::headeronly::ScalarType::Float) {
    write_boxes<float>(points, radius, feather, boxes);
  } else {
    write_boxes<double>(points, radius, feather, boxes);
  }
  return boxes;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(neural_paint, CPU, m) { m.impl("stroke_bounds", TORCH_BOX(&stroke_bounds_cpu)); }

}  // namespace neural_paint
