// Sums that are the same to the bit in whatever order their terms come: whole numbers of the least float's size, as
// wide as floats reach, in digits of 32 bits that are added to by atomics on integers. Nothing is rounded before the
// end, nothing needs to be known of the terms, and one pass over them does.
//
// U. Kulisch, W. L. Miranker, The Arithmetic of the Digital Computer: A New Approach, SIAM Review 28(1), 1986.
#pragma once

#include <cstring>
#include <limits>

#include "../portable.h"
#include "block.cuh"

NP_MATH_BEGIN

template <typename T>
struct ExactSums {
  static_assert(std::numeric_limits<T>::is_iec559 && (sizeof(T) == 4 || sizeof(T) == 8));
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  // Bits of a float's fraction, the exponent of inf and NaN, and the least float as a power of two.
  static constexpr int kFraction = std::numeric_limits<T>::digits - 1;
  static constexpr int kLargest = (1 << (8 * sizeof(T) - 1 - kFraction)) - 1;
  static constexpr int kUnit = std::numeric_limits<T>::min_exponent - 1 - kFraction;
  static constexpr int kDigits = (kLargest - 2 + std::numeric_limits<T>::digits + 31) / 32;

  // (kDigits + 1, count), zero at first: digit by digit, and how many terms were not finite. Null: not in use. A digit
  // holds what 2^30 terms may add to it.
  int64_t* digits = nullptr;
  int64_t count = 0;

  static constexpr int64_t kPlanes = kDigits + 1;

  template <typename Block>
  NP_KERNEL_BODY void add(Block& block, int64_t i, T value) const {
    Bits bits;
    std::memcpy(&bits, &value, sizeof(T));
    const int exponent = static_cast<int>(bits >> kFraction) & kLargest;
    if (exponent == kLargest) {
      block.atomic_add(digits + kDigits * count + i, int64_t(1));
      return;
    }
    const bool normal = exponent > 0, negative = value < T(0);
    // |value| = whole * 2^(place + kUnit)
    uint64_t whole = (bits & ((Bits(1) << kFraction) - 1)) | Bits(normal) << kFraction;
    const int place = exponent - normal;
    int64_t* to = digits + place / 32 * count + i;
    for (; whole != 0; whole = sizeof(T) == 4 ? 0 : whole >> 32, to += count) {
      const uint64_t part = (whole & 0xffffffffu) << (place % 32);
      const int64_t low = int64_t(part & 0xffffffffu), high = int64_t(part >> 32);
      if (low != 0) block.atomic_add(to, negative ? -low : low);
      if (high != 0) block.atomic_add(to + count, negative ? -high : high);
    }
  }

  // Rounded at last; NaN if some term was not finite.
  NP_HOST_DEVICE T sum(int64_t i) const {
    if (digits[kDigits * count + i] != 0) return std::numeric_limits<T>::quiet_NaN();
    int64_t carry = 0;
    NP_ROLL
    for (int d = 0; d < kDigits; ++d) carry = (digits[d * count + i] + carry) >> 32;
    const int64_t sign = carry < 0 ? -1 : 1;
    // The same once more, of the absolute value. Three digits from the first that is not zero hold more than a float.
    double last[3] = {}, first[3] = {};
    int first_place = 0;
    carry = 0;
    NP_ROLL
    for (int d = 0; d <= kDigits; ++d) {
      const int64_t value = (d < kDigits ? sign * digits[d * count + i] : 0) + carry;
      carry = value >> 32;
      last[2] = last[1];
      last[1] = last[0];
      last[0] = double(value & 0xffffffff);
      if (last[0] == 0) continue;
      first_place = d;
      for (int j = 0; j < 3; ++j) first[j] = last[j];
    }
    const double kept = (first[0] * 4294967296. + first[1]) * 4294967296. + first[2];
    // In two halves, as the power alone may be beyond what a double holds.
    const int power = 32 * (first_place - 2) + kUnit, half = power / 2;
    return T(double(sign) * kept * power_of_two(half) * power_of_two(power - half));
  }

 private:
  static NP_HOST_DEVICE double power_of_two(int power) {
    const uint64_t bits = uint64_t(power + 1023) << 52;
    double out;
    std::memcpy(&out, &bits, sizeof(out));
    return out;
  }
};

NP_MATH_END
