// Arrays as the kernels see tensors.
#pragma once

#include "arrays.h"
#include "scene.h"

namespace emulator {

template <int R, typename T>
neural_paint::View<T, R> view(const Array<T>& array) {
  neural_paint::View<T, R> out;
  out.data = array.data;
  int64_t stride = 1;
  for (int i = R - 1; i >= 0; --i) {
    out.strides[i] = stride;
    stride *= array.shape[i];
  }
  return out;
}

}  // namespace emulator
