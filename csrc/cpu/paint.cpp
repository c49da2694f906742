// paint and its gradient on the CPU: tensors guarded and made, then handed to the kernels of this CPU's instruction
// set.
#include "calls.h"

namespace neural_paint {
namespace {

using torch::stable::Tensor;

std::tuple<Tensor, Tensor, Tensor, Tensor> paint_cpu(const Tensor& points, const Tensor& radius, const Tensor& color,
                                                     const Tensor& opacity, const Tensor& feather,
                                                     const std::optional<Tensor>& texture,
                                                     const std::optional<Tensor>& texture_id, const Tensor& background,
                                                     double t_min, int64_t segments) {
  const PaintInputs inputs(points, radius, color, opacity, feather, texture, texture_id, background);
  PaintOutputs out(inputs, segments);
  kernels(points).paint({inputs, t_min, segments, out});
  return {out.image, out.transmittance, out.checkpoints, out.evaluated};
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> paint_backward_cpu(
    const Tensor& grad, const Tensor& points, const Tensor& radius, const Tensor& color, const Tensor& opacity,
    const Tensor& feather, const std::optional<Tensor>& texture, const std::optional<Tensor>& texture_id,
    const Tensor& background, const Tensor& transmittance, const Tensor& checkpoints, const Tensor& evaluated,
    double t_min, bool texture_gradient, bool background_gradient, bool /*deterministic: it always is*/) {
  const PaintInputs inputs(points, radius, color, opacity, feather, texture, texture_id, background);
  inputs.check_saved(grad, transmittance, checkpoints, evaluated);
  PaintGradients out(inputs, color, opacity, texture_gradient, background_gradient);
  kernels(points).paint_backward({inputs, t_min, grad, transmittance, checkpoints, evaluated, out});
  return {out.points, out.radius, out.color, out.opacity, out.feather, out.texture, out.background};
}

}  // namespace
}  // namespace neural_paint

STABLE_TORCH_LIBRARY_IMPL(neural_paint, CPU, m) {
  m.impl("paint", TORCH_BOX(&neural_paint::paint_cpu));
  m.impl("paint_backward", TORCH_BOX(&neural_paint::paint_backward_cpu));
}
