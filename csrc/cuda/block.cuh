// What a kernel body may ask of the block that runs it. Bodies are templates over the block,
//
//   template <typename Block>
//   NP_KERNEL_BODY void body(Block& block, Arguments arguments);
//
// so that one text runs on a GPU, over DeviceBlock, and under the sanitizers of a CPU, over HostBlock
// (tests/emulator/emulator.h). Blocks are one-dimensional and a multiple of 32 threads. Collectives of a warp take all
// 32 lanes, those of a block all threads, at the same place in the code.
#pragma once

#include <cstdint>
#include <type_traits>

#if defined(__CUDACC__)
#define NP_KERNEL_BODY __device__ __forceinline__
#else
#define NP_KERNEL_BODY inline
#endif

#if defined(__CUDACC__)
namespace neural_paint {

struct DeviceBlock {
  __device__ __forceinline__ int thread() const { return static_cast<int>(threadIdx.x); }
  __device__ __forceinline__ int threads() const { return static_cast<int>(blockDim.x); }
  __device__ __forceinline__ int64_t index() const { return blockIdx.x; }
  __device__ __forceinline__ int lane() const { return thread() & 31; }
  __device__ __forceinline__ int warp() const { return thread() >> 5; }

  // Barriers of the block. sync_or: whether `value` holds for any of its threads.
  __device__ __forceinline__ void sync() { __syncthreads(); }
  __device__ __forceinline__ bool sync_or(bool value) { return __syncthreads_or(value) != 0; }

  __device__ __forceinline__ void sync_warp() { __syncwarp(); }
  __device__ __forceinline__ uint32_t ballot(bool value) { return __ballot_sync(kAllLanes, value); }

  // `lane` and `mask` are in [0, 32).
  template <typename T>
  __device__ __forceinline__ T shuffle(T value, int lane) {
    return __shfl_sync(kAllLanes, value, lane);
  }
  template <typename T>
  __device__ __forceinline__ T shuffle_xor(T value, int mask) {
    return __shfl_xor_sync(kAllLanes, value, mask);
  }

  template <typename T>
  static __device__ __forceinline__ void atomic_add(T* to, T value) {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, int64_t>);
    if constexpr (std::is_same_v<T, int64_t>) {
      // CUDA adds 64-bit integers unsigned; in two's complement the sums have the same bits.
      atomicAdd(reinterpret_cast<unsigned long long*>(to), static_cast<unsigned long long>(value));
    } else {
      atomicAdd(to, value);
    }
  }

  // Dynamic shared memory, uninitialised.
  __device__ __forceinline__ char* shared() {
    extern __shared__ uint4 dynamic_shared_memory[];  // of a type that is 16-byte aligned
    return reinterpret_cast<char*>(dynamic_shared_memory);
  }

 private:
  static constexpr uint32_t kAllLanes = 0xffffffffu;
};

}  // namespace neural_paint
#endif
