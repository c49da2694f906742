// What the math headers need to compile alike under g++ and nvcc, and to work on one value or on a pack of lanes.
//
// Math is written once over a value type V: float or double here, a SIMD pack on the CPU (cpu/pack.h). It is
// branch-free: comparisons give a mask, `select` chooses. A pack brings its own overloads of the functions below.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#if defined(__CUDACC__)
#define NP_HOST_DEVICE __host__ __device__ __forceinline__
#define NP_RARE __host__ __device__ __forceinline__
// Before a loop whose index must be known to the compiler, so that what it indexes stays in registers.
#define NP_UNROLL _Pragma("unroll")
// Before one whose rounds must not be mixed, which takes registers.
#define NP_ROLL _Pragma("unroll 1")
#else
#define NP_UNROLL
#define NP_ROLL
#define NP_HOST_DEVICE inline __attribute__((always_inline))
// Seldom called: a function of its own on a CPU, so that the registers are left to what is called often.
#define NP_RARE inline
#endif

// Every instruction set of the CPU compiles the math in a namespace of its own: one function of theirs in common would
// be linked once, and carry the instructions of one into the path of another.
#ifndef NP_MATH_NAMESPACE
#define NP_MATH_NAMESPACE scalar
#endif
#define NP_MATH_BEGIN      \
  namespace neural_paint { \
  inline namespace NP_MATH_NAMESPACE {
#define NP_MATH_END \
  }                 \
  }

NP_MATH_BEGIN

// Lanes that a pack may have: none here but one number, 16 where there are packs.
#if defined(NP_VECTOR_BYTES)
constexpr int kMostLanes = 16;
#else
constexpr int kMostLanes = 1;
#endif

template <typename T>
NP_HOST_DEVICE T select(bool mask, T yes, T no) {
  return mask ? yes : no;
}

NP_HOST_DEVICE bool any(bool mask) { return mask; }
NP_HOST_DEVICE uint32_t bits(bool mask) { return mask; }

NP_HOST_DEVICE float square_root(float x) { return sqrtf(x); }
NP_HOST_DEVICE double square_root(double x) { return sqrt(x); }

// For what runs once a stroke; the math of a pixel calls none of them.
NP_HOST_DEVICE float exponential(float x) { return expf(x); }
NP_HOST_DEVICE double exponential(double x) { return exp(x); }
NP_HOST_DEVICE float cosine(float x) { return cosf(x); }
NP_HOST_DEVICE double cosine(double x) { return cos(x); }
NP_HOST_DEVICE float sine(float x) { return sinf(x); }
NP_HOST_DEVICE double sine(double x) { return sin(x); }

// A comparison with NaN is false, so all three return their last argument for a NaN `x`.
template <typename V>
NP_HOST_DEVICE V maximum(V x, V low) {
  return select(x > low, x, low);
}

template <typename V>
NP_HOST_DEVICE V minimum(V x, V high) {
  return select(x < high, x, high);
}

template <typename V>
NP_HOST_DEVICE V clamp(V x, V low, V high) {
  return minimum(maximum(x, low), high);
}

template <typename V>
NP_HOST_DEVICE V absolute(V x) {
  return maximum(x, V(0) - x);
}

// How a V lies in an array of T: one number here, `count` of them for a pack.
template <typename V>
struct Lanes {
  static constexpr int count = 1;
  static NP_HOST_DEVICE V from(int first) { return V(first); }  // first, first + 1, ...
  static NP_HOST_DEVICE V load(const V* from) { return *from; }
  static NP_HOST_DEVICE void store(V value, V* to) { *to = value; }
};

// Number of the lowest bit that is set, of at least one.
NP_HOST_DEVICE int lowest_bit(uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return __ffs(static_cast<int>(bits)) - 1;
#else
  return __builtin_ctz(bits);
#endif
}

template <typename V>
struct Vec2 {
  V x, y;
};

template <typename A, typename B>
NP_HOST_DEVICE auto dot(Vec2<A> a, Vec2<B> b) {
  return a.x * b.x + a.y * b.y;
}

template <typename A, typename B>
NP_HOST_DEVICE auto cross(Vec2<A> a, Vec2<B> b) {
  return a.x * b.y - a.y * b.x;
}

NP_MATH_END
