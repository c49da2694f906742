// How every kernel is launched: on the caller's stream and device, in a grid-stride loop, not at all for empty input,
// and checked. The only <<<>>> of the library.
#pragma once

#include <cuda_runtime.h>
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>

// Weak, or the library would not load on CPU-only torch, which lacks it.
extern "C" __attribute__((weak)) AOTITorchError aoti_torch_get_current_cuda_stream(int32_t device_index, void** stream);

namespace neural_paint {

constexpr int kThreads = 256;

// Enough to fill any GPU many times over; the kernels loop over what is left.
constexpr int64_t kMaxBlocks = 1 << 16;

inline cudaStream_t current_stream(int32_t device_index) {
  void* stream = nullptr;
  if (!aoti_torch_get_current_cuda_stream || aoti_torch_get_current_cuda_stream(device_index, &stream) != 0) {
    throw std::runtime_error("torch must have been built with CUDA to run a CUDA kernel");
  }
  return static_cast<cudaStream_t>(stream);
}

inline void check_launch() {
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) throw std::runtime_error(std::string("CUDA launch failed: ") + cudaGetErrorString(error));
}

// Runs kernel(count, args...) on the device of `on`, about one thread per item of [0, count).
template <typename... Parameters, typename... Arguments>
void launch(const torch::stable::Tensor& on, int64_t count, void (*kernel)(int64_t, Parameters...),
            const Arguments&... arguments) {
  if (count == 0) return;
  const int32_t device_index = on.get_device_index();
  const torch::stable::accelerator::DeviceGuard guard(device_index);
  const int64_t blocks = std::min((count + kThreads - 1) / kThreads, kMaxBlocks);
  kernel<<<static_cast<unsigned>(blocks), kThreads, 0, current_stream(device_index)>>>(count, arguments...);
  check_launch();
}

// for (i of this thread's items): every thread's share of [0, count).
#define NP_GRID_STRIDE(i, count) \
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < (count); i += int64_t(gridDim.x) * blockDim.x)

}  // namespace neural_paint
