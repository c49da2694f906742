// The search for t*: chords first, then Newton steps on G. Derivations are in csrc/README.md.
#pragma once

#include "bezier.h"

NP_MATH_BEGIN

// Accuracy of the search for t*, by precision of the geometry.
template <typename T>
struct Search;

template <>
struct Search<float> {
  static constexpr int chords = 8;
  static constexpr bool bracketed = false;
  // A line's chord is exact. F needs t* to second order only, but ramps, textures and the direction of w to first.
  static constexpr int newton_steps(int control_points) { return control_points <= 2 ? 0 : control_points - 1; }
  static constexpr float tie = 1e-5f;  // minima of F closer than this, in pixels, are equal: rounding at 64 px
};

template <>
struct Search<double> {
  static constexpr int chords = 32;
  static constexpr bool bracketed = true;
  static constexpr int newton_steps(int) { return 24; }  // to convergence: bracketed, so halving at worst
  static constexpr double tie = 1e-12;
};

// A spine cut into chords of equal steps in t, one array a quantity: a lane may be a pixel or a chord.
template <typename T, int D>
struct Searched {
  // Lines and dabs are their own chord.
  static constexpr int chords = D <= 2 ? 1 : Search<T>::chords;

  static constexpr int room = chords < 16 ? 16 : chords;  // a whole vector register may be read

  Spine<T, D> spine;
  bool tapered;
  T chord_error;  // no point of the curve is farther than this from its chord
  // q(t) ~ start + s along, s in [0, 1]; s of the nearest point is projection + shift |cross| + bias, which is that of
  // a cone; 1 / |along|^2; r ~ radius + s radius_increase.
  alignas(64) T start_x[room], start_y[room], along_x[room], along_y[room], inverse_squared[room];
  alignas(64) T shift[room], bias[room], radius[room];
  T radius_increase;
};

template <typename T, int D>
NP_HOST_DEVICE Searched<T, D> make_searched(const Spine<T, D>& spine) {
  constexpr int n = Searched<T, D>::chords;
  Searched<T, D> out;
  out.spine = spine;
  out.tapered = spine.radius_increase != T(0);
  // |q''| is greatest at an end: q'' is linear in t for a cubic and constant for a quadratic.
  const Vec2<T> bend_start = acceleration(spine, T(0)), bend_end = acceleration(spine, T(1));
  const T bend = square_root(maximum(dot(bend_start, bend_start), dot(bend_end, bend_end)));
  out.chord_error = bend / T(8 * n * n);
  out.radius_increase = spine.radius_increase / T(n);
  const T taper = out.radius_increase;
  // No branch and no call: a loop over chords that the compiler turns into one over lanes.
  for (int i = 0; i < n; ++i) {
    const Vec2<T> from = position(spine, T(i) * (T(1) / T(n))), to = position(spine, T(i + 1) * (T(1) / T(n)));
    const Vec2<T> along{to.x - from.x, to.y - from.y};
    const T squared = dot(along, along);
    const T room = squared - taper * taper;  // a cone has a side only where this is positive
    const T inverse_squared = T(1) / maximum(squared, T(kMinSquaredLength));
    const T end = taper > T(0) ? T(1e30) : taper < T(0) ? T(-1e30) : T(0);
    out.start_x[i] = from.x;
    out.start_y[i] = from.y;
    out.along_x[i] = along.x;
    out.along_y[i] = along.y;
    out.inverse_squared[i] = inverse_squared;
    out.shift[i] = room > T(0) ? taper * inverse_squared / square_root(room > T(0) ? room : T(1)) : T(0);
    out.bias[i] = room > T(0) ? T(0) : end;
    out.radius[i] = spine.radius + T(i) * taper;
  }
  return out;
}

template <typename V>
struct Chord {
  Vec2<V> start, along;
  V inverse_squared, shift, bias, radius;
};

// Chord i for every lane.
template <typename V, typename T, int D>
NP_HOST_DEVICE Chord<V> chord_at(const Searched<T, D>& s, int i) {
  return {{V(s.start_x[i]), V(s.start_y[i])},
          {V(s.along_x[i]), V(s.along_y[i])},
          V(s.inverse_squared[i]),
          V(s.shift[i]),
          V(s.bias[i]),
          V(s.radius[i])};
}

template <typename V>
struct OnChord {
  V s, squared, f;  // of the nearest point: place on the chord, squared distance, and F where the spine is tapered
};

template <bool Tapered, typename V, typename T>
NP_HOST_DEVICE OnChord<V> nearest_on_chord(const Chord<V>& chord, T radius_increase, Vec2<V> p) {
  const Vec2<V> from{p.x - chord.start.x, p.y - chord.start.y};
  V s = dot(from, chord.along) * chord.inverse_squared;
  if constexpr (Tapered) s = s + chord.shift * absolute(cross(chord.along, from)) + chord.bias;
  s = clamp(s, V(0), V(1));
  const Vec2<V> w{from.x - s * chord.along.x, from.y - s * chord.along.y};
  const V squared = dot(w, w);
  if constexpr (!Tapered) return {s, squared, squared};
  return {s, squared, square_root(squared) - (chord.radius + s * V(radius_increase))};
}

template <typename V>
struct Nearest {
  V t, f;  // F = distance - radius at t
};

template <typename V>
struct Stationarity {
  V squared;   // |w|^2 + epsilon^2
  V f;         // F where the spine is tapered
  V g, slope;  // G, and G_t where it is positive enough for a Newton step, else |q'|^2
};

template <bool Tapered, typename V, typename T, int D>
NP_HOST_DEVICE Stationarity<V> stationarity(const Spine<T, D>& spine, Vec2<V> p, V t) {
  const Vec2<V> q = position(spine, t), velocity_t = velocity(spine, t), bend = acceleration(spine, t);
  const Vec2<V> w{q.x - p.x, q.y - p.y};
  Stationarity<V> out;
  out.squared = dot(w, w) + V(T(kDistanceEpsilon * kDistanceEpsilon));
  const V speed_squared = dot(velocity_t, velocity_t);
  out.g = dot(w, velocity_t);
  V g_t = speed_squared + dot(w, bend);
  if constexpr (Tapered) {
    const V distance = square_root(out.squared);
    out.f = distance - (V(spine.radius) + t * V(spine.radius_increase));
    g_t = g_t - V(spine.radius_increase) * out.g / distance;
    out.g = out.g - distance * V(spine.radius_increase);
  }
  const V slope = select(g_t > V(T(0.1)) * speed_squared, g_t, speed_squared);
  out.slope = maximum(slope, V(T(kMinSquaredLength)));
  return out;
}

// Newton steps on G, kept within two chords of the start; the better of the start and the end. In double precision they
// are kept inside the bracket of the points visited too, and go on to convergence.
template <bool Tapered, typename V, typename T, int D>
NP_HOST_DEVICE Nearest<V> refine(const Searched<T, D>& s, Vec2<V> p, V start) {
  constexpr T chord = T(1) / T(Searched<T, D>::chords);
  const V low = maximum(start - V(2 * chord), V(0)), high = minimum(start + V(2 * chord), V(1));
  Stationarity<V> at = stationarity<Tapered>(s.spine, p, start);
  const V squared_start = at.squared, f_start = at.f;
  V t = start, left = V(-1), right = V(2);  // visited points where F still falls, where it rises: none yet
  for (int step = 0; step < Search<T>::newton_steps(D); ++step) {
    V next = clamp(t - at.g / at.slope, low, high);
    if constexpr (Search<T>::bracketed) {
      right = select(at.g > V(0), t, right);
      left = select(at.g > V(0), left, t);
      const V middle = V(T(0.5)) * (maximum(left, low) + minimum(right, high));
      next = select((next < left) | (next > right), middle, next);
      if (!any((next > t) | (next < t))) break;
    }
    t = next;
    at = stationarity<Tapered>(s.spine, p, t);
  }
  if constexpr (Tapered) {
    const auto worse = at.f > f_start + V(Search<T>::tie);
    return {select(worse, start, t), select(worse, f_start, at.f)};
  } else {
    const auto worse = at.squared > squared_start;
    const V squared = select(worse, squared_start, at.squared);
    return {select(worse, start, t), square_root(squared) - V(s.spine.radius)};
  }
}

template <bool Tapered, typename V, typename T, int D>
NP_HOST_DEVICE Nearest<V> search(const Searched<T, D>& s, Vec2<V> p, T limit, uint32_t chords) {
  constexpr int n = Searched<T, D>::chords;
  constexpr T width = T(1) / T(n);
  V t[n], score[n];  // F where tapered, else the squared distance, which orders the chords as F does
  V best_t(0), best(std::numeric_limits<T>::infinity());
  for (uint32_t left = chords; left != 0; left &= left - 1) {
    const int i = lowest_bit(left);
    const OnChord<V> on = nearest_on_chord<Tapered>(chord_at<V>(s, i), s.radius_increase, p);
    t[i] = (V(T(i)) + on.s) * V(width);
    score[i] = on.f;
    best_t = select(score[i] < best, t[i], best_t);
    best = minimum(score[i], best);
  }
  const V best_f = Tapered ? best : square_root(best) - V(s.spine.radius);
  if (!any(best_f <= V(limit + s.chord_error + Search<T>::tie))) return {best_t, best_f};

  const V start = best_t;
  Nearest<V> nearest = refine<Tapered>(s, p, start);
  if constexpr (n == 1) return nearest;
  // Other local minima of the chords that could still beat the best.
  const T slack = 2 * s.chord_error + Search<T>::tie;
  const V reach_f = best_f + V(slack), reach_distance = reach_f + V(s.spine.radius);
  const V reach = Tapered ? reach_f : reach_distance * reach_distance;
  for (uint32_t left = chords; left != 0; left &= left - 1) {
    const int i = lowest_bit(left);
    auto rival = (score[i] <= reach) & ((t[i] < start) | (t[i] > start));
    if (!any(rival)) continue;
    if (i > 0 && (chords >> (i - 1) & 1)) rival = rival & (score[i] < score[i - 1]);
    if (i < n - 1 && (chords >> (i + 1) & 1)) rival = rival & (score[i] <= score[i + 1]);
    if (!any(rival)) continue;
    const Nearest<V> other = refine<Tapered>(s, p, t[i]);
    const auto wins = rival & ((other.f < nearest.f - V(Search<T>::tie)) |
                               ((other.f <= nearest.f + V(Search<T>::tie)) & (other.t < nearest.t)));
    nearest = {select(wins, other.t, nearest.t), select(wins, other.f, nearest.f)};
  }
  return nearest;
}

// t* and F there, looked for on the given chords (a bit each). Where F is proven to be above `limit` at every lane, a
// chord's estimate will do.
template <typename V, typename T, int D>
NP_HOST_DEVICE Nearest<V> nearest(const Searched<T, D>& s, Vec2<V> p, T limit, uint32_t chords) {
  return s.tapered ? search<true>(s, p, limit, chords) : search<false>(s, p, limit, chords);
}

NP_MATH_END
