// The logistic function, value and slope, to a few units in the last place on all of the line.
#pragma once

#include <cstring>
#include <limits>

#include "portable.h"

NP_MATH_BEGIN

// A power of 2 is put together of its exponent's bits. A number of this size has no room for a fraction: what is added
// to it leaves its nearest integer n in the lowest bits, and there the exponent of 2^n, which is n + 127 in float.
template <typename T>
constexpr T kExponentOfOne = T(std::numeric_limits<T>::max_exponent - 1);
template <typename T>
constexpr T kExponentShift = T(int64_t(3) << (std::numeric_limits<T>::digits - 2)) + kExponentOfOne<T>;

NP_HOST_DEVICE float power_from_low_bits(float x) {
  uint32_t word;
  std::memcpy(&word, &x, sizeof(word));
  word <<= std::numeric_limits<float>::digits - 1;
  std::memcpy(&x, &word, sizeof(word));
  return x;
}
NP_HOST_DEVICE double power_from_low_bits(double x) {
  uint64_t word;
  std::memcpy(&word, &x, sizeof(word));
  word <<= std::numeric_limits<double>::digits - 1;
  std::memcpy(&x, &word, sizeof(word));
  return x;
}

// What e^x needs of each precision.
template <typename T>
struct Exponential;
template <>
struct Exponential<float> {
  static constexpr int degree = 7;
  // Below it e^x is not a normal number, and taken for 0.
  static constexpr float lowest = -87;
  // log 2 in two parts: a multiple of the first by an exponent is exact.
  static constexpr float log2_high = 0x1.63p-1f, log2_low = -0x1.bd0106p-13f;
};
template <>
struct Exponential<double> {
  static constexpr int degree = 13;
  static constexpr double lowest = -708;
  static constexpr double log2_high = 0x1.62e42ffp-1, log2_low = -0x1.718432a1b0e26p-35;
};

constexpr double factorial(int n) { return n > 1 ? n * factorial(n - 1) : 1; }

// e^x for x <= 0: 2^n e^r with |r| <= log(2) / 2, and there Taylor's series. NaN for NaN.
template <typename T, typename V>
NP_HOST_DEVICE V exponential(V x) {
  using Of = Exponential<T>;
  const V shifted = maximum(x, V(Of::lowest)) * V(T(1.4426950408889634)) + V(kExponentShift<T>);
  const V n = shifted - V(kExponentShift<T>);
  const V r = (x - n * V(Of::log2_high)) - n * V(Of::log2_low);
  V sum(T(1 / factorial(Of::degree)));
  NP_UNROLL
  for (int k = Of::degree - 1; k >= 0; --k) sum = sum * r + V(T(1 / factorial(k)));
  return select(x < V(Of::lowest), V(0), sum * power_from_low_bits(shifted));
}

template <typename V>
struct Sigmoid {
  V value, slope;
};

// 1 / (1 + e^-x): from e^-|x|, so that neither tail is a difference of numbers near 1.
template <typename T, typename V>
NP_HOST_DEVICE Sigmoid<V> sigmoid(V x) {
  const V small = exponential<T>(V(0) - absolute(x)), upper = V(1) / (V(1) + small), lower = small * upper;
  return {select(x > V(0), upper, lower), upper * lower};
}

NP_MATH_END
