// The tensors of `paint` as they arrive: guarded before a pointer is taken, then handed on as a Scene.
#pragma once

#include <algorithm>
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

  // What the forward pass saved, and the incoming gradient.
  void check_saved(const Tensor& grad, const Tensor& transmittance, const Tensor& checkpoints,
                   const Tensor& evaluated) const {
    const int64_t b = batch(), h = height(), w = width();
    check_like_points(grad, "grad", {b, channels(), h, w});
    check_like_points(transmittance, "transmittance", {b, h, w});
    check_like_points(checkpoints, "checkpoints", {b, kAny, h, w});
    check_shape(evaluated, "evaluated", {b, h, w});
    check_dtype(evaluated, "evaluated", torch::headeronly::ScalarType::Int);
    check_device(evaluated, "evaluated", points, "points");
  }

  static void check_range(const char* name, int64_t value, int64_t low, int64_t high) {
    if (value < low || value > high)
      fail(name, "be in [" + std::to_string(low) + ", " + std::to_string(high) + "]", value);
  }
};

// What `paint` returns, not filled; what it saves is empty where `segments` is 0.
struct PaintOutputs {
  using Tensor = torch::stable::Tensor;
  Tensor image, transmittance, checkpoints, evaluated;

  PaintOutputs(const PaintInputs& in, int64_t segments)
      : image(allocate(in.points, {in.batch(), in.channels(), in.height(), in.width()})),
        transmittance(allocate(in.points, {saved(in, segments), in.height(), in.width()})),
        checkpoints(
            allocate(in.points, {saved(in, segments), std::max(segments - 1, int64_t(0)), in.height(), in.width()})),
        evaluated(
            allocate(in.points, {saved(in, segments), in.height(), in.width()}, torch::headeronly::ScalarType::Int)) {}

 private:
  static int64_t saved(const PaintInputs& in, int64_t segments) {
    PaintInputs::check_range("segments", segments, 0, kMaxSegments);
    return segments > 0 ? in.batch() : 0;
  }
};

// What `paint_backward` returns, not filled: gradients in the shapes of their fields, but that of the background is
// each canvas's. Those of texture and background are empty where there is none or it is not asked for.
struct PaintGradients {
  using Tensor = torch::stable::Tensor;
  Tensor points, radius, color, opacity, feather;
  bool has_texture, has_background;
  Tensor texture, background;

  PaintGradients(const PaintInputs& in, const Tensor& color, const Tensor& opacity, bool texture_gradient,
                 bool background_gradient)
      : points(like(in, in.points)),
        radius(like(in, in.radius)),
        color(like(in, color)),
        opacity(like(in, opacity)),
        feather(like(in, in.feather)),
        has_texture(in.texture.has_value() && texture_gradient),
        has_background(background_gradient),
        texture(has_texture ? like(in, *in.texture) : allocate(in.points, {0})),
        background(has_background ? like(in, in.background) : allocate(in.points, {0})) {}

 private:
  static Tensor like(const PaintInputs& in, const Tensor& tensor) { return allocate(in.points, tensor.sizes()); }
};

template <typename T>
T* data(torch::stable::Tensor& tensor) {
  return static_cast<T*>(tensor.mutable_data_ptr());
}

}  // namespace neural_paint
