// What the brush makes of t* and F at one pixel: soft edge, ramps along the stroke, texture. Values and their
// gradients.
#pragma once

#include "nearest.h"

NP_MATH_BEGIN

// Least radius that a texture is stretched over, in pixels.
constexpr double kMinTextureRadius = 1e-6;

// x = 1/2 - F / feather, clamped: 1 inside, 0 outside, 1/2 on the rim; 0 for NaN.
template <typename V>
NP_HOST_DEVICE V edge_position(V f, V inverse_feather) {
  return clamp(V(0.5f) - f * inverse_feather, V(0), V(1));
}

// S(x) = x^2 (3 - 2x).
template <typename V>
NP_HOST_DEVICE V coverage(V f, V inverse_feather) {
  const V x = edge_position(f, inverse_feather);
  return x * x * (V(3) - V(2) * x);
}

template <typename V>
struct CoverageGradient {
  V f, feather;
};

template <typename V>
NP_HOST_DEVICE CoverageGradient<V> coverage_backward(V grad, V f, V inverse_feather) {
  const V x = edge_position(f, inverse_feather);
  const V d_f = V(-6) * x * (V(1) - x) * grad * inverse_feather;
  return {d_f, V(0) - d_f * f * inverse_feather};
}

// a at t = 0, b at t = 1; exactly a where a = b, so that a stroke opaque at both ends is opaque between.
template <typename V>
NP_HOST_DEVICE V ramp(V a, V b, V t) {
  return select(t < V(0.5f), a + t * (b - a), b - (V(1) - t) * (b - a));
}

// One brush texture, (height, width), multiplied into alpha.
template <typename T>
struct Texture {
  const T* texels;
  int64_t height, width;
};

template <typename T>
struct Bilinear {
  int64_t index[4];
  T weight[4];
  T value;
  T d_column, d_row;  // derivative of the value, per texel
};

// Sampled at u along and v across the stroke. Coordinates are clamped before they become indices: a NaN reads texel 0.
template <typename T>
NP_HOST_DEVICE Bilinear<T> sample(const Texture<T>& texture, T u, T v) {
  const auto axis = [](T x, int64_t size, int64_t& first, int64_t& second, T& fraction) {
    const T last = T(size - 1);
    const T inside = clamp(x, T(0), last);
    first = static_cast<int64_t>(inside);
    second = first + 1 < size ? first + 1 : first;
    fraction = inside - T(first);
    return x > T(0) && x < last;
  };
  int64_t left, right, top, bottom;
  T a, b;
  const bool column_moves = axis(u * T(texture.width) - T(0.5), texture.width, left, right, a);
  const bool row_moves = axis((v + T(1)) * T(0.5) * T(texture.height) - T(0.5), texture.height, top, bottom, b);
  Bilinear<T> out{{top * texture.width + left, top * texture.width + right, bottom * texture.width + left,
                   bottom * texture.width + right},
                  {(1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b},
                  T(0),
                  T(0),
                  T(0)};
  const T t00 = texture.texels[out.index[0]], t01 = texture.texels[out.index[1]];
  const T t10 = texture.texels[out.index[2]], t11 = texture.texels[out.index[3]];
  out.value = out.weight[0] * t00 + out.weight[1] * t01 + out.weight[2] * t10 + out.weight[3] * t11;
  out.d_column = column_moves ? (1 - b) * (t01 - t00) + b * (t11 - t10) : T(0);
  out.d_row = row_moves ? (1 - a) * (t10 - t00) + a * (t11 - t01) : T(0);
  return out;
}

// Where pixel p lies on the brush, and how that moves with t and with the stroke at fixed t.
template <typename T>
struct BrushPosition {
  T u, v;
  T u_t, v_t;                // total derivatives in t
  Vec2<T> u_point, v_point;  // per q
  Vec2<T> v_velocity;        // per q'
  T u_radius, v_radius;      // per r(t)
};

// u = t and v = the signed distance from the spine over the radius, positive to the right of the way it runs (y is
// down); a dab has no direction and takes the axes.
template <int D, typename T>
NP_HOST_DEVICE BrushPosition<T> brush_position(const Frame<T>& frame, T t, T radius) {
  const T rho = maximum(radius, T(kMinTextureRadius));
  const bool stretched = radius > T(kMinTextureRadius);
  const Vec2<T> w = frame.w;
  BrushPosition<T> out{};
  if constexpr (D == 1) {
    out.u = T(0.5) - w.x / (2 * rho);
    out.v = -w.y / rho;
    out.u_point = {T(-0.5) / rho, T(0)};
    out.v_point = {T(0), T(-1) / rho};
    out.u_radius = stretched ? w.x / (2 * rho * rho) : T(0);
  } else {
    out.u = t;
    out.u_t = 1;
    const T speed = square_root(frame.speed_squared);
    if (speed > T(0)) {
      const Vec2<T> normal{-frame.velocity.y / speed, frame.velocity.x / speed};
      const Vec2<T> tangent{frame.velocity.x / speed, frame.velocity.y / speed};
      const T offset = dot(w, normal), along = dot(w, tangent);
      out.v = -offset / rho;
      out.v_point = {-normal.x / rho, -normal.y / rho};
      // d(w . normal) / dq' turns the normal: -(w . tangent) normal / |q'|.
      out.v_velocity = {along * normal.x / (speed * rho), along * normal.y / (speed * rho)};
      out.v_t = dot(out.v_velocity, frame.acceleration);
    } else {
      out.v = -w.y / rho;
      out.v_point = {T(0), T(-1) / rho};
    }
  }
  out.v_radius = stretched ? -out.v / rho : T(0);
  out.v_t += out.v_radius * frame.radius_increase;
  return out;
}

// Gradient of u and v at fixed t; what they owe to t is u_t and v_t.
template <typename T>
NP_HOST_DEVICE void brush_position_backward(const BrushPosition<T>& where, T t, T d_u, T d_v, SpineGradient<T>& sum) {
  sum.position.x += d_u * where.u_point.x + d_v * where.v_point.x;
  sum.position.y += d_u * where.u_point.y + d_v * where.v_point.y;
  sum.velocity.x += d_v * where.v_velocity.x;
  sum.velocity.y += d_v * where.v_velocity.y;
  const T d_radius = d_u * where.u_radius + d_v * where.v_radius;
  sum.radius[0] += (T(1) - t) * d_radius;
  sum.radius[1] += t * d_radius;
}

NP_MATH_END
