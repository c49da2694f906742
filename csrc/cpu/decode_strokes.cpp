// decode_strokes and its gradient on the CPU: a stroke after the other, shared out among threads.
#include <torch/csrc/stable/library.h>

#include <vector>

#include "../check.h"
#include "../decode_mypaint.h"
#include "../tensors.h"

namespace neural_paint {
namespace {

using torch::stable::Tensor;

// A stroke takes some tens of nanoseconds: fewer than this are not worth a thread.
constexpr int64_t kGrain = 512;

// (B, N, length) in any strides, read a row at a time.
template <typename T>
struct Rows {
  const T* data;
  int64_t strokes, strides[3];

  Rows(const Tensor& t)
      : data(t.const_data_ptr<T>()), strokes(t.size(1)), strides{t.stride(0), t.stride(1), t.stride(2)} {}

  void load(int64_t index, int length, T* row) const {
    const T* from = data + index / strokes * strides[0] + index % strokes * strides[1];
    for (int i = 0; i < length; ++i) row[i] = from[i * strides[2]];
  }
};

void check_vectors(const Tensor& vectors, int64_t kind, const std::vector<double>& brush) {
  if (kind < 0 || kind >= kVectorKinds) fail("kind", "be in 0 .. " + std::to_string(kVectorKinds - 1), kind);
  check_shape(vectors, "vectors", {kAny, kAny, kVectorEntries[kind]});
  check_geometry_dtype(vectors, "vectors");
  const auto constants = static_cast<int64_t>(brush.size());
  if (constants != kBrushConstants) fail("brush", "have " + std::to_string(kBrushConstants) + " numbers", constants);
}

template <typename T>
DecodeTarget<T> target(int64_t height, int64_t width, const std::vector<double>& brush) {
  const auto h = static_cast<double>(height), w = static_cast<double>(width);
  const auto at = [&](int i) { return static_cast<T>(brush[i]); };
  return {static_cast<T>(w), static_cast<T>(h), static_cast<T>(std::sqrt(w * h)),
          PenBrush<T>{at(0), at(1), at(2), at(3), at(4), at(5), at(6)}};
}

template <typename T>
void decode(VectorKind kind, const T* vector, const DecodeTarget<T>& to, T* stroke) {
  switch (kind) {
    case kMyPaint:
      return decode_mypaint(vector, to, stroke);
    case kLearningToPaint:
      return decode_learning_to_paint(vector, to, stroke);
    case kSnpMarker:
      return decode_snp_marker(vector, to, stroke);
    case kSnpOil:
      return decode_snp_oil(vector, to, stroke);
    default:
      return decode_paint_transformer(vector, to, stroke);
  }
}

template <typename T>
void decode_backward(VectorKind kind, const T* vector, const DecodeTarget<T>& to, const T* grad, T* d_vector) {
  switch (kind) {
    case kMyPaint:
      return decode_mypaint_backward(vector, to, grad, d_vector);
    case kLearningToPaint:
      return decode_learning_to_paint_backward(vector, to, grad, d_vector);
    case kSnpMarker:
      return decode_snp_marker_backward(vector, to, grad, d_vector);
    case kSnpOil:
      return decode_snp_oil_backward(vector, to, grad, d_vector);
    default:
      return decode_paint_transformer_backward(vector, to, grad, d_vector);
  }
}

template <typename T>
void write_strokes(const Tensor& vectors, VectorKind kind, const DecodeTarget<T>& to, const Tensor& strokes) {
  const Rows<T> rows(vectors);
  T* out = strokes.mutable_data_ptr<T>();
  torch::stable::parallel_for(0, vectors.size(0) * vectors.size(1), kGrain, [&](int64_t begin, int64_t end) {
    T vector[kMostEntries];
    for (int64_t i = begin; i < end; ++i) {
      rows.load(i, kVectorEntries[kind], vector);
      decode(kind, vector, to, out + i * kStrokeNumbers[kind]);
    }
  });
}

template <typename T>
void write_gradient(const Tensor& grad, const Tensor& vectors, VectorKind kind, const DecodeTarget<T>& to,
                    const Tensor& d_vectors) {
  const Rows<T> rows(vectors), grads(grad);
  T* out = d_vectors.mutable_data_ptr<T>();
  torch::stable::parallel_for(0, vectors.size(0) * vectors.size(1), kGrain, [&](int64_t begin, int64_t end) {
    T vector[kMostEntries], incoming[kMostNumbers];
    for (int64_t i = begin; i < end; ++i) {
      rows.load(i, kVectorEntries[kind], vector);
      grads.load(i, kStrokeNumbers[kind], incoming);
      decode_backward(kind, vector, to, incoming, out + i * kVectorEntries[kind]);
    }
  });
}

bool is_float(const Tensor& t) { return t.scalar_type() == torch::headeronly::ScalarType::Float; }

Tensor decode_strokes_cpu(const Tensor& vectors, int64_t kind, int64_t height, int64_t width,
                          std::vector<double> brush) {
  check_vectors(vectors, kind, brush);
  const auto of = static_cast<VectorKind>(kind);
  Tensor strokes = allocate(vectors, {vectors.size(0), vectors.size(1), kStrokeNumbers[kind]});
  if (is_float(vectors)) {
    write_strokes(vectors, of, target<float>(height, width, brush), strokes);
  } else {
    write_strokes(vectors, of, target<double>(height, width, brush), strokes);
  }
  return strokes;
}

Tensor decode_strokes_backward_cpu(const Tensor& grad, const Tensor& vectors, int64_t kind, int64_t height,
                                   int64_t width, std::vector<double> brush) {
  check_vectors(vectors, kind, brush);
  check_shape(grad, "grad", {vectors.size(0), vectors.size(1), kStrokeNumbers[kind]});
  check_dtype(grad, "grad", vectors.scalar_type());
  check_device(grad, "grad", vectors, "vectors");
  const auto of = static_cast<VectorKind>(kind);
  Tensor d_vectors = allocate(vectors, vectors.sizes());
  if (is_float(vectors)) {
    write_gradient(grad, vectors, of, target<float>(height, width, brush), d_vectors);
  } else {
    write_gradient(grad, vectors, of, target<double>(height, width, brush), d_vectors);
  }
  return d_vectors;
}

}  // namespace
}  // namespace neural_paint

STABLE_TORCH_LIBRARY_IMPL(neural_paint, CPU, m) {
  m.impl("decode_strokes", TORCH_BOX(&neural_paint::decode_strokes_cpu));
  m.impl("decode_strokes_backward", TORCH_BOX(&neural_paint::decode_strokes_backward_cpu));
}
