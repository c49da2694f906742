// The search for t*: eight chords (32 in float64) and bracketed Newton steps on G. Derivations are in csrc/README.md.
#pragma once

#include "bezier.h"

namespace neural_paint {

template <typename V>
struct Nearest {
  V t, f;  // F = distance - radius at t
};

// Nearest point of one chord, s in [0, 1] given as the spine's t.
template <typename V, typename T, int D>
NP_HOST_DEVICE Nearest<V> nearest_on_chord(const Spine<T, D>& spine, int i, Vec2<V> p) {
  const auto& chord = spine.chord[i];
  const Vec2<V> from{p.x - V(chord.start.x), p.y - V(chord.start.y)};
  const Vec2<V> along{V(chord.along.x), V(chord.along.y)};
  const V projection = dot(from, along) * V(chord.inverse_squared);
  const V s = clamp(projection + V(chord.shift) * absolute(cross(along, from)) + V(chord.bias), V(0), V(1));
  const Vec2<V> w{from.x - s * along.x, from.y - s * along.y};
  const V f = square_root(dot(w, w)) - (V(chord.radius) + s * V(chord.radius_increase));
  return {(V(T(i)) + s) * V(T(1) / T(Spine<T, D>::chords)), f};
}

// A lower bound of F at p. F changes by at most |p - p'| between pixels, so one call can cull a block of them.
template <typename V, typename T, int D>
NP_HOST_DEVICE V lower_bound(const Spine<T, D>& spine, Vec2<V> p) {
  V f = nearest_on_chord<V>(spine, 0, p).f;
  for (int i = 1; i < Spine<T, D>::chords; ++i) f = minimum(nearest_on_chord<V>(spine, i, p).f, f);
  return f - V(spine.chord_error);
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
  frame.g_t = frame.speed_squared + dot(frame.w, frame.acceleration) - frame.radius_increase * along / frame.distance;
  return frame;
}

template <typename V, typename T, int D>
NP_HOST_DEVICE V signed_distance(const Spine<T, D>& spine, const Frame<V>& frame, V t) {
  return frame.distance - (V(spine.radius) + t * V(spine.radius_increase));
}

// Newton steps on G from t, kept inside [low, high] and inside the bracket of the points visited; the better of the
// start and the end.
template <typename V, typename T, int D>
NP_HOST_DEVICE Nearest<V> refine(const Spine<T, D>& spine, Vec2<V> p, V start, V low, V high) {
  Frame<V> frame = frame_at(spine, p, start);
  const V f_start = signed_distance(spine, frame, start);
  V t = start, left = V(-1), right = V(2);  // visited points where F still falls, where it rises: none yet
  for (int step = 0; step < Search<T>::newton_steps(D); ++step) {
    right = select(frame.g > V(0), t, right);
    left = select(frame.g > V(0), left, t);
    const V slope = select(frame.g_t > V(T(0.1)) * frame.speed_squared, frame.g_t, frame.speed_squared);
    V next = clamp(t - frame.g / maximum(slope, V(T(kMinSquaredLength))), low, high);
    const V middle = V(T(0.5)) * (maximum(left, low) + minimum(right, high));
    next = select((next < left) | (next > right), middle, next);
    const auto moved = (next > t) | (next < t);
    t = next;
    frame = frame_at(spine, p, t);
    if (!any(moved)) break;
  }
  const V f = signed_distance(spine, frame, t);
  const auto worse = f > f_start + V(Search<T>::tie);
  return {select(worse, start, t), select(worse, f_start, f)};
}

// t* and F there. The best chord is refined, and so is every other local minimum of the chords that could still beat
// it. Where F is proven to be above `limit` at every lane, a chord's estimate will do.
template <typename V, typename T, int D>
NP_HOST_DEVICE Nearest<V> nearest(const Spine<T, D>& spine, Vec2<V> p, T limit) {
  constexpr int n = Spine<T, D>::chords;
  constexpr T width = T(1) / T(n);
  V t[n], f[n];
  V best_t, best_f;
  for (int i = 0; i < n; ++i) {
    const Nearest<V> chord = nearest_on_chord<V>(spine, i, p);
    t[i] = chord.t;
    f[i] = chord.f;
    best_t = i == 0 ? t[0] : select(f[i] < best_f, t[i], best_t);
    best_f = i == 0 ? f[0] : minimum(f[i], best_f);
  }
  if (!any(best_f <= V(limit + spine.chord_error + Search<T>::tie))) return {best_t, best_f};
  const V start = best_t;
  const V reach = best_f + V(2 * spine.chord_error + Search<T>::tie);
  const auto bracketed = [&](V from) {
    const V reach_t = V(T(2) * width);
    return refine(spine, p, from, maximum(from - reach_t, V(0)), minimum(from + reach_t, V(1)));
  };
  Nearest<V> best = bracketed(start);
  for (int i = 0; i < n; ++i) {
    auto rival = (f[i] <= reach) & ((t[i] < start) | (t[i] > start));
    if (i > 0) rival = rival & (f[i] < f[i - 1]);
    if (i < n - 1) rival = rival & (f[i] <= f[i + 1]);
    if (!any(rival)) continue;
    const Nearest<V> other = bracketed(t[i]);
    const auto wins = rival & ((other.f < best.f - V(Search<T>::tie)) |
                               ((other.f <= best.f + V(Search<T>::tie)) & (other.t < best.t)));
    best = {select(wins, other.t, best.t), select(wins, other.f, best.f)};
  }
  return best;
}

// Gradient with respect to the spine at one pixel.
template <typename V, int D>
struct SpineGradient {
  Vec2<V> points[D];
  V radius[2];
};

// Gradient of F at fixed t*: F is what t* minimises, so t* adds nothing (envelope theorem).
template <typename V, int D>
NP_HOST_DEVICE void distance_backward(const Frame<V>& frame, V t, V d_f, SpineGradient<V, D>& sum) {
  const auto basis = bernstein<D>(t);
  const V x = d_f * frame.w.x / frame.distance, y = d_f * frame.w.y / frame.distance;
  for (int i = 0; i < D; ++i) {
    sum.points[i].x += basis.b[i] * x;
    sum.points[i].y += basis.b[i] * y;
  }
  sum.radius[0] += (t - V(1)) * d_f;
  sum.radius[1] += (V(0) - t) * d_f;
}

// Gradient of t* itself, by the implicit function theorem on G(t*, stroke) = 0; none where t* is an end or q' = 0.
template <typename V, int D>
NP_HOST_DEVICE void parameter_backward(const Frame<V>& frame, V t, V d_t, SpineGradient<V, D>& sum) {
  const auto free = (t > V(0)) & (t < V(1)) & (frame.speed_squared > V(0));
  const V slope = maximum(frame.g_t, V(kCurvatureFloor) * frame.speed_squared);
  const V scale = select(free, V(0) - d_t / select(free, slope, V(1)), V(0));
  const auto basis = bernstein<D>(t);
  const V turn = frame.radius_increase / frame.distance;
  const Vec2<V> at_b{scale * (frame.velocity.x - turn * frame.w.x), scale * (frame.velocity.y - turn * frame.w.y)};
  const Vec2<V> at_derivative{scale * frame.w.x, scale * frame.w.y};
  for (int i = 0; i < D; ++i) {
    sum.points[i].x += basis.b[i] * at_b.x + basis.derivative[i] * at_derivative.x;
    sum.points[i].y += basis.b[i] * at_b.y + basis.derivative[i] * at_derivative.y;
  }
  sum.radius[0] += scale * frame.distance;
  sum.radius[1] += V(0) - scale * frame.distance;
}

}  // namespace neural_paint
