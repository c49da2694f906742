// The tensors of `paint` as they arrive: guarded before a pointer is taken, then handed on as a Scene.
#pragma once

#include <initializer_list>
#include <limits>
#include <optional>

#include "check.h"
#include "tensors.h"

namespace neural_paint {

// Most segments that a caller may ask the forward pass to save.
constexpr int64_t kMaxSegments = 1024;

constexpr int kMaxChannels = 16;

// Once made, all fit together, and those that the schema takes in two shapes have the larger one.
struct PaintInputs {
  using Tensor = torch::stable::Tensor;
  Tensor points, radius;
  Tensor color;    // (B, N, 1 or 2, C)
  Tensor opacity;  // (B, N, 1 or 2)
  Tensor feather;
  std::optional<Tensor> texture, texture_id;
  Tensor background;  // (B, C, H, W)

  PaintInputs(const Tensor& points, const Tensor& radius, const Tensor& color, const Tensor& opacity,
              const Tensor& feather, const std::optional<Tensor>& texture, const std::optional<Tensor>& texture_id,
              const Tensor& background)
      : points(points),
        radius(radius),
        color(color),
        opacity(opacity),
        feather(feather),
        texture(texture),
        texture_id(texture_id),
        background(background) {
    check();
    const int64_t b = batch(), n = strokes(), c = channels();
    if (color.dim() == 3)
      this->color = view(color, {b, n, 1, c}, {color.stride(0), color.stride(1), 0, color.stride(2)});
    if (opacity.dim() == 2) this->opacity = view(opacity, {b, n, 1}, {opacity.stride(0), opacity.stride(1), 0});
    if (background.size(0) != b)
      this->background = view(background, {b, c, height(), width()},
                              {0, background.stride(1), background.stride(2), background.stride(3)});
  }

  int64_t batch() const { return points.size(0); }
  int64_t strokes() const { return points.size(1); }
  int64_t channels() const { return background.size(1); }
  int64_t height() const { return background.size(2); }
  int64_t width() const { return background.size(3); }

  // One of the geometry's dtype and device.
  void check_like_points(const Tensor& tensor, const char* name, std::initializer_list<int64_t> shape) const {
    check_shape(tensor, name, shape);
    check_dtype(tensor, name, points.scalar_type());
    check_device(tensor, name, points, "points");
  }

  void check() const {
    check_shape(points, "points", {kAny, kAny, kAny, 2});
    check_geometry_dtype(points, "points");
    check_range("number of control points", points.size(2), 1, 4);
    check_range("number of strokes", strokes(), 0, std::numeric_limits<int32_t>::max());
    check_like_points(background, "background", {kAny, kAny, kAny, kAny});
    if (background.size(0) != 1 && background.size(0) != batch())
      fail("background", "have a batch of 1 or " + std::to_string(batch()), background.size(0));
    check_range("number of channels", channels(), 1, kMaxChannels);
    check_like_points(radius, "radius", {batch(), strokes(), 2});
    check_like_points(feather, "feather", {batch(), strokes()});
    if (color.dim() == 3) {
      check_like_points(color, "color", {batch(), strokes(), channels()});
    } else {
      check_like_points(color, "color", {batch(), strokes(), kAny, channels()});
      check_range("number of colors of a stroke", color.size(2), 1, 2);
    }
    if (opacity.dim() == 2) {
      check_like_points(opacity, "opacity", {batch(), strokes()});
    } else {
      check_like_points(opacity, "opacity", {batch(), strokes(), kAny});
      check_range("number of opacities of a stroke", opacity.size(2), 1, 2);
    }
    if (texture.has_value() != texture_id.has_value()) fail("texture_id", "come with texture", "one without the other");
    if (!texture.has_value()) return;
    check_like_points(*texture, "texture", {kAny, kAny, kAny});
    check_range("height of a texture", texture->size(1), 1, std::numeric_limits<int32_t>::max());
    check_range("width of a texture", texture->size(2), 1, std::numeric_limits<int32_t>::max());
    check_shape(*texture_id, "texture_id", {batch(), strokes()});
    check_dtype(*texture_id, "texture_id", torch::headeronly::ScalarType::Long);
    check_device(*texture_id, "texture_id", points, "points");
  }

  static void check_range(const char* name, int64_t value, int64_t low, int64_t high) {
    if (value < low || value > high)
      fail(name, "be in [" + std::to_string(low) + ", " + std::to_string(high) + "]", value);
  }
};

template <typename T>
T* data(torch::stable::Tensor& tensor) {
  return static_cast<T*>(tensor.mutable_data_ptr());
}

}  // namespace neural_paint
