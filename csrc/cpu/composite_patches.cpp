// composite_patches and its gradient on the CPU: tensors guarded and made, then handed to the kernels of this CPU's
// instruction set.
#include "calls.h"

namespace neural_paint {
namespace {

using torch::stable::Tensor;

Tensor composite_patches_cpu(const Tensor& patches, const std::optional<Tensor>& patch_id, const Tensor& transform,
                             const std::optional<Tensor>& color, const std::optional<Tensor>& opacity,
                             const Tensor& background) {
  const PatchInputs inputs{patches, transform, background, patch_id, color, opacity};
  inputs.check();
  Tensor image = allocate(transform, {inputs.batch(), inputs.channels(), background.size(2), background.size(3)});
  kernels(transform).composite_patches({inputs, image});
  return image;
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> composite_patches_backward_cpu(
    const Tensor& grad, const Tensor& patches, const std::optional<Tensor>& patch_id, const Tensor& transform,
    const std::optional<Tensor>& color, const std::optional<Tensor>& opacity, const Tensor& background,
    bool patches_gradient, bool background_gradient, bool /*deterministic: it always is*/) {
  const PatchInputs inputs{patches, transform, background, patch_id, color, opacity};
  inputs.check();
  inputs.check_like_transform(grad, "grad",
                              {inputs.batch(), inputs.channels(), background.size(2), background.size(3)});
  PatchOutputs out(inputs, patches_gradient, background_gradient);
  kernels(transform).composite_patches_backward({inputs, grad, out});
  return {out.patches, out.transform, out.color, out.opacity, out.background};
}

}  // namespace
}  // namespace neural_paint

STABLE_TORCH_LIBRARY_IMPL(neural_paint, CPU, m) {
  m.impl("composite_patches", TORCH_BOX(&neural_paint::composite_patches_cpu));
  m.impl("composite_patches_backward", TORCH_BOX(&neural_paint::composite_patches_backward_cpu));
}
