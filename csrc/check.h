// One wording for every error of the C++ side: `NAME must RULE, got VALUE`.
//
// C++ guards memory: shape, dtype and device are checked before a pointer is taken. What values mean is Python's to
// check.
#pragma once

#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <cstdint>
#include <initializer_list>
#include <sstream>
#include <stdexcept>
#include <string>

namespace neural_paint {

// In a shape: any size will do.
constexpr int64_t kAny = -1;

// STD_TORCH_CHECK would put the path of this file in front of the message.
template <typename Rule, typename Value>
[[noreturn]] void fail(const char* name, const Rule& rule, const Value& value) {
  std::ostringstream message;
  message << name << " must " << rule << ", got " << value;
  throw std::runtime_error(message.str());
}

template <typename Sizes>
std::string to_string(const Sizes& sizes) {
  std::string text;
  for (const int64_t size : sizes) text += (text.empty() ? "" : ", ") + (size == kAny ? "*" : std::to_string(size));
  return "(" + text + (sizes.size() == 1 ? ",)" : ")");
}

inline void check_shape(const torch::stable::Tensor& t, const char* name, std::initializer_list<int64_t> shape) {
  const auto sizes = t.sizes();
  bool same = sizes.size() == shape.size();
  auto size = sizes.begin();
  for (auto wanted = shape.begin(); same && wanted != shape.end(); ++wanted, ++size) {
    same = *wanted == kAny || *wanted == *size;
  }
  if (!same) fail(name, "have shape " + to_string(shape), to_string(sizes));
}

inline void check_dtype(const torch::stable::Tensor& t, const char* name, torch::headeronly::ScalarType dtype) {
  if (t.scalar_type() != dtype) {
    fail(name, std::string("have dtype ") + torch::headeronly::toString(dtype),
         torch::headeronly::toString(t.scalar_type()));
  }
}

// Geometry is computed in its own precision: half types would move strokes by pixels.
inline void check_geometry_dtype(const torch::stable::Tensor& t, const char* name) {
  using torch::headeronly::ScalarType;
  if (t.scalar_type() != ScalarType::Float && t.scalar_type() != ScalarType::Double) {
    fail(name, "have dtype Float or Double", torch::headeronly::toString(t.scalar_type()));
  }
}

inline void check_device(const torch::stable::Tensor& t, const char* name, const torch::stable::Tensor& like,
                         const char* like_name) {
  if (t.is_cuda() != like.is_cuda() || t.is_cpu() != like.is_cpu() || t.get_device_index() != like.get_device_index()) {
    const auto index = [](const torch::stable::Tensor& x) {
      return (x.is_cpu() ? "cpu" : x.is_cuda() ? "cuda:" + std::to_string(x.get_device_index()) : "another device");
    };
    fail(name, std::string("be on the device of ") + like_name + " (" + index(like) + ")", index(t));
  }
}

}  // namespace neural_paint
