// How every kernel is launched: on the caller's stream and device, in a grid-stride loop, not at all for empty input,
// and checked. The only <<<>>> of the library.
#pragma once

#include <cuda_runtime.h>
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

#include "../check.h"

// Weak, or the library would not load on CPU-only torch, which lacks it.
extern "C" __attribute__((weak)) AOTITorchError aoti_torch_get_current_cuda_stream(int32_t device_index, void** stream);

namespace neural_paint {

constexpr int kThreads = 256;

// Dynamic shared memory that a kernel gets without asking.
constexpr size_t kSharedBytes = 48 << 10;

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

// Runs `blocks` blocks of a kernel on the device of `on`.
template <typename... Parameters, typename... Arguments>
void launch_blocks(const torch::stable::Tensor& on, int64_t blocks, int threads, size_t shared_bytes,
                   void (*kernel)(Parameters...), const Arguments&... arguments) {
  if (blocks == 0) return;
  if (blocks > std::numeric_limits<int32_t>::max()) fail("number of tiles", "be below 2^31", blocks);
  const int32_t device_index = on.get_device_index();
  const torch::stable::accelerator::DeviceGuard guard(device_index);
  if (shared_bytes > kSharedBytes) {
    int most = 0;
    cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device_index);
    if (shared_bytes > size_t(most))
      fail("shared memory for so many channels", "be at most " + std::to_string(most) + " bytes on this GPU",
           shared_bytes);
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(shared_bytes));
  }
  kernel<<<static_cast<unsigned>(blocks), threads, shared_bytes, current_stream(device_index)>>>(arguments...);
  check_launch();
}

// Runs kernel(count, args...), about one thread per item of [0, count).
template <typename... Parameters, typename... Arguments>
void launch(const torch::stable::Tensor& on, int64_t count, void (*kernel)(int64_t, Parameters...),
            const Arguments&... arguments) {
  const int64_t blocks = std::min((count + kThreads - 1) / kThreads, kMaxBlocks);
  launch_blocks(on, blocks, kThreads, 0, kernel, count, arguments...);
}

// Calls body.operator()<T>() for the dtype of `geometry`.
template <typename F>
void with_precision(const torch::stable::Tensor& geometry, F&& body) {
  if (geometry.scalar_type() == torch::headeronly::ScalarType::Float) return body.template operator()<float>();
  body.template operator()<double>();
}

// Fills a contiguous tensor with zeros.
inline void clear(torch::stable::Tensor& tensor) {
  if (tensor.numel() == 0) return;
  const int32_t device_index = tensor.get_device_index();
  const torch::stable::accelerator::DeviceGuard guard(device_index);
  cudaMemsetAsync(tensor.mutable_data_ptr(), 0, tensor.numel() * tensor.element_size(), current_stream(device_index));
  check_launch();
}

// for (i of this thread's items): every thread's share of [0, count).
#define NP_GRID_STRIDE(i, count) \
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < (count); i += int64_t(gridDim.x) * blockDim.x)

}  // namespace neural_paint
