// One call of `paint` on its way from the operator to the kernels of one instruction set. This header holds what all of
// them share: it is included before any instruction set is chosen, so that nothing here is compiled for one of them.
#pragma once

#include <torch/csrc/stable/library.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

#include "../inputs.h"
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace neural_paint {

struct ForwardCall {
  const PaintInputs& inputs;
  double t_min;
  int64_t segments;  // 0: nothing is saved
  PaintOutputs& out;
};

struct BackwardCall {
  using Tensor = torch::stable::Tensor;
  const PaintInputs& inputs;
  double t_min;
  const Tensor &grad, &transmittance, &checkpoints, &evaluated;
  PaintGradients& out;
};

// One instruction set's kernels. Double precision has the baseline's alone.
struct PaintKernels {
  void (*forward)(const ForwardCall&);
  void (*backward)(const BackwardCall&);
};

extern const PaintKernels kBaselinePaint, kAvx2Paint, kAvx512Paint;

}  // namespace neural_paint
