// Gradients as sums over pixels: over the lanes of a warp, and over all warps of all blocks.
#pragma once

#include "block.cuh"
#include "exact_sum.cuh"

NP_MATH_BEGIN

// Sums v[s] over the lanes of a warp, for N a power of two up to 32: lane l gets that of s = l N / 32. Each step halves
// what is left to send, 16 exchanges for 16 values where sums one by one take 80.
template <int N, int Mask = 16, typename Block, typename T, int Size>
NP_KERNEL_BODY T sum_transposed(Block& block, T (&v)[Size]) {
  if constexpr (N > 1) {
    constexpr int half = N / 2;
    const bool upper = block.lane() & Mask;
    NP_UNROLL
    for (int i = 0; i < half; ++i) {
      const T sent = upper ? v[i] : v[i + half], kept = upper ? v[i + half] : v[i];
      v[i] = kept + block.shuffle_xor(sent, Mask);
    }
  } else {
    v[0] += block.shuffle_xor(v[0], Mask);
  }
  if constexpr (Mask > 1)
    return sum_transposed<(N > 1 ? N / 2 : 1), Mask / 2>(block, v);
  else
    return v[0];
}

// Sums over all warps: of the numbers of every stroke's gradient, and of texels. `Fields` says how many numbers a
// stroke has, `size()`, and where the sum of the i-th is, `at(stroke, i)`: null where it is not wanted.
template <typename T, typename Fields>
struct GradientSums : Fields {
  T* texture = nullptr;  // null: not wanted
  int64_t strokes = 0, texels = 0;
  // In use where the last bits must not depend on the order of the additions: (strokes, size) and the texels.
  ExactSums<T> exact;

  NP_HOST_DEVICE int64_t numbers() const { return strokes * this->size() + texels; }

  // The sums of a stroke's gradient begin.
  NP_HOST_DEVICE void clear(int64_t stroke) const {
    for (int i = 0; i < this->size(); ++i)
      if (T* const to = this->at(stroke, i)) *to = T(0);
  }

  template <typename Block>
  NP_KERNEL_BODY void add(Block& block, int64_t stroke, int i, T value) const {
    if (exact.digits != nullptr) {
      exact.add(block, stroke * this->size() + i, value);
    } else if (T* const to = this->at(stroke, i)) {
      block.atomic_add(to, value);
    }
  }

  template <typename Block>
  NP_KERNEL_BODY void add_texel(Block& block, int64_t texel, T value) const {
    if (texture == nullptr) return;
    if (exact.digits != nullptr) {
      exact.add(block, strokes * this->size() + texel, value);
    } else {
      block.atomic_add(texture + texel, value);
    }
  }

  // Writes number i of all, once everything is added to `exact`.
  NP_HOST_DEVICE void round(int64_t i) const {
    const int64_t stroke = i / this->size();
    T* const to = stroke < strokes ? this->at(stroke, int(i % this->size())) : texture + (i - strokes * this->size());
    if (to != nullptr) *to = exact.sum(i);
  }
};

NP_MATH_END
