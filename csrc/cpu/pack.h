// W lanes of T that the math headers take in place of a float, in one or more vector registers side by side: GCC and
// Clang vector extensions, which every instruction set compiles, and intrinsics for what they lack or spell badly.
#pragma once

#include "../portable.h"

NP_MATH_BEGIN

// Bytes in a vector register of the instruction set that this file is being compiled for. A macro of our own: `#pragma
// target` comes too late for the compiler's.
#if !defined(NP_VECTOR_BYTES)
#error "NP_VECTOR_BYTES must be defined before the first header"
#endif

template <typename T>
struct Register {
  static constexpr int lanes = NP_VECTOR_BYTES / int(sizeof(T)), side_by_side = 2;
  typedef T Value __attribute__((vector_size(NP_VECTOR_BYTES)));
  using Mask = decltype(Value{} < Value{});

  static NP_HOST_DEVICE Value maximum(Value a, Value b) { return a > b ? a : b; }
  static NP_HOST_DEVICE Value minimum(Value a, Value b) { return a < b ? a : b; }
  static NP_HOST_DEVICE Value absolute(Value a) { return maximum(a, -a); }
  static NP_HOST_DEVICE Value square_root(Value a) {
    for (int i = 0; i < lanes; ++i) a[i] = neural_paint::square_root(a[i]);
    return a;
  }
  static NP_HOST_DEVICE uint32_t bits(Mask mask) {
    uint32_t out = 0;
    for (int i = 0; i < lanes; ++i) out |= uint32_t(mask[i] & 1) << i;
    return out;
  }
  static NP_HOST_DEVICE Value gather(const T* from, const int32_t* index) {
    Value out;
    for (int i = 0; i < lanes; ++i) out[i] = from[index[i]];
    return out;
  }
  // from[index] and from[index + 1].
  static NP_HOST_DEVICE void gather_pairs(const T* from, const int32_t* index, Value& left, Value& right) {
    left = gather(from, index);
    right = gather(from + 1, index);
  }
};

// max and min give the second operand for a NaN, as portable.h asks.
#if defined(__x86_64__)
template <>
struct Register<float> {
  static constexpr int lanes = NP_VECTOR_BYTES / 4, side_by_side = 2;
  typedef float Value __attribute__((vector_size(NP_VECTOR_BYTES)));
  using Mask = decltype(Value{} < Value{});
#if NP_VECTOR_BYTES == 64
  static NP_HOST_DEVICE Value maximum(Value a, Value b) { return _mm512_max_ps(a, b); }
  static NP_HOST_DEVICE Value minimum(Value a, Value b) { return _mm512_min_ps(a, b); }
  static NP_HOST_DEVICE Value absolute(Value a) { return _mm512_abs_ps(a); }
  static NP_HOST_DEVICE Value square_root(Value a) { return _mm512_sqrt_ps(a); }
  static NP_HOST_DEVICE uint32_t bits(Mask a) { return _mm512_movepi32_mask((__m512i)a); }
  static NP_HOST_DEVICE Value gather(const float* from, const int32_t* index) {
    return _mm512_i32gather_ps(_mm512_loadu_si512(index), from, 4);
  }
  static NP_HOST_DEVICE void gather_pairs(const float* from, const int32_t* index, Value& left, Value& right) {
    const auto pairs = [&](int first) __attribute__((always_inline)) {
      const __m256i at = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(index + first));
      return _mm512_castpd_ps(_mm512_i32gather_pd(at, from, 4));
    };
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    const __m512 low = pairs(0), high = pairs(8);
    left = _mm512_permutex2var_ps(low, even, high);
    right = _mm512_permutex2var_ps(low, odd, high);
  }
#elif NP_VECTOR_BYTES == 32
  static NP_HOST_DEVICE Value maximum(Value a, Value b) { return _mm256_max_ps(a, b); }
  static NP_HOST_DEVICE Value minimum(Value a, Value b) { return _mm256_min_ps(a, b); }
  static NP_HOST_DEVICE Value absolute(Value a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
  static NP_HOST_DEVICE Value square_root(Value a) { return _mm256_sqrt_ps(a); }
  static NP_HOST_DEVICE uint32_t bits(Mask a) { return uint32_t(_mm256_movemask_ps((__m256)a)); }
  static NP_HOST_DEVICE Value gather(const float* from, const int32_t* index) {
    return _mm256_i32gather_ps(from, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(index)), 4);
  }
  static NP_HOST_DEVICE void gather_pairs(const float* from, const int32_t* index, Value& left, Value& right) {
    // No gather: it is slow where the CPU is patched against leaks through it.
    const auto two = [&](int first) __attribute__((always_inline)) {
      const __m128d low = _mm_load_sd(reinterpret_cast<const double*>(from + index[first]));
      return _mm_loadh_pd(low, reinterpret_cast<const double*>(from + index[first + 1]));
    };
    const auto pairs = [&](int first) __attribute__((always_inline)) {
      return _mm256_castpd_ps(_mm256_insertf128_pd(_mm256_castpd128_pd256(two(first)), two(first + 4), 1));
    };
    const __m256 low = pairs(0), high = pairs(2);
    left = _mm256_shuffle_ps(low, high, 0x88);
    right = _mm256_shuffle_ps(low, high, 0xDD);
  }
#else
  static NP_HOST_DEVICE Value maximum(Value a, Value b) { return _mm_max_ps(a, b); }
  static NP_HOST_DEVICE Value minimum(Value a, Value b) { return _mm_min_ps(a, b); }
  static NP_HOST_DEVICE Value absolute(Value a) { return _mm_andnot_ps(_mm_set1_ps(-0.0f), a); }
  static NP_HOST_DEVICE Value square_root(Value a) { return _mm_sqrt_ps(a); }
  static NP_HOST_DEVICE uint32_t bits(Mask a) { return uint32_t(_mm_movemask_ps((__m128)a)); }
  static NP_HOST_DEVICE Value gather(const float* from, const int32_t* index) {
    return _mm_setr_ps(from[index[0]], from[index[1]], from[index[2]], from[index[3]]);
  }
  static NP_HOST_DEVICE void gather_pairs(const float* from, const int32_t* index, Value& left, Value& right) {
    const auto pairs = [&](int first) __attribute__((always_inline)) {
      const __m128 low = _mm_loadl_pi(_mm_setzero_ps(), reinterpret_cast<const __m64*>(from + index[first]));
      return _mm_loadh_pi(low, reinterpret_cast<const __m64*>(from + index[first + 1]));
    };
    const __m128 low = pairs(0), high = pairs(2);
    left = _mm_shuffle_ps(low, high, 0x88);
    right = _mm_shuffle_ps(low, high, 0xDD);
  }
#endif
};
#elif defined(__aarch64__)
template <>
struct Register<float> {
  static constexpr int lanes = 4, side_by_side = 4;  // of 32 registers
  typedef float Value __attribute__((vector_size(16)));
  using Mask = decltype(Value{} < Value{});

  // Of a number and a NaN these give the number, so the second operand for a NaN first one. No caller has a NaN second.
  static NP_HOST_DEVICE Value maximum(Value a, Value b) { return (Value)vmaxnmq_f32((float32x4_t)a, (float32x4_t)b); }
  static NP_HOST_DEVICE Value minimum(Value a, Value b) { return (Value)vminnmq_f32((float32x4_t)a, (float32x4_t)b); }
  static NP_HOST_DEVICE Value absolute(Value a) { return (Value)vabsq_f32((float32x4_t)a); }
  static NP_HOST_DEVICE Value square_root(Value a) { return (Value)vsqrtq_f32((float32x4_t)a); }
  static NP_HOST_DEVICE uint32_t bits(Mask a) { return vaddvq_u32((uint32x4_t)(a & Mask{1, 2, 4, 8})); }
  static NP_HOST_DEVICE Value gather(const float* from, const int32_t* index) {
    return Value{from[index[0]], from[index[1]], from[index[2]], from[index[3]]};
  }
  static NP_HOST_DEVICE void gather_pairs(const float* from, const int32_t* index, Value& left, Value& right) {
    const auto pairs = [&](int first) __attribute__((always_inline)) {
      return vcombine_f32(vld1_f32(from + index[first]), vld1_f32(from + index[first + 1]));
    };
    const float32x4_t low = pairs(0), high = pairs(2);
    left = (Value)vuzp1q_f32(low, high);
    right = (Value)vuzp2q_f32(low, high);
  }
};
#endif

// Registers side by side hide the latency of the long chains of the search for t*; 16 lanes are a whole 4 x 4 block.
template <typename T>
constexpr int kLanes = std::min(Register<T>::side_by_side * Register<T>::lanes, 16);

// The result of a comparison: all bits of a lane set, or none.
template <typename T, int W>
struct Mask {
  static constexpr int registers = W / Register<T>::lanes;
  typename Register<T>::Mask part[registers];

  NP_HOST_DEVICE bool operator[](int lane) const {
    return part[lane / Register<T>::lanes][lane % Register<T>::lanes] != 0;
  }
  friend NP_HOST_DEVICE Mask operator&(Mask a, Mask b) {
    for (int r = 0; r < registers; ++r) a.part[r] &= b.part[r];
    return a;
  }
  friend NP_HOST_DEVICE Mask operator|(Mask a, Mask b) {
    for (int r = 0; r < registers; ++r) a.part[r] |= b.part[r];
    return a;
  }
};

// Of neighbours in memory.
template <typename V>
struct Pair {
  V left, right;
};

// What returns a pack, or a struct of no more than one, must be inlined: GCC 12 clears the upper part of a register of
// AVX-512 before it returns a struct in it.
template <typename T, int W>
struct Pack {
  static constexpr int registers = W / Register<T>::lanes;
  using Lanes = typename Register<T>::Value;
  // Not memcpy: GCC copies half a register at a time, and the whole one waits for both halves to leave the store queue.
  typedef Lanes Unaligned __attribute__((aligned(alignof(T)), may_alias));
  Lanes part[registers];

  Pack() = default;
  // Minus zero: exact, and the compiler sees one broadcast where it would fill a vector lane by lane.
  template <typename U>
    requires std::is_arithmetic_v<U>
  NP_HOST_DEVICE explicit Pack(U value) {
    for (int r = 0; r < registers; ++r) part[r] = static_cast<T>(value) - Lanes{};
  }

  static NP_HOST_DEVICE Pack load(const T* from) {
    Pack pack;
    for (int r = 0; r < registers; ++r) pack.part[r] = reinterpret_cast<const Unaligned*>(from)[r];
    return pack;
  }
  static NP_HOST_DEVICE Pack gather(const T* from, const int32_t* index) {
    Pack pack;
    for (int r = 0; r < registers; ++r) pack.part[r] = Register<T>::gather(from, index + r * Register<T>::lanes);
    return pack;
  }
  // from[index] and from[index + 1].
  static NP_HOST_DEVICE Pair<Pack> gather_pairs(const T* from, const int32_t* index) {
    Pair<Pack> out;
    for (int r = 0; r < registers; ++r)
      Register<T>::gather_pairs(from, index + r * Register<T>::lanes, out.left.part[r], out.right.part[r]);
    return out;
  }
  NP_HOST_DEVICE void store(T* to) const {
    for (int r = 0; r < registers; ++r) reinterpret_cast<Unaligned*>(to)[r] = part[r];
  }

  NP_HOST_DEVICE T operator[](int lane) const { return part[lane / Register<T>::lanes][lane % Register<T>::lanes]; }

  NP_HOST_DEVICE T sum() const {
    Lanes total = part[0];
    for (int r = 1; r < registers; ++r) total += part[r];
    T out = total[0];
    for (int i = 1; i < Register<T>::lanes; ++i) out += total[i];
    return out;
  }

#define NP_ELEMENTWISE(op)                                          \
  friend NP_HOST_DEVICE Pack operator op(Pack a, Pack b) {          \
    for (int r = 0; r < registers; ++r) a.part[r] op## = b.part[r]; \
    return a;                                                       \
  }
  NP_ELEMENTWISE(+)
  NP_ELEMENTWISE(-)
  NP_ELEMENTWISE(*)
  NP_ELEMENTWISE(/)
#undef NP_ELEMENTWISE
  NP_HOST_DEVICE Pack& operator+=(Pack b) { return *this = *this + b; }

#define NP_COMPARISON(op)                                                      \
  friend NP_HOST_DEVICE Mask<T, W> operator op(Pack a, Pack b) {               \
    Mask<T, W> mask;                                                           \
    for (int r = 0; r < registers; ++r) mask.part[r] = a.part[r] op b.part[r]; \
    return mask;                                                               \
  }
  NP_COMPARISON(<)
  NP_COMPARISON(>)
  NP_COMPARISON(<=)
#undef NP_COMPARISON
};

template <typename T, int W>
NP_HOST_DEVICE Pack<T, W> select(Mask<T, W> mask, Pack<T, W> yes, Pack<T, W> no) {
  for (int r = 0; r < mask.registers; ++r) no.part[r] = mask.part[r] ? yes.part[r] : no.part[r];
  return no;
}

template <typename T, int W>
NP_HOST_DEVICE Pack<T, W> maximum(Pack<T, W> x, Pack<T, W> low) {
  for (int r = 0; r < x.registers; ++r) x.part[r] = Register<T>::maximum(x.part[r], low.part[r]);
  return x;
}

template <typename T, int W>
NP_HOST_DEVICE Pack<T, W> minimum(Pack<T, W> x, Pack<T, W> high) {
  for (int r = 0; r < x.registers; ++r) x.part[r] = Register<T>::minimum(x.part[r], high.part[r]);
  return x;
}

template <typename T, int W>
NP_HOST_DEVICE Pack<T, W> absolute(Pack<T, W> x) {
  for (int r = 0; r < x.registers; ++r) x.part[r] = Register<T>::absolute(x.part[r]);
  return x;
}

template <typename T, int W>
NP_HOST_DEVICE Pack<T, W> square_root(Pack<T, W> x) {
  for (int r = 0; r < x.registers; ++r) x.part[r] = Register<T>::square_root(x.part[r]);
  return x;
}

// The bits of each number moved up to where its exponent stands: see sigmoid.h.
template <typename T, int W>
NP_HOST_DEVICE Pack<T, W> power_from_low_bits(Pack<T, W> x) {
  using Words = typename Register<T>::Mask;
  for (int r = 0; r < x.registers; ++r)
    x.part[r] = (typename Register<T>::Value)((Words)x.part[r] << (std::numeric_limits<T>::digits - 1));
  return x;
}

template <typename T, int W>
struct Lanes<Pack<T, W>> {
  static constexpr int count = W;
  alignas(64) T index[W];

  constexpr Lanes() : index() {
    for (int i = 0; i < W; ++i) index[i] = T(i);
  }
  static NP_HOST_DEVICE Pack<T, W> from(int first) {
    static constexpr Lanes lanes;
    return Pack<T, W>::load(lanes.index) + Pack<T, W>(first);
  }
  static NP_HOST_DEVICE Pack<T, W> load(const T* from) { return Pack<T, W>::load(from); }
  static NP_HOST_DEVICE void store(Pack<T, W> value, T* to) { value.store(to); }
};

// One bit a lane.
template <typename T, int W>
NP_HOST_DEVICE uint32_t bits(Mask<T, W> mask) {
  uint32_t out = 0;
  for (int r = 0; r < mask.registers; ++r) out |= Register<T>::bits(mask.part[r]) << (r * Register<T>::lanes);
  return out;
}

template <typename T, int W>
NP_HOST_DEVICE bool any(Mask<T, W> mask) {
  return bits(mask) != 0;
}

template <typename T, int W>
NP_HOST_DEVICE bool all(Mask<T, W> mask) {
  return bits(mask) == (uint32_t(1) << W) - 1;
}

NP_MATH_END
