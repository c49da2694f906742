// paint and its gradient on the CPU: tensors guarded and made, then handed to the kernels of this CPU's instruction
// set.
#include "instruction_set.h"
#include "paint_call.h"

namespace neural_paint {
namespace {

using torch::stable::Tensor;

const PaintKernels& paint_kernels(const PaintInputs& inputs) {
#if defined(__x86_64__)
  if (inputs.points.scalar_type() == torch::headeronly::ScalarType::Float) {
    if (instruction_set() == InstructionSet::kAvx512) return kAvx512Paint;
    if (instruction_set() == InstructionSet::kAvx2) return kAvx2Paint;
  }
#endif
  return kBaselinePaint;
}

std::tuple<Tensor, Tensor, Tensor, Tensor> paint_cpu(const Tensor& points, const Tensor& radius, const Tensor& color,
                                                     const Tensor& opacity, const Tensor& feather,
                                                     const std::optional<Tensor>& texture,
                                                     const std::optional<Tensor>& texture_id, const Tensor& background,
                                                     double t_min, int64_t segments) {
  const PaintInputs inputs(points, radius, color, opacity, feather, texture, texture_id, background);
  const int64_t b = inputs.batch(), h = inputs.height(), w = inputs.width();
  PaintInputs::check_range("segments", segments, 0, kMaxSegments);
  Tensor image = allocate(background, {b, inputs.channels(), h, w});
  const bool save = segments > 0;
  const int64_t saved = save ? b : 0;
  Tensor transmittance = allocate(background, {saved, h, w});
  Tensor checkpoints = allocate(background, {saved, std::max(segments - 1, int64_t(0)), h, w});
  Tensor evaluated = allocate(background, {saved, h, w}, torch::headeronly::ScalarType::Int);
  paint_kernels(inputs).forward({inputs, t_min, segments, image, transmittance, checkpoints, evaluated});
  return {image, transmittance, checkpoints, evaluated};
}

// Gradients of (points, radius, color, opacity, feather, texture, background of each canvas); the last two are empty
// where there is none or it is not asked for.
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> paint_backward_cpu(
    const Tensor& grad, const Tensor& points, const Tensor& radius, const Tensor& color, const Tensor& opacity,
    const Tensor& feather, const std::optional<Tensor>& texture, const std::optional<Tensor>& texture_id,
    const Tensor& background, const Tensor& transmittance, const Tensor& checkpoints, const Tensor& evaluated,
    double t_min, bool texture_gradient, bool background_gradient) {
  const PaintInputs inputs(points, radius, color, opacity, feather, texture, texture_id, background);
  const int64_t b = inputs.batch(), h = inputs.height(), w = inputs.width();
  inputs.check_like_points(grad, "grad", {b, inputs.channels(), h, w});
  inputs.check_like_points(transmittance, "transmittance", {b, h, w});
  inputs.check_like_points(checkpoints, "checkpoints", {b, kAny, h, w});
  check_shape(evaluated, "evaluated", {b, h, w});
  check_dtype(evaluated, "evaluated", torch::headeronly::ScalarType::Int);
  check_device(evaluated, "evaluated", points, "points");
  const auto like = [&](const Tensor& tensor) { return allocate(points, tensor.sizes()); };
  Tensor d_points = like(points), d_radius = like(radius), d_color = like(color), d_opacity = like(opacity);
  Tensor d_feather = like(feather);
  const bool textured = texture.has_value() && texture_gradient;
  Tensor d_texture = textured ? like(*texture) : allocate(points, {0});
  Tensor d_background = background_gradient ? like(grad) : allocate(points, {0});
  paint_kernels(inputs).backward({inputs, t_min, grad, transmittance, checkpoints, evaluated, d_points, d_radius,
                                  d_color, d_opacity, d_feather, textured ? &d_texture : nullptr,
                                  background_gradient ? &d_background : nullptr});
  return {d_points, d_radius, d_color, d_opacity, d_feather, d_texture, d_background};
}

}  // namespace
}  // namespace neural_paint

STABLE_TORCH_LIBRARY_IMPL(neural_paint, CPU, m) {
  m.impl("paint", TORCH_BOX(&neural_paint::paint_cpu));
  m.impl("paint_backward", TORCH_BOX(&neural_paint::paint_backward_cpu));
}
