// The tensors of `composite_patches` as they arrive: guarded before a pointer is taken.
#pragma once

#include <limits>
#include <optional>

#include "inputs.h"

namespace neural_paint {

struct PatchInputs {
  using Tensor = torch::stable::Tensor;
  const Tensor &patches, &transform, &background;
  const std::optional<Tensor>&patch_id, &color, &opacity;

  int64_t batch() const { return transform.size(0); }
  int64_t count() const { return transform.size(1); }
  int64_t channels() const { return background.size(1); }
  int64_t planes() const { return patches.size(-3); }
  bool is_shared() const { return patch_id.has_value(); }

  void check_like_transform(const Tensor& tensor, const char* name, std::initializer_list<int64_t> shape) const {
    check_shape(tensor, name, shape);
    check_dtype(tensor, name, transform.scalar_type());
    check_device(tensor, name, transform, "transform");
  }

  void check() const {
    const auto check_range = PaintInputs::check_range;
    check_shape(transform, "transform", {kAny, kAny, 2, 3});
    check_geometry_dtype(transform, "transform");
    check_range("number of patches", count(), 0, std::numeric_limits<int32_t>::max());
    check_like_transform(background, "background", {kAny, kAny, kAny, kAny});
    if (background.size(0) != 1 && background.size(0) != batch())
      fail("background", "have a batch of 1 or " + std::to_string(batch()), background.size(0));
    check_range("number of channels", channels(), 1, kMaxChannels);
    if (is_shared()) {
      check_like_transform(patches, "patches", {kAny, kAny, kAny, kAny});
      check_shape(*patch_id, "patch_id", {batch(), count()});
      check_dtype(*patch_id, "patch_id", torch::headeronly::ScalarType::Long);
      check_device(*patch_id, "patch_id", transform, "transform");
    } else {
      check_like_transform(patches, "patches", {batch(), count(), kAny, kAny, kAny});
    }
    const int64_t planes = color.has_value() ? 1 : channels() + 1;
    if (this->planes() != planes)
      fail("patches",
           "have " + std::to_string(planes) + " planes " + (color.has_value() ? "with" : "without") + " color",
           this->planes());
    check_range("height of a patch", patches.size(-2), 1, 1 << 24);
    check_range("width of a patch", patches.size(-1), 1, 1 << 24);
    // Texels of a plane are counted in 32 bits.
    constexpr int64_t most = std::numeric_limits<int32_t>::max();
    check_range("memory that a plane of a patch spans",
                std::max((patches.size(-2) - 1) * patches.stride(-2) + (patches.size(-1) - 1) * patches.stride(-1),
                         patches.size(-2) * patches.size(-1)),
                0, most);
    if (color.has_value()) check_like_transform(*color, "color", {batch(), count(), channels()});
    if (opacity.has_value()) check_like_transform(*opacity, "opacity", {batch(), count()});
  }
};

// What `composite_patches_backward` returns, not filled; empty where there is none or it is not asked for.
struct PatchOutputs {
  using Tensor = torch::stable::Tensor;
  Tensor patches, transform, color, opacity, background;

  PatchOutputs(const PatchInputs& in, bool patches_gradient, bool background_gradient)
      : patches(like(in, in.patches, patches_gradient)),
        transform(like(in, in.transform, true)),
        color(in.color.has_value() ? like(in, *in.color, true) : like(in, in.transform, false)),
        opacity(in.opacity.has_value() ? like(in, *in.opacity, true) : like(in, in.transform, false)),
        background(background_gradient ? allocate(in.transform, {in.batch(), in.channels(), in.background.size(2),
                                                                 in.background.size(3)})
                                       : like(in, in.transform, false)) {}

 private:
  static Tensor like(const PatchInputs& in, const Tensor& tensor, bool wanted) {
    return wanted ? allocate(in.transform, tensor.sizes()) : allocate(in.transform, {0});
  }
};

}  // namespace neural_paint
