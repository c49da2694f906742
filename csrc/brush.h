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

// d_F; the feather's gradient is -F / feather times that.
template <typename V>
NP_HOST_DEVICE V coverage_backward(V grad, V f, V inverse_feather) {
  const V x = edge_position(f, inverse_feather);
  return V(-6) * x * (V(1) - x) * grad * inverse_feather;
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

// Sampled bilinearly at one or more places: the four texels, and how far the place is from the first of them.
template <typename V, typename T>
struct Bilinear {
  int64_t first[Lanes<V>::count];                          // index of the upper left texel
  int32_t right[Lanes<V>::count], below[Lanes<V>::count];  // from there to its neighbours; 0 at the border
  V column, row;                                           // fractions in [0, 1]
  V value;
  V d_column, d_row;  // derivative of the value, per texel; 0 beyond the border

  NP_HOST_DEVICE int64_t index(int corner, int lane) const {
    return first[lane] + (corner % 2 ? right[lane] : 0) + (corner / 2 ? below[lane] : 0);
  }
  NP_HOST_DEVICE V weight(int corner) const {
    return (corner % 2 ? column : V(1) - column) * (corner / 2 ? row : V(1) - row);
  }
};

// u along and v across the stroke. Coordinates are clamped before they become indices: a NaN reads texel 0.
template <typename V, typename T>
NP_HOST_DEVICE Bilinear<V, T> sample(const Texture<T>& texture, V u, V v) {
  constexpr int count = Lanes<V>::count;
  const V x = u * V(T(texture.width)) - V(T(0.5));
  const V y = (v + V(1)) * V(T(0.5) * T(texture.height)) - V(T(0.5));
  const V last_x(T(texture.width - 1)), last_y(T(texture.height - 1));
  const V column = clamp(x, V(0), last_x), row = clamp(y, V(0), last_y);
  T columns[count], rows[count], texels[4][count];
  Lanes<V>::store(column, columns);
  Lanes<V>::store(row, rows);
  Bilinear<V, T> out;
  for (int i = 0; i < count; ++i) {
    const int64_t left = static_cast<int64_t>(columns[i]), top = static_cast<int64_t>(rows[i]);
    out.right[i] = left + 1 < texture.width ? 1 : 0;
    out.below[i] = top + 1 < texture.height ? int32_t(texture.width) : 0;
    out.first[i] = top * texture.width + left;
    for (int k = 0; k < 4; ++k) texels[k][i] = texture.texels[out.index(k, i)];
    columns[i] = T(left);
    rows[i] = T(top);
  }
  out.column = column - Lanes<V>::load(columns);
  out.row = row - Lanes<V>::load(rows);
  const V t00 = Lanes<V>::load(texels[0]), t01 = Lanes<V>::load(texels[1]);
  const V t10 = Lanes<V>::load(texels[2]), t11 = Lanes<V>::load(texels[3]);
  out.value = out.weight(0) * t00 + out.weight(1) * t01 + out.weight(2) * t10 + out.weight(3) * t11;
  out.d_column = select((x > V(0)) & (x < last_x), (V(1) - out.row) * (t01 - t00) + out.row * (t11 - t10), V(0));
  out.d_row = select((y > V(0)) & (y < last_y), (V(1) - out.column) * (t10 - t00) + out.column * (t11 - t01), V(0));
  return out;
}

// Where pixel p lies on the brush, and how that moves with t and with the stroke at fixed t.
template <typename V>
struct BrushPosition {
  V u, v;
  V u_t, v_t;                // total derivatives in t
  Vec2<V> u_point, v_point;  // per q
  Vec2<V> v_velocity;        // per q'
  V u_radius, v_radius;      // per r(t)
};

// u = t and v = the signed distance from the spine over the radius, positive to the right of the way it runs (y is
// down); a dab has no direction and takes the axes.
template <int D, typename V>
NP_HOST_DEVICE BrushPosition<V> brush_position(const Frame<V>& frame, V t, V radius) {
  const V inverse_rho = V(1) / maximum(radius, V(kMinTextureRadius));
  const V stretched = select(radius > V(kMinTextureRadius), inverse_rho, V(0));  // -d(log v) / dr
  const Vec2<V> w = frame.w;
  BrushPosition<V> out{};
  if constexpr (D == 1) {
    const V half = V(0.5f) * inverse_rho;
    out.u = V(0.5f) - w.x * half;
    out.v = V(0) - w.y * inverse_rho;
    out.u_point = {V(0) - half, V(0)};
    out.v_point = {V(0), V(0) - inverse_rho};
    out.u_radius = w.x * half * stretched;
  } else {
    out.u = t;
    out.u_t = V(1);
    // Where q' = 0 the tangent is the x axis.
    const V speed = square_root(frame.speed_squared);
    const auto moving = speed > V(0);
    const V inverse_speed = V(1) / select(moving, speed, V(1));
    const Vec2<V> tangent{select(moving, frame.velocity.x * inverse_speed, V(1)), frame.velocity.y * inverse_speed};
    const Vec2<V> across{tangent.y * inverse_rho, V(0) - tangent.x * inverse_rho};  // -normal / rho
    out.v = dot(w, across);
    out.v_point = across;
    // d(w . normal) / dq' turns the normal: -(w . tangent) normal / |q'|.
    const V turn = select(moving, dot(w, tangent) * inverse_speed, V(0));
    out.v_velocity = {V(0) - turn * across.x, V(0) - turn * across.y};
    out.v_t = dot(out.v_velocity, frame.acceleration);
  }
  out.v_radius = V(0) - out.v * stretched;
  out.v_t = out.v_t + out.v_radius * frame.radius_increase;
  return out;
}

// Gradient of u and v at fixed t; what they owe to t is u_t and v_t.
template <typename V>
NP_HOST_DEVICE void brush_position_backward(const BrushPosition<V>& where, V d_u, V d_v, FrameGradient<V>& sum) {
  sum.position.x += d_u * where.u_point.x + d_v * where.v_point.x;
  sum.position.y += d_u * where.u_point.y + d_v * where.v_point.y;
  sum.velocity.x += d_v * where.v_velocity.x;
  sum.velocity.y += d_v * where.v_velocity.y;
  sum.radius += d_u * where.u_radius + d_v * where.v_radius;
}

NP_MATH_END
