// What stroke_bounds does alike on every device: guard memory, find a stroke, write its box.
#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include "bounds.h"
#include "check.h"

namespace neural_paint {

// Geometry of all strokes, in any strides.
template <typename T>
struct StrokeGeometry {
  const T *points, *radius, *feather;
  int64_t strokes, count;  // per canvas; control points per stroke
  int64_t points_stride[4], radius_stride[3], feather_stride[2];

  // `index` counts the strokes of all canvases.
  NP_HOST_DEVICE Box<T> box(int64_t index) const {
    const int64_t b = index / strokes, n = index % strokes;
    const T* r = radius + b * radius_stride[0] + n * radius_stride[1];
    return bounds(points + b * points_stride[0] + n * points_stride[1], points_stride[2], points_stride[3], count, r[0],
                  r[radius_stride[2]], feather[b * feather_stride[0] + n * feather_stride[1]]);
  }
};

template <typename T>
StrokeGeometry<T> stroke_geometry(const torch::stable::Tensor& points, const torch::stable::Tensor& radius,
                                  const torch::stable::Tensor& feather) {
  return {points.const_data_ptr<T>(),
          radius.const_data_ptr<T>(),
          feather.const_data_ptr<T>(),
          points.size(1),
          points.size(2),
          {points.stride(0), points.stride(1), points.stride(2), points.stride(3)},
          {radius.stride(0), radius.stride(1), radius.stride(2)},
          {feather.stride(0), feather.stride(1)}};
}

// Checks the arguments and makes room for the boxes.
inline torch::stable::Tensor new_boxes(const torch::stable::Tensor& points, const torch::stable::Tensor& radius,
                                       const torch::stable::Tensor& feather) {
  check_shape(points, "points", {kAny, kAny, kAny, 2});
  check_geometry_dtype(points, "points");
  const int64_t batch = points.size(0), strokes = points.size(1);
  check_shape(radius, "radius", {batch, strokes, 2});
  check_shape(feather, "feather", {batch, strokes});
  check_dtype(radius, "radius", points.scalar_type());
  check_dtype(feather, "feather", points.scalar_type());
  check_device(radius, "radius", points, "points");
  check_device(feather, "feather", points, "points");
  return torch::stable::new_empty(points, {batch, strokes, 4});
}

}  // namespace neural_paint
