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

template <typename V, int D>
struct Bernstein {
  V b[D], derivative[D];  // d/dt of b
};

template <int D, typename V>
NP_HOST_DEVICE Bernstein<V, D> bernstein(V t) {
  const V s = V(1) - t;
  if constexpr (D == 1) {
    return {{V(1)}, {V(0)}};
  } else if constexpr (D == 2) {
    return {{s, t}, {V(-1), V(1)}};
  } else if constexpr (D == 3) {
    return {{s * s, V(2) * s * t, t * t}, {V(-2) * s, V(2) * (s - t), V(2) * t}};
  } else {
    return {{s * s * s, V(3) * s * s * t, V(3) * s * t * t, t * t * t},
            {V(-3) * s * s, V(3) * s * (s - V(2) * t), V(3) * t * (V(2) * s - t), V(3) * t * t}};
  }
}

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

// The spine at t as seen from pixel p: everything that values and gradients are made of.
template <typename V>
struct Frame {
  Vec2<V> w, velocity, acceleration;  // w = q - p
  V distance, speed_squared;
  V radius_increase;
  V g, g_t;  // G = dF/dt * distance, and dG/dt
};

template <typename V, typename T, int D>
NP_HOST_DEVICE Frame<V> frame_at(const Spine<T, D>& spine, Vec2<V> p, V t) {
  Frame<V> frame;
  const Vec2<V> q = position(spine, t);
  frame.w = {q.x - p.x, q.y - p.y};
  frame.velocity = velocity(spine, t);
  frame.acceleration = acceleration(spine, t);
  frame.distance = square_root(dot(frame.w, frame.w) + V(T(kDistanceEpsilon * kDistanceEpsilon)));
  frame.speed_squared = dot(frame.velocity, frame.velocity);
  frame.radius_increase = V(spine.radius_increase);
  const V along = dot(frame.w, frame.velocity);
  frame.g = along - frame.distance * frame.radius_increase;
  frame.g_t = frame.speed_squared + dot(frame.w, frame.acceleration);
  if (spine.radius_increase != T(0)) frame.g_t = frame.g_t - frame.radius_increase * along / frame.distance;
  return frame;
}

// Gradient with respect to the spine at one pixel, before it is spread over the control points.
template <typename V>
struct SpineGradient {
  Vec2<V> position, velocity;  // of q and q' at a fixed t
  V radius[2];
};

// q = sum b_i P_i and q' = sum b_i' P_i.
template <int D, typename V>
NP_HOST_DEVICE void add_to_points(const SpineGradient<V>& gradient, V t, Vec2<V> (&points)[D]) {
  const auto basis = bernstein<D>(t);
  for (int i = 0; i < D; ++i) {
    points[i].x = points[i].x + basis.b[i] * gradient.position.x + basis.derivative[i] * gradient.velocity.x;
    points[i].y = points[i].y + basis.b[i] * gradient.position.y + basis.derivative[i] * gradient.velocity.y;
  }
}

// Gradient of F at fixed t*: F is what t* minimises, so t* adds nothing (envelope theorem).
template <typename V>
NP_HOST_DEVICE void distance_backward(const Frame<V>& frame, V t, V d_f, SpineGradient<V>& sum) {
  const V scale = d_f / frame.distance;
  sum.position.x += scale * frame.w.x;
  sum.position.y += scale * frame.w.y;
  sum.radius[0] += (t - V(1)) * d_f;
  sum.radius[1] += V(0) - t * d_f;
}

// Gradient of t* itself, by the implicit function theorem on G(t*, stroke) = 0; none where t* is an end or q' = 0.
template <typename V>
NP_HOST_DEVICE void parameter_backward(const Frame<V>& frame, V t, V d_t, SpineGradient<V>& sum) {
  const auto free = (t > V(0)) & (t < V(1)) & (frame.speed_squared > V(0));
  const V slope = maximum(frame.g_t, V(kCurvatureFloor) * frame.speed_squared);
  const V scale = select(free, V(0) - d_t / select(free, slope, V(1)), V(0));
  const V turn = frame.radius_increase / frame.distance;
  sum.position.x += scale * (frame.velocity.x - turn * frame.w.x);
  sum.position.y += scale * (frame.velocity.y - turn * frame.w.y);
  sum.velocity.x += scale * frame.w.x;
  sum.velocity.y += scale * frame.w.y;
  sum.radius[0] += scale * frame.distance;
  sum.radius[1] += V(0) - scale * frame.distance;
}

NP_MATH_END
