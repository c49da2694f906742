// paint for any CPU, in both precisions.
#define NP_MATH_NAMESPACE baseline
#define NP_VECTOR_BYTES 16
#include "paint_call.h"
#include "paint_kernels.h"

namespace neural_paint {
namespace {

bool is_double(const PaintInputs& inputs) {
  return inputs.points.scalar_type() == torch::headeronly::ScalarType::Double;
}

void forward(const ForwardCall& call) {
  is_double(call.inputs) ? paint_forward<double>(call) : paint_forward<float>(call);
}

void backward(const BackwardCall& call) {
  is_double(call.inputs) ? paint_backward<double>(call) : paint_backward<float>(call);
}

}  // namespace

const PaintKernels kBaselinePaint{forward, backward};

}  // namespace neural_paint
