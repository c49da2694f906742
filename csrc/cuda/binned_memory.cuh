// Strokes set up and sorted into coarse tiles on a GPU, and the memory that they take.
#pragma once

#include "../tensors.h"
#include "bins.cuh"
#include "launch.cuh"

namespace neural_paint {

// On the current stream. The memory goes back to the caching allocator with this object, which hands it to nobody else
// before the stream is done with it.
template <typename Prepared>
class BinnedMemory {
 public:
  // `kernel` runs bin_body, and begins the sums of the strokes' gradients.
  template <typename Sums>
  BinnedMemory(const torch::stable::Tensor& on, const typename Prepared::Scene& scene,
               void (*kernel)(Bins<Prepared>, Sums), const Sums& sums)
      : strokes_(allocate(on, {scene.batch * Prepared::count(scene) * int64_t(sizeof(Prepared))}, Type::Byte)),
        binned_(scene, static_cast<Prepared*>(strokes_.mutable_data_ptr())),
        words_(allocate(on, {binned_.coarse_words()}, Type::Int)) {
    binned_.words = static_cast<uint32_t*>(words_.mutable_data_ptr());
    const int64_t warps = scene.batch * binned_.words_per_tile();
    launch_blocks(on, ceil_div(warps * 32, kBinThreads), kBinThreads, 0, kernel, binned_, sums);
  }

  const Bins<Prepared>& operator*() const { return binned_; }

 private:
  using Type = torch::headeronly::ScalarType;
  torch::stable::Tensor strokes_;
  Bins<Prepared> binned_;
  torch::stable::Tensor words_;
};

}  // namespace neural_paint
