// stroke_mask and its gradient on the CPU: tensors guarded and made, then handed to the kernels of this CPU's
// instruction set.
#include "calls.h"

namespace neural_paint {
namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

void check_strokes(const Tensor& strokes) {
  check_shape(strokes, "strokes", {kAny, kAny, kAny, kAny});
  check_geometry_dtype(strokes, "strokes");
  for (int side = 1; side < 4; ++side) {
    if (strokes.size(side) == 0) fail("strokes", "have a pixel and a channel", to_string(strokes.sizes()));
  }
}

void check_like_strokes(const Tensor& tensor, const char* name, const Tensor& strokes,
                        std::initializer_list<int64_t> shape, ScalarType dtype) {
  check_shape(tensor, name, shape);
  check_dtype(tensor, name, dtype);
  check_device(tensor, name, strokes, "strokes");
}

std::tuple<Tensor, Tensor, Tensor> stroke_mask_cpu(const Tensor& strokes, bool logits) {
  check_strokes(strokes);
  const int64_t n = strokes.size(0);
  Tensor alpha = allocate(strokes, {n, strokes.size(2), strokes.size(3)});
  Tensor darkest = allocate(strokes, {n}), place = allocate(strokes, {n}, ScalarType::Long);
  kernels(strokes).stroke_mask({strokes, logits, alpha, darkest, place});
  return {alpha, darkest, place};
}

Tensor allocate_like_strokes(const Tensor& strokes, bool channels_last) {
  const int64_t n = strokes.size(0), c = strokes.size(1), h = strokes.size(2), w = strokes.size(3);
  if (!channels_last) return allocate(strokes, {n, c, h, w});
  return view(allocate(strokes, {n, h, w, c}), {n, c, h, w}, {c * h * w, 1, c * w, c});
}

Tensor stroke_mask_backward_cpu(const Tensor& grad, const Tensor& strokes, const Tensor& darkest, const Tensor& place,
                                bool logits, bool channels_last) {
  check_strokes(strokes);
  const int64_t n = strokes.size(0);
  const ScalarType dtype = strokes.scalar_type();
  check_like_strokes(grad, "grad", strokes, {n, strokes.size(2), strokes.size(3)}, dtype);
  check_like_strokes(darkest, "darkest", strokes, {n}, dtype);
  check_like_strokes(place, "place", strokes, {n}, ScalarType::Long);
  Tensor d_strokes = allocate_like_strokes(strokes, channels_last);
  kernels(strokes).stroke_mask_backward({grad, strokes, darkest, place, logits, d_strokes});
  return d_strokes;
}

}  // namespace
}  // namespace neural_paint

STABLE_TORCH_LIBRARY_IMPL(neural_paint, CPU, m) {
  m.impl("stroke_mask", TORCH_BOX(&neural_paint::stroke_mask_cpu));
  m.impl("stroke_mask_backward", TORCH_BOX(&neural_paint::stroke_mask_backward_cpu));
}
