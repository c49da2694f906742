// The gradient of one stroke: from what the two pixels of a lane make of it to the sum over a square, added to its
// place.
#pragma once

#include "gradient_sums.cuh"
#include "paint_strokes.cuh"

NP_MATH_BEGIN

// Gradients of the strokes' fields, contiguous, each in the shape of its field. The numbers of a stroke's gradient are
// counted one after the other: points, radius, feather, opacity, color.
template <typename T, int D>
struct StrokeFields {
  T *points = nullptr, *radius = nullptr, *feather = nullptr, *opacity = nullptr, *color = nullptr;
  int channels = 0, opacity_ends = 0, color_ends = 0;

  static constexpr int radius_at = 2 * D, feather_at = radius_at + 2, opacity_at = feather_at + 1,
                       color_at = opacity_at + 2;
  NP_HOST_DEVICE int size() const { return color_at + color_ends * channels; }

  // Null for the place of a second opacity that there is not.
  NP_HOST_DEVICE T* at(int64_t stroke, int i) const {
    if (i < radius_at) return points + stroke * radius_at + i;
    if (i < feather_at) return radius + stroke * 2 + i - radius_at;
    if (i < opacity_at) return feather + stroke;
    if (i < color_at) return i - opacity_at < opacity_ends ? opacity + stroke * opacity_ends + i - opacity_at : nullptr;
    return color + stroke * color_ends * channels + i - color_at;
  }
};

template <typename T, int D>
using FieldGradients = GradientSums<T, StrokeFields<T, D>>;

// The gradient of one stroke from the lane's two pixels, and then from all of the square.
template <typename Block, typename T, int D>
class SquareGradient {
  using Out = FieldGradients<T, D>;
  static constexpr int kValues = 16;

 public:
  ShapeGradient<T, D> shape;

  // `grad`, `t` and `shown`, the transmittance above times alpha, are those of the lane's first pixel; of the other, 32
  // on.
  NP_KERNEL_BODY void write(Block& block, const Out& out, int64_t stroke, T inverse_feather, const T* grad, const T* t,
                            const T* shown) {
    SpineGradient<T, D> d_spine = shape.spine;
    Vec2<T> d_points[D];
    T d_radius[2];
    make_spine_backward(d_spine, d_points, d_radius);
    T own[Out::color_at];
    NP_UNROLL
    for (int i = 0; i < D; ++i) own[2 * i] = d_points[i].x, own[2 * i + 1] = d_points[i].y;
    own[Out::radius_at] = d_radius[0];
    own[Out::radius_at + 1] = d_radius[1];
    own[Out::feather_at] = -inverse_feather * shape.feather;
    own[Out::opacity_at] = shape.opacity.whole - shape.opacity.end;
    own[Out::opacity_at + 1] = shape.opacity.end;
    NP_ROLL
    for (int first = 0; first < out.size(); first += kValues) {
      T values[kValues];
      NP_UNROLL
      for (int i = 0; i < kValues; ++i) values[i] = value(out, own, first, i, grad, t, shown);
      const T sum = sum_transposed<kValues>(block, values);
      const int i = first + block.lane() * kValues / 32;
      if (block.lane() % (32 / kValues) == 0 && i < out.size()) out.add(block, stroke, i, sum);
    }
  }

 private:
  // Number first + i of the lane's gradient. Indices into `own` are known to the compiler: all of it is in registers.
  NP_HOST_DEVICE T value(const Out& out, const T (&own)[Out::color_at], int first, int i, const T* grad, const T* t,
                         const T* shown) const {
    if (first == 0 && i < Out::color_at) return own[i < Out::color_at ? i : 0];
    const int place = first + i - Out::color_at, end = place >= out.channels, c = place - end * out.channels;
    if (end >= out.color_ends || c >= out.channels) return T(0);
    T sum(0);
    NP_UNROLL
    for (int p = 0; p < 2; ++p) {
      const T whole = grad[c * kTilePixels + 32 * p] * shown[32 * p], of_end = whole * t[32 * p];
      sum += out.color_ends == 1 ? whole : end == 1 ? of_end : whole - of_end;
    }
    return sum;
  }
};

NP_MATH_END
