// The kernels for CPUs with AVX-512, in single precision.
#define NP_MATH_NAMESPACE avx512
#define NP_VECTOR_BYTES 64
#include "calls.h"

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
#include "mask_kernels.h"
#include "paint_kernels.h"
#include "patch_kernels.h"

namespace neural_paint {
const Kernels kAvx512Kernels{paint_forward<float>,
                             paint_backward<float>,
                             composite_patches_forward<float>,
                             composite_patches_backward<float>,
                             stroke_mask_forward<float>,
                             stroke_mask_backward<float>};
}  // namespace neural_paint
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
