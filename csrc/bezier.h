// A stroke's spine: a Bezier curve of D control points with a radius that varies linearly.
#pragma once

#include "portable.h"

namespace neural_paint {

// Rounds off the distance's kink on the spine, in pixels: small enough never to show, large enough for a gradient.
constexpr double kDistanceEpsilon = 1e-6;

// Floor of G_t, as a share of |q'|^2: bounds dt*/dtheta near a centre of curvature, where t* jumps. The reference's
// too.
constexpr double kCurvatureFloor = 1e-3;

// Least squared length of a chord, in square pixels: lets a degenerate stroke divide.
constexpr double kMinSquaredLength = 1e-12;

// Accuracy of the search for t*, by precision of the geometry.
template <typename T>
struct Search;

template <>
struct Search<float> {
  static constexpr int chords = 8;
  static constexpr int newton_steps(int control_points) { return control_points <= 2 ? 0 : control_points - 1; }
  static constexpr float tie = 1e-5f;  // minima of F closer than this, in pixels, are equal: rounding at 64 px
};

template <>
struct Search<double> {
  static constexpr int chords = 32;
  static constexpr int newton_steps(int) { return 24; }  // to convergence: bracketed, so halving at worst
  static constexpr double tie = 1e-12;
};

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

// Monomial form about the tile's origin, and the straight pieces that start the search.
template <typename T, int D>
struct Spine {
  // Lines and dabs are their own chord.
  static constexpr int chords = D <= 2 ? 1 : Search<T>::chords;

  struct Chord {
    Vec2<T> start, along;  // q(t) ~ start + s along, s in [0, 1]
    T inverse_squared;     // 1 / |along|^2
    T shift, bias;         // s = projection + shift |cross| + bias: the nearest point of a cone, see csrc/README.md
    T radius, radius_increase;  // r ~ radius + s radius_increase
  };

  Vec2<T> coefficient[D];
  T radius, radius_increase;  // r(t) = radius + t radius_increase
  T chord_error;              // no point of the curve is farther than this from its chord
  Chord chord[chords];
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

template <typename T, int D>
NP_HOST_DEVICE typename Spine<T, D>::Chord make_chord(Vec2<T> from, Vec2<T> to, T radius, T radius_increase) {
  const Vec2<T> along{to.x - from.x, to.y - from.y};
  const T squared = dot(along, along);
  const T room = squared - radius_increase * radius_increase;  // a cone has a side only where this is positive
  const bool cone = room > T(0);
  const T inverse_squared = T(1) / maximum(squared, T(kMinSquaredLength));
  const T shift = cone ? radius_increase * inverse_squared / square_root(room) : T(0);
  const T bias = cone || radius_increase == T(0) ? T(0) : radius_increase > T(0) ? T(1e30) : T(-1e30);
  return {from, along, inverse_squared, shift, bias, radius, radius_increase};
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

  constexpr int n = Spine<T, D>::chords;
  // |q''| is greatest at an end: q'' is linear in t for a cubic and constant for a quadratic.
  const Vec2<T> bend_start = acceleration(spine, T(0)), bend_end = acceleration(spine, T(1));
  const T bend = square_root(maximum(dot(bend_start, bend_start), dot(bend_end, bend_end)));
  spine.chord_error = bend / T(8 * n * n);
  Vec2<T> from = position(spine, T(0));
  for (int i = 0; i < n; ++i) {
    const Vec2<T> to = position(spine, T(i + 1) / T(n));
    const T increase = spine.radius_increase / T(n);
    spine.chord[i] = make_chord<T, D>(from, to, spine.radius + T(i) * increase, increase);
    from = to;
  }
  return spine;
}

}  // namespace neural_paint
