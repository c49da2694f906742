// W lanes of T that the math headers take in place of a float: GCC and Clang vector extensions, so every instruction
// set compiles it. Lanes are pixels side by side.
#pragma once

#include <type_traits>

#include "../portable.h"

namespace neural_paint {

template <typename T, int W>
struct Pack {
  typedef T Lanes __attribute__((vector_size(W * sizeof(T))));
  Lanes lanes;

  Pack() = default;
  NP_HOST_DEVICE Pack(Lanes values) : lanes(values) {}
  template <typename U>
    requires std::is_arithmetic_v<U>
  NP_HOST_DEVICE explicit Pack(U value) {
    for (int i = 0; i < W; ++i) lanes[i] = static_cast<T>(value);
  }

  static NP_HOST_DEVICE Pack load(const T* from) {
    Pack pack;
    __builtin_memcpy(&pack.lanes, from, sizeof(Lanes));
    return pack;
  }
  NP_HOST_DEVICE void store(T* to) const { __builtin_memcpy(to, &lanes, sizeof(Lanes)); }

  // first, first + step, first + 2 step, ...
  static NP_HOST_DEVICE Pack sequence(T first, T step) {
    Pack pack;
    for (int i = 0; i < W; ++i) pack.lanes[i] = first + T(i) * step;
    return pack;
  }

  NP_HOST_DEVICE T sum() const {
    T total = lanes[0];
    for (int i = 1; i < W; ++i) total += lanes[i];
    return total;
  }

  NP_HOST_DEVICE Pack& operator+=(Pack b) {
    lanes += b.lanes;
    return *this;
  }
  friend NP_HOST_DEVICE Pack operator+(Pack a, Pack b) { return a.lanes + b.lanes; }
  friend NP_HOST_DEVICE Pack operator-(Pack a, Pack b) { return a.lanes - b.lanes; }
  friend NP_HOST_DEVICE Pack operator*(Pack a, Pack b) { return a.lanes * b.lanes; }
  friend NP_HOST_DEVICE Pack operator/(Pack a, Pack b) { return a.lanes / b.lanes; }
};

// The result of a comparison: all bits of a lane set, or none.
template <typename T, int W>
struct Mask {
  using Lanes = decltype(typename Pack<T, W>::Lanes{} < typename Pack<T, W>::Lanes{});
  Lanes lanes;

  friend NP_HOST_DEVICE Mask operator&(Mask a, Mask b) { return {a.lanes & b.lanes}; }
  friend NP_HOST_DEVICE Mask operator|(Mask a, Mask b) { return {a.lanes | b.lanes}; }
};

template <typename T, int W>
NP_HOST_DEVICE Mask<T, W> operator<(Pack<T, W> a, Pack<T, W> b) {
  return {a.lanes < b.lanes};
}
template <typename T, int W>
NP_HOST_DEVICE Mask<T, W> operator>(Pack<T, W> a, Pack<T, W> b) {
  return {a.lanes > b.lanes};
}
template <typename T, int W>
NP_HOST_DEVICE Mask<T, W> operator<=(Pack<T, W> a, Pack<T, W> b) {
  return {a.lanes <= b.lanes};
}
template <typename T, int W>
NP_HOST_DEVICE Mask<T, W> operator==(Pack<T, W> a, Pack<T, W> b) {
  return {a.lanes == b.lanes};
}

template <typename T, int W>
NP_HOST_DEVICE Pack<T, W> select(Mask<T, W> mask, Pack<T, W> yes, Pack<T, W> no) {
  return mask.lanes ? yes.lanes : no.lanes;
}

template <typename T, int W>
NP_HOST_DEVICE bool any(Mask<T, W> mask) {
  auto folded = mask.lanes[0];
  for (int i = 1; i < W; ++i) folded |= mask.lanes[i];
  return folded != 0;
}

template <typename T, int W>
NP_HOST_DEVICE bool all(Mask<T, W> mask) {
  auto folded = mask.lanes[0];
  for (int i = 1; i < W; ++i) folded &= mask.lanes[i];
  return folded != 0;
}

template <typename T, int W>
NP_HOST_DEVICE Pack<T, W> square_root(Pack<T, W> x) {
  Pack<T, W> root;
  for (int i = 0; i < W; ++i) root.lanes[i] = square_root(x.lanes[i]);
  return root;
}

}  // namespace neural_paint
