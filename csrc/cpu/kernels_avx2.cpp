// The kernels for CPUs with AVX2 and FMA, in single precision.
#define NP_MATH_NAMESPACE avx2
#define NP_VECTOR_BYTES 32
#include "calls.h"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#include "mask_kernels.h"
#include "paint_kernels.h"
#include "patch_kernels.h"

namespace neural_paint {
const Kernels kAvx2Kernels{paint_forward<float>,
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
