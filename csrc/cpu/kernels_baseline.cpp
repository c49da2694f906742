// The kernels for any CPU, in both precisions.
#define NP_MATH_NAMESPACE baseline
#define NP_VECTOR_BYTES 16
#include "calls.h"
#include "mask_kernels.h"
#include "paint_kernels.h"
#include "patch_kernels.h"

namespace neural_paint {
namespace {

bool is_double(const torch::stable::Tensor& geometry) {
  return geometry.scalar_type() == torch::headeronly::ScalarType::Double;
}

void paint(const PaintCall& call) {
  is_double(call.inputs.points) ? paint_forward<double>(call) : paint_forward<float>(call);
}

void paint_backward(const PaintBackwardCall& call) {
  is_double(call.inputs.points) ? baseline::paint_backward<double>(call) : baseline::paint_backward<float>(call);
}

void composite_patches(const PatchCall& call) {
  is_double(call.inputs.transform) ? composite_patches_forward<double>(call) : composite_patches_forward<float>(call);
}

void composite_patches_backward(const PatchBackwardCall& call) {
  is_double(call.inputs.transform) ? baseline::composite_patches_backward<double>(call)
                                   : baseline::composite_patches_backward<float>(call);
}

void stroke_mask(const MaskCall& call) {
  is_double(call.strokes) ? stroke_mask_forward<double>(call) : stroke_mask_forward<float>(call);
}

void stroke_mask_backward(const MaskBackwardCall& call) {
  is_double(call.strokes) ? baseline::stroke_mask_backward<double>(call) : baseline::stroke_mask_backward<float>(call);
}

}  // namespace

const Kernels kBaselineKernels{paint,       paint_backward,      composite_patches, composite_patches_backward,
                               stroke_mask, stroke_mask_backward};

}  // namespace neural_paint
