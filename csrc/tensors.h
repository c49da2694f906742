// Tensors made and reshaped for less than the dispatcher takes: torch::stable::new_empty asks it for the operator by
// name, a microsecond for each of a dozen outputs.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <stdexcept>

namespace neural_paint {

// torch's own macro for this has another name in each of its versions.
inline void check_made(AOTITorchError error) {
  if (error != AOTI_TORCH_SUCCESS) throw std::runtime_error("torch could not make a tensor");
}

// On the device of `like`, and of its dtype unless another is given; not filled.
inline torch::stable::Tensor allocate(const torch::stable::Tensor& like, torch::headeronly::IntHeaderOnlyArrayRef size,
                                      std::optional<torch::headeronly::ScalarType> dtype = std::nullopt) {
  int32_t type = torch::stable::detail::to<int32_t>(torch::stable::detail::from(dtype.value_or(like.scalar_type())));
  AtenTensorHandle out;
  check_made(aoti_torch_aten_new_empty(like.get(), size.data(), static_cast<int64_t>(size.size()), &type, nullptr,
                                       nullptr, 0, nullptr, &out));
  return torch::stable::Tensor(out);
}

// The memory of `tensor` under another shape.
inline torch::stable::Tensor view(const torch::stable::Tensor& tensor, std::initializer_list<int64_t> sizes,
                                  std::initializer_list<int64_t> strides) {
  AtenTensorHandle out;
  check_made(aoti_torch__reinterpret_tensor(tensor.get(), static_cast<int64_t>(sizes.size()), sizes.begin(),
                                            strides.begin(), 0, &out));
  return torch::stable::Tensor(out);
}

}  // namespace neural_paint
