// Where a stroke can leave paint.
#pragma once

#include <cmath>
#include <cstdint>

#include "portable.h"

NP_MATH_BEGIN

template <typename T>
struct Box {
  T x0, y0, x1, y1;
};

template <typename T>
NP_HOST_DEVICE Box<T> empty_box() {
  constexpr T inf = T(INFINITY);
  return {inf, inf, -inf, -inf};
}

// Box in pixels outside which the coverage of a stroke is 0; empty for a stroke that covers nothing: one that is culled
// for a non-finite field or feather <= 0, or that never reaches r + feather / 2 > 0. A Bezier curve stays in the hull
// of its control points, of which there are `count`; strides are in elements.
template <typename T>
NP_HOST_DEVICE Box<T> bounds(const T* points, int64_t point_stride, int64_t axis_stride, int64_t count, T radius0,
                             T radius1, T feather) {
  // 0 * x is 0 for finite x and NaN otherwise.
  T poison = T(0) * radius0 + T(0) * radius1 + T(0) * feather;
  Box<T> box = empty_box<T>();
  for (int64_t d = 0; d < count; ++d) {
    const T x = points[d * point_stride], y = points[d * point_stride + axis_stride];
    poison += T(0) * x + T(0) * y;
    box = {minimum(x, box.x0), minimum(y, box.y0), maximum(x, box.x1), maximum(y, box.y1)};
  }
  const T reach = maximum(radius0, radius1) + feather / T(2);
  if (!(poison == T(0) && feather > T(0) && reach > T(0))) return empty_box<T>();
  return {box.x0 - reach, box.y0 - reach, box.x1 + reach, box.y1 + reach};
}

NP_MATH_END
