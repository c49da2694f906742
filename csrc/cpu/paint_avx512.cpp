// paint for CPUs with AVX-512, in single precision.
#define NP_MATH_NAMESPACE avx512
#define NP_VECTOR_BYTES 64
#include "paint_call.h"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"))), \
                             apply_to = function)
#else
#pragma GCC push_options
// GCC 12's own header of intrinsics (its bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")
#endif
#include "paint_kernels.h"

namespace neural_paint {
const PaintKernels kAvx512Paint{paint_forward<float>, paint_backward<float>};
}  // namespace neural_paint
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
