// The inputs of `paint` as every kernel sees them: pointers, strides and counts.
#pragma once

#include "bounds.h"
#include "brush.h"

NP_MATH_BEGIN

// Any strides, read in place.
template <typename T, int R>
struct View {
  const T* data = nullptr;
  int64_t strides[R] = {};

  NP_HOST_DEVICE int64_t row_step() const { return strides[R - 2]; }
  NP_HOST_DEVICE int64_t column_step() const { return strides[R - 1]; }
  template <typename... Index>
  NP_HOST_DEVICE const T& operator()(Index... index) const {
    const int64_t at[R] = {int64_t(index)...};
    int64_t offset = 0;
    for (int i = 0; i < R; ++i) offset += at[i] * strides[i];
    return data[offset];
  }
};

template <typename T>
struct Scene {
  int64_t batch, strokes, channels, height, width;
  int color_ends, opacity_ends;
  T closing;  // the greatest transmittance of a closed pixel
  View<T, 4> points, color, background;
  View<T, 3> radius, opacity;
  View<T, 2> feather;
  int64_t textures = 0;
  Texture<T> first_texture = {};  // the others lie behind it
  View<int64_t, 2> texture_id;

  NP_HOST_DEVICE Texture<T> texture(int64_t id) const {
    Texture<T> out = first_texture;
    out.texels += id * out.height * out.width;
    return out;
  }
};

// Beside the scene, what the backward pass starts from: the incoming gradient, and what the forward pass saved.
template <typename T>
struct Incoming {
  View<T, 4> grad;  // (B, C, H, W)
  View<T, 3> transmittance;
  View<T, 4> checkpoints;  // (B, segments - 1, H, W)
  View<int32_t, 3> evaluated;
  int64_t segments;
};

template <int D, typename T>
NP_HOST_DEVICE void load_points(const Scene<T>& scene, int64_t b, int64_t n, T x, T y, Vec2<T> (&points)[D]) {
  const T* row = &scene.points(b, n, 0, 0);
  const int64_t step = scene.points.strides[2], y_step = scene.points.strides[3];
  for (int i = 0; i < D; ++i) points[i] = {row[i * step] - x, row[i * step + y_step] - y};
}

// What must hold of the values for a stroke to be painted at all, beside what `bounds` asks; the others are culled.
template <typename T>
NP_HOST_DEVICE bool is_paintable(const Scene<T>& scene, int64_t b, int64_t n) {
  T poison(0);  // 0 * x is 0 for finite x and NaN otherwise
  for (int e = 0; e < scene.color_ends; ++e)
    for (int64_t c = 0; c < scene.channels; ++c) poison += T(0) * scene.color(b, n, e, c);
  for (int e = 0; e < scene.opacity_ends; ++e) poison += T(0) * scene.opacity(b, n, e);
  if (!(poison == T(0))) return false;
  if (scene.textures == 0) return true;
  const int64_t id = scene.texture_id(b, n);
  return id >= -1 && id < scene.textures;
}

// Where the stroke may leave paint, in pixels; empty if it is culled.
template <int D, typename T>
NP_HOST_DEVICE Box<T> stroke_box(const Scene<T>& scene, int64_t b, int64_t n) {
  if (!is_paintable(scene, b, n)) return empty_box<T>();
  Vec2<T> points[D];
  load_points(scene, b, n, T(0), T(0), points);
  return bounds(&points[0].x, 2, 1, D, scene.radius(b, n, 0), scene.radius(b, n, 1), scene.feather(b, n));
}

NP_MATH_END
