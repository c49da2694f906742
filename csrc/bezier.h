// A stroke's spine: a Bezier curve of D control points with a radius that varies linearly.
#pragma once

#include "portable.h"

NP_MATH_BEGIN

// Rounds off the distance's kink on the spine, in pixels: small enough never to show, large enough for a gradient.
constexpr double kDistanceEpsilon = 1e-6;

// Floor of G_t, as a share of |q'|^2: bounds dt*/dtheta near a centre of curvature, where t* jumps. The reference's
// too.
constexpr double kCurvatureFloor = 1e-3;

// Least squared length of a chord, in square pixels: lets a degenerate stroke divide.
constexpr double kMinSquaredLength = 1e-12;

// Monomial form about the tile's origin, with a radius that is linear in t.
template <typename T, int D>
struct Spine {
  Vec2<T> coefficient[D];
  T radius, radius_increase;  // r(t) = radius + t radius_increase
};

template <typename V, typename T, int D>
NP_HOST_DEVICE Vec2<V> position(const Spine<T, D>& spine, V t) {
  Vec2<V> q{V(spine.coefficient[D - 1].x), V(spine.coefficient[D - 1].y)};
  for (int k = D - 2; k >= 0; --k) {
    q.x = q.x * t + V(spine.coefficient[k].x);
    q.y = q.y * t + V(spine.coefficient[k].y);
  }
  return q;
}

template <typename V, typename T, int D>
NP_HOST_DEVICE Vec2<V> velocity(const Spine<T, D>& spine, V t) {
  Vec2<V> v{V(0), V(0)};
  for (int k = D - 1; k >= 1; --k) {
    v.x = v.x * t + V(T(k) * spine.coefficient[k].x);
    v.y = v.y * t + V(T(k) * spine.coefficient[k].y);
  }
  return v;
}

template <typename V, typename T, int D>
NP_HOST_DEVICE Vec2<V> acceleration(const Spine<T, D>& spine, V t) {
  Vec2<V> a{V(0), V(0)};
  for (int k = D - 1; k >= 2; --k) {
    a.x = a.x * t + V(T(k * (k - 1)) * spine.coefficient[k].x);
    a.y = a.y * t + V(T(k * (k - 1)) * spine.coefficient[k].y);
  }
  return a;
}

// `points` relative to the origin of the tile, so that 8K is as accurate as 256 px.
template <typename T, int D>
NP_HOST_DEVICE Spine<T, D> make_spine(const Vec2<T> (&points)[D], T radius_start, T radius_end) {
  Spine<T, D> spine;
  spine.radius = radius_start;
  spine.radius_increase = radius_end - radius_start;
  // From differences, so that equal control points give exactly q' = 0.
  const auto minus = [](Vec2<T> a, Vec2<T> b) { return Vec2<T>{a.x - b.x, a.y - b.y}; };
  const auto times = [](T a, Vec2<T> b) { return Vec2<T>{a * b.x, a * b.y}; };
  spine.coefficient[0] = points[0];
  if constexpr (D >= 2) spine.coefficient[1] = times(T(D - 1), minus(points[1], points[0]));
  if constexpr (D == 3) spine.coefficient[2] = minus(minus(points[2], points[1]), minus(points[1], points[0]));
  if constexpr (D == 4) {
    const Vec2<T> middle = minus(points[2], points[1]);
    spine.coefficient[2] = times(T(3), minus(middle, minus(points[1], points[0])));
    spine.coefficient[3] = minus(minus(points[3], points[0]), times(T(3), middle));
  }
  return spine;
}

// The spine at t as seen from pixel p: everything that gradients are made of.
template <typename V>
struct Frame {
  Vec2<V> w, velocity, acceleration;  // w = q - p
  V distance, speed_squared;
  V radius_increase;
  V g_t;  // dG/dt, G = dF/dt * distance
};

template <typename V, typename T, int D>
NP_HOST_DEVICE Frame<V> frame_at(const Spine<T, D>& spine, Vec2<V> p, V t, V distance) {
  Frame<V> frame;
  const Vec2<V> q = position(spine, t);
  frame.w = {q.x - p.x, q.y - p.y};
  frame.velocity = velocity(spine, t);
  frame.acceleration = acceleration(spine, t);
  frame.distance = distance;
  frame.speed_squared = dot(frame.velocity, frame.velocity);
  frame.radius_increase = V(spine.radius_increase);
  frame.g_t = frame.speed_squared + dot(frame.w, frame.acceleration);
  if (spine.radius_increase != T(0))
    frame.g_t = frame.g_t - frame.radius_increase * dot(frame.w, frame.velocity) / distance;
  return frame;
}

// Gradient at one pixel with respect to q, q', r and r' at its t.
template <typename V>
struct FrameGradient {
  Vec2<V> position, velocity;
  V radius, radius_increase;
};

// Gradient with respect to the fields of a Spine, summed over pixels.
template <typename V, int D>
struct SpineGradient {
  Vec2<V> coefficient[D];
  V radius, radius_increase;
};

// q = sum c_k t^k, q' = sum k c_k t^(k-1) and r = radius + t radius_increase.
template <typename V, int D>
NP_HOST_DEVICE void add_to_spine(const FrameGradient<V>& gradient, V t, SpineGradient<V, D>& sum) {
  Vec2<V> power = gradient.position, derivative = gradient.velocity;  // t^k d_q and t^(k-1) d_q'
  sum.coefficient[0].x += power.x;
  sum.coefficient[0].y += power.y;
  for (int k = 1; k < D; ++k) {
    power = {power.x * t, power.y * t};
    sum.coefficient[k].x += power.x + V(k) * derivative.x;
    sum.coefficient[k].y += power.y + V(k) * derivative.y;
    derivative = {derivative.x * t, derivative.y * t};
  }
  sum.radius += gradient.radius;
  sum.radius_increase += t * gradient.radius + gradient.radius_increase;
}

// The transpose of make_spine.
template <typename T, int D>
NP_HOST_DEVICE void make_spine_backward(const SpineGradient<T, D>& d_spine, Vec2<T> (&d_points)[D], T (&d_radius)[2]) {
  const auto add = [&](int point, T factor, int k) {
    d_points[point].x += factor * d_spine.coefficient[k].x;
    d_points[point].y += factor * d_spine.coefficient[k].y;
  };
  for (int i = 0; i < D; ++i) d_points[i] = {T(0), T(0)};
  add(0, T(1), 0);
  if constexpr (D >= 2) add(1, T(D - 1), 1), add(0, T(1 - D), 1);
  if constexpr (D == 3) add(2, T(1), 2), add(1, T(-2), 2), add(0, T(1), 2);
  if constexpr (D == 4) {
    add(2, T(3), 2), add(1, T(-6), 2), add(0, T(3), 2);
    add(3, T(1), 3), add(2, T(-3), 3), add(1, T(3), 3), add(0, T(-1), 3);
  }
  d_radius[0] = d_spine.radius - d_spine.radius_increase;
  d_radius[1] = d_spine.radius_increase;
}

// Gradient of F at fixed t*: F is what t* minimises, so t* adds nothing (envelope theorem).
template <typename V>
NP_HOST_DEVICE void distance_backward(const Frame<V>& frame, V d_f, FrameGradient<V>& sum) {
  const V scale = d_f / frame.distance;
  sum.position.x += scale * frame.w.x;
  sum.position.y += scale * frame.w.y;
  sum.radius = sum.radius - d_f;
}

// Gradient of t* itself, by the implicit function theorem on G(t*, stroke) = 0; none where t* is an end or q' = 0.
template <typename V>
NP_HOST_DEVICE void parameter_backward(const Frame<V>& frame, V t, V d_t, FrameGradient<V>& sum) {
  const auto free = (t > V(0)) & (t < V(1)) & (frame.speed_squared > V(0));
  const V slope = maximum(frame.g_t, V(kCurvatureFloor) * frame.speed_squared);
  const V scale = select(free, V(0) - d_t / select(free, slope, V(1)), V(0));
  const V turn = frame.radius_increase / frame.distance;
  sum.position.x += scale * (frame.velocity.x - turn * frame.w.x);
  sum.position.y += scale * (frame.velocity.y - turn * frame.w.y);
  sum.velocity.x += scale * frame.w.x;
  sum.velocity.y += scale * frame.w.y;
  sum.radius_increase = sum.radius_increase - scale * frame.distance;
}

NP_MATH_END
