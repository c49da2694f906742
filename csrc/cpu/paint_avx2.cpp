// paint for CPUs with AVX2 and FMA, in single precision.
#define NP_MATH_NAMESPACE avx2
#define NP_VECTOR_BYTES 32
#include "paint_call.h"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#include "paint_kernels.h"

namespace neural_paint {
const PaintKernels kAvx2Paint{paint_forward<float>, paint_backward<float>};
}  // namespace neural_paint
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
