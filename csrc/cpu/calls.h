// Calls on their way from the operators to the kernels of one instruction set. This header holds what all of them
// share: it is included before any instruction set is chosen, so that nothing here is compiled for one of them.
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
#include "../patch_inputs.h"
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace neural_paint {

struct PaintCall {
  const PaintInputs& inputs;
  double t_min;
  int64_t segments;  // 0: nothing is saved
  PaintOutputs& out;
};

struct PaintBackwardCall {
  using Tensor = torch::stable::Tensor;
  const PaintInputs& inputs;
  double t_min;
  const Tensor &grad, &transmittance, &checkpoints, &evaluated;
  PaintGradients& out;
};

struct PatchCall {
  const PatchInputs& inputs;
  torch::stable::Tensor& image;
};

struct PatchBackwardCall {
  const PatchInputs& inputs;
  const torch::stable::Tensor& grad;
  PatchOutputs& out;
};

struct MaskCall {
  using Tensor = torch::stable::Tensor;
  const Tensor& strokes;
  bool logits;
  Tensor &alpha, &darkest, &place;
};

struct MaskBackwardCall {
  using Tensor = torch::stable::Tensor;
  const Tensor &grad, &strokes, &darkest, &place;
  bool logits;
  Tensor& d_strokes;
};

// One instruction set's kernels. Double precision has the baseline's alone.
struct Kernels {
  void (*paint)(const PaintCall&);
  void (*paint_backward)(const PaintBackwardCall&);
  void (*composite_patches)(const PatchCall&);
  void (*composite_patches_backward)(const PatchBackwardCall&);
  void (*stroke_mask)(const MaskCall&);
  void (*stroke_mask_backward)(const MaskBackwardCall&);
};

extern const Kernels kBaselineKernels, kAvx2Kernels, kAvx512Kernels;

// Those of this CPU for tensors of the dtype of `geometry`.
const Kernels& kernels(const torch::stable::Tensor& geometry);

}  // namespace neural_paint
