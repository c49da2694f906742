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
  int64_t canvas, stroke;

  // From the row `first` of all canvases on.
  Rows(const Tensor& t, int64_t first)
      : data(t.const_data_ptr<T>()),
        strokes(t.size(1)),
        strides{t.stride(0), t.stride(1), t.stride(2)},
        canvas(first / strokes),
        stroke(first % strokes) {}

  template <int length>
  void next(T* row) {
    const T* from = data + canvas * strides[0] + stroke * strides[1];
    for (int i = 0; i < length; ++i) row[i] = from[i * strides[2]];
    if (++stroke == strokes) stroke = 0, ++canvas;
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

template <VectorKind kind, typename T>
void decode(const T* vector, const DecodeTarget<T>& to, T* stroke) {
  if constexpr (kind == kMyPaint) decode_mypaint(vector, to, stroke);
  if constexpr (kind == kLearningToPaint) decode_learning_to_paint(vector, to, stroke);
  if constexpr (kind == kSnpMarker) decode_snp_marker(vector, to, stroke);
  if constexpr (kind == kSnpOil) decode_snp_oil(vector, to, stroke);
  if constexpr (kind == kPaintTransformer) decode_paint_transformer(vector, to, stroke);
}

template <VectorKind kind, typename T>
void decode_backward(const T* vector, const DecodeTarget<T>& to, const T* grad, T* d_vector) {
  if constexpr (kind == kMyPaint) decode_mypaint_backward(vector, to, grad, d_vector);
  if constexpr (kind == kLearningToPaint) decode_learning_to_paint_backward(vector, to, grad, d_vector);
  if constexpr (kind == kSnpMarker) decode_snp_marker_backward(vector, to, grad, d_vector);
  if constexpr (kind == kSnpOil) decode_snp_oil_backward(vector, to, grad, d_vector);
  if constexpr (kind == kPaintTransformer) decode_paint_transformer_backward(vector, to, grad, d_vector);
}

template <VectorKind kind, typename T>
void write_strokes(const Tensor& vectors, const DecodeTarget<T>& to, const Tensor& strokes) {
  constexpr int entries = kVectorEntries[kind], numbers = kStrokeNumbers[kind];
  T* out = strokes.mutable_data_ptr<T>();
  torch::stable::parallel_for(0, vectors.size(0) * vectors.size(1), kGrain, [&](int64_t begin, int64_t end) {
    Rows<T> rows(vectors, begin);
    T vector[entries];
    for (int64_t i = begin; i < end; ++i) {
      rows.template next<entries>(vector);
      decode<kind>(vector, to, out + i * numbers);
    }
  });
}

template <VectorKind kind, typename T>
void write_gradient(const Tensor& grad, const Tensor& vectors, const DecodeTarget<T>& to, const Tensor& d_vectors) {
  constexpr int entries = kVectorEntries[kind], numbers = kStrokeNumbers[kind];
  T* out = d_vectors.mutable_data_ptr<T>();
  torch::stable::parallel_for(0, vectors.size(0) * vectors.size(1), kGrain, [&](int64_t begin, int64_t end) {
    Rows<T> rows(vectors, begin), grads(grad, begin);
    T vector[entries], incoming[numbers];
    for (int64_t i = begin; i < end; ++i) {
      rows.template next<entries>(vector);
      grads.template next<numbers>(incoming);
      decode_backward<kind>(vector, to, incoming, out + i * entries);
    }
  });
}

// Calls `work` with the kind known to the compiler.
template <typename Work>
void with_kind(int64_t kind, const Work& work) {
  switch (kind) {
    case kMyPaint:
      return work.template operator()<kMyPaint>();
    case kLearningToPaint:
      return work.template operator()<kLearningToPaint>();
    case kSnpMarker:
      return work.template operator()<kSnpMarker>();
    case kSnpOil:
      return work.template operator()<kSnpOil>();
    default:
      return work.template operator()<kPaintTransformer>();
  }
}

bool is_float(const Tensor& t) { return t.scalar_type() == torch::headeronly::ScalarType::Float; }

Tensor decode_strokes_cpu(const Tensor& vectors, int64_t kind, int64_t height, int64_t width,
                          std::vector<double> brush) {
  check_vectors(vectors, kind, brush);
  Tensor strokes = allocate(vectors, {vectors.size(0), vectors.size(1), kStrokeNumbers[kind]});
  if (strokes.numel() == 0) return strokes;
  with_kind(kind, [&]<VectorKind of>() {
    if (is_float(vectors)) {
      write_strokes<of>(vectors, target<float>(height, width, brush), strokes);
    } else {
      write_strokes<of>(vectors, target<double>(height, width, brush), strokes);
    }
  });
  return strokes;
}

Tensor decode_strokes_backward_cpu(const Tensor& grad, const Tensor& vectors, int64_t kind, int64_t height,
                                   int64_t width, std::vector<double> brush) {
  check_vectors(vectors, kind, brush);
  check_shape(grad, "grad", {vectors.size(0), vectors.size(1), kStrokeNumbers[kind]});
  check_dtype(grad, "grad", vectors.scalar_type());
  check_device(grad, "grad", vectors, "vectors");
  Tensor d_vectors = allocate(vectors, vectors.sizes());
  if (d_vectors.numel() == 0) return d_vectors;
  with_kind(kind, [&]<VectorKind of>() {
    if (is_float(vectors)) {
      write_gradient<of>(grad, vectors, target<float>(height, width, brush), d_vectors);
    } else {
      write_gradient<of>(grad, vectors, target<double>(height, width, brush), d_vectors);
    }
  });
  return d_vectors;
}

}  // namespace
}  // namespace neural_paint

STABLE_TORCH_LIBRARY_IMPL(neural_paint, CPU, m) {
  m.impl("decode_strokes", TORCH_BOX(&neural_paint::decode_strokes_cpu));
  m.impl("decode_strokes_backward", TORCH_BOX(&neural_paint::decode_strokes_backward_cpu));
}
