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

// Whether Newton steps from a good start replace the search on chords where F has but one minimum.
template <typename T, int D>
constexpr bool kSmooth = D >= 3 && !Search<T>::bracketed;

// A spine cut into chords of equal steps in t, one array a quantity: a lane may be a pixel or a chord.
template <typename T, int D>
struct Searched {
  // Lines and dabs are their own chord.
  static constexpr int chords = D <= 2 ? 1 : Search<T>::chords;

  static constexpr int room = chords < kMostLanes ? kMostLanes : chords;  // a whole pack may be read
  static constexpr int alignment = kMostLanes > 1 ? 64 : 16;

  Spine<T, D> spine;
  bool tapered;
  T chord_error;  // no point of the curve is farther than this from its chord
  // For `Smooth`: q' and (q - q(0)) . q' as polynomials in t, and the derivative of the latter.
  Vec2<T> velocity[D];
  T g[2 * D], g_slope[2 * D];
  // F has no maximum at an inner t as long as the curve is nearer than this; see csrc/README.md.
  T focal_distance;
  T longest_chord;  // no part of the curve between two ends of a chord is longer
  // q(t) ~ start + s along, s in [0, 1]; s of the nearest point is projection + shift |cross| + bias, which is that of
  // a cone; |along|^2 and its inverse; r ~ radius + s radius_increase.
  alignas(alignment) T start_x[room], start_y[room], along_x[room], along_y[room], squared[room], inverse_squared[room];
  alignas(alignment) T shift[room], bias[room], radius[room];
  T radius_increase;
};

// Share of |q'|^2 that G_t has at least where F is stationary nearer than `focal_distance`.
constexpr double kFocalSlope = 0.25;

// What Smooth needs. `bend` is the greatest |q''|, chords have squared lengths from `shortest` to `longest`.
template <typename T, int D>
NP_HOST_DEVICE void set_smooth(Searched<T, D>& out, T bend, T shortest, T longest) {
  constexpr int n = Searched<T, D>::chords, degree = 2 * D - 3;
  const Spine<T, D>& spine = out.spine;
  for (int k = 1; k < D; ++k) out.velocity[k - 1] = {T(k) * spine.coefficient[k].x, T(k) * spine.coefficient[k].y};
  for (int m = 0; m <= degree; ++m) {
    out.g[m] = T(0);
    for (int j = 1; j < D; ++j)
      if (m + 1 - j >= 1 && m + 1 - j < D) out.g[m] += dot(spine.coefficient[j], out.velocity[m - j]);
    out.g_slope[m] = T(m) * out.g[m];
  }
  // |q'| differs by no more than that from the length of its chord; q' x q'' is a polynomial within its Bernstein
  // coefficients.
  const T spread = bend / T(2 * n);
  const T slowest = maximum(T(n) * square_root(shortest) - spread, T(0)),
          fastest = T(n) * square_root(longest) + spread;
  const Vec2<T> bend_start = acceleration(spine, T(0)), bend_end = acceleration(spine, T(1));
  const Vec2<T> start = velocity(spine, T(0)), end = velocity(spine, T(1));
  T turn = maximum(absolute(cross(start, bend_start)), absolute(cross(end, bend_end)));
  if constexpr (D == 4)
    turn = maximum(turn, absolute(cross(start, bend_start) + T(3) * cross(start, spine.coefficient[3])));
  const T squared = slowest * slowest, taper = absolute(spine.radius_increase);
  // At a stationary point G_t is at least |q'|^2 - r'^2 - distance * (turn / |q'| + bend r' / |q'|).
  const T room = (T(1) - T(kFocalSlope)) * squared - taper * taper;
  out.focal_distance = room > T(0) ? room * slowest / (turn + bend * taper + T(kMinSquaredLength)) : T(0);
  out.longest_chord = fastest / T(n);
}

// V holds as many chords as are worked on side by side.
template <typename V, typename T, int D>
NP_HOST_DEVICE void set_searched(Searched<T, D>& out, const Spine<T, D>& spine) {
  constexpr int n = Searched<T, D>::chords;
  out.spine = spine;
  out.tapered = spine.radius_increase != T(0);
  // |q''| is greatest at an end: q'' is linear in t for a cubic and constant for a quadratic.
  const Vec2<T> bend_start = acceleration(spine, T(0)), bend_end = acceleration(spine, T(1));
  const T bend = square_root(maximum(dot(bend_start, bend_start), dot(bend_end, bend_end)));
  out.chord_error = bend / T(8 * n * n);
  out.radius_increase = spine.radius_increase / T(n);
  const V taper(out.radius_increase);
  const V end = select(taper > V(0), V(T(1e30)), select(taper < V(0), V(T(-1e30)), V(0)));
  for (int first = 0; first < n; first += Lanes<V>::count) {
    const auto put = [first](V value, T* array) { Lanes<V>::store(value, array + first); };
    const V i = Lanes<V>::from(first);
    const Vec2<V> from = position(spine, i * V(T(1) / T(n))), to = position(spine, (i + V(1)) * V(T(1) / T(n)));
    const Vec2<V> along{to.x - from.x, to.y - from.y};
    const V squared = dot(along, along), inverse_squared = V(1) / maximum(squared, V(T(kMinSquaredLength)));
    const V room = squared - taper * taper;  // a cone has a side only where this is positive
    const auto has_side = room > V(0);
    put(from.x, out.start_x);
    put(from.y, out.start_y);
    put(along.x, out.along_x);
    put(along.y, out.along_y);
    put(squared, out.squared);
    put(inverse_squared, out.inverse_squared);
    put(select(has_side, taper * inverse_squared / square_root(select(has_side, room, V(1))), V(0)), out.shift);
    put(select(has_side, V(0), end), out.bias);
    put(V(spine.radius) + i * taper, out.radius);
  }
  if constexpr (kSmooth<T, D>) {
    T shortest = out.squared[0], longest = out.squared[0];
    for (int i = 1; i < n; ++i) {
      shortest = minimum(out.squared[i], shortest);
      longest = maximum(out.squared[i], longest);
    }
    set_smooth(out, bend, shortest, longest);
  }
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
  V s, squared;  // of the nearest point: place on the chord and squared distance
};

template <bool Tapered, typename V>
NP_HOST_DEVICE OnChord<V> nearest_on_chord(const Chord<V>& chord, Vec2<V> p) {
  const Vec2<V> from{p.x - chord.start.x, p.y - chord.start.y};
  V s = dot(from, chord.along) * chord.inverse_squared;
  if constexpr (Tapered) s = s + chord.shift * absolute(cross(chord.along, from)) + chord.bias;
  s = clamp(s, V(0), V(1));
  const Vec2<V> w{from.x - s * chord.along.x, from.y - s * chord.along.y};
  return {s, dot(w, w)};
}

// F where tapered, else the squared distance, which orders the chords as F does.
template <bool Tapered, typename V, typename T, int D>
NP_HOST_DEVICE V chord_value(const Searched<T, D>& s, const Chord<V>& chord, const OnChord<V>& on) {
  if constexpr (!Tapered) return on.squared;
  return square_root(on.squared) - (chord.radius + on.s * V(s.radius_increase));
}

template <typename V>
struct Nearest {
  V t, f;  // F = distance - radius at t
};

template <typename V>
struct Stationarity {
  V squared;   // |w|^2 + epsilon^2
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
    g_t = g_t - V(spine.radius_increase) * out.g / distance;
    out.g = out.g - distance * V(spine.radius_increase);
  }
  const V slope = select(g_t > V(T(0.1)) * speed_squared, g_t, speed_squared);
  out.slope = maximum(slope, V(T(kMinSquaredLength)));
  return out;
}

template <bool Tapered, typename V, typename T, int D>
NP_HOST_DEVICE V value(const Spine<T, D>& spine, const Stationarity<V>& at, V t) {
  const V radius = Tapered ? V(spine.radius) + t * V(spine.radius_increase) : V(spine.radius);
  return square_root(at.squared) - radius;
}

// Newton steps on G, kept within two chords of the start; the better of the start and the end. In double precision they
// are kept inside the bracket of the points visited too, and go on to convergence.
template <bool Tapered, typename V, typename T, int D>
NP_HOST_DEVICE Nearest<V> refine(const Searched<T, D>& s, Vec2<V> p, V start) {
  constexpr T chord = T(1) / T(Searched<T, D>::chords);
  const V low = maximum(start - V(2 * chord), V(0)), high = minimum(start + V(2 * chord), V(1));
  const Stationarity<V> begun = stationarity<Tapered>(s.spine, p, start);
  Stationarity<V> at = begun;
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
  const V f = value<Tapered>(s.spine, at, t), f_start = value<Tapered>(s.spine, begun, start);
  const auto worse = f > f_start + V(Search<T>::tie);
  return {select(worse, start, t), select(worse, f_start, f)};
}

template <typename V>
struct ChordScore {
  V t, value;  // of the nearest point; value orders chords as F does
};

template <bool Tapered, typename V, typename T, int D>
NP_HOST_DEVICE ChordScore<V> score(const Searched<T, D>& s, Vec2<V> p, int i) {
  const Chord<V> chord = chord_at<V>(s, i);
  const OnChord<V> on = nearest_on_chord<Tapered>(chord, p);
  return {(V(T(i)) + on.s) * V(T(1) / T(Searched<T, D>::chords)), chord_value<Tapered>(s, chord, on)};
}

template <bool Tapered, typename V, typename T, int D>
NP_HOST_DEVICE Nearest<V> search(const Searched<T, D>& s, Vec2<V> p, T limit, uint32_t chords) {
  constexpr int n = Searched<T, D>::chords;
  constexpr T infinity = std::numeric_limits<T>::infinity();
  V best_t(0), best(infinity);
  for (uint32_t left = chords; left != 0; left &= left - 1) {
    const ChordScore<V> found = score<Tapered>(s, p, lowest_bit(left));
    best_t = select(found.value < best, found.t, best_t);
    best = minimum(found.value, best);
  }
  const V best_f = Tapered ? best : square_root(best) - V(s.spine.radius);
  if (!any(best_f <= V(limit + s.chord_error + Search<T>::tie))) return {best_t, best_f};

  const V start = best_t;
  Nearest<V> nearest = refine<Tapered>(s, p, start);
  if (n == 1 || (chords & (chords - 1)) == 0) return nearest;
  // Other local minima of the chords that could still beat the best. Scores are found anew: an array of them would be
  // kept in memory on a GPU.
  const T slack = 2 * s.chord_error + Search<T>::tie;
  const V reach_f = best_f + V(slack), reach_distance = reach_f + V(s.spine.radius);
  const V reach = Tapered ? reach_f : reach_distance * reach_distance;
  V before(infinity);
  ChordScore<V> here = score<Tapered>(s, p, lowest_bit(chords));
  for (uint32_t left = chords; left != 0;) {
    const int i = lowest_bit(left);
    left &= left - 1;
    const bool followed = i + 1 < n && (chords >> (i + 1) & 1);
    ChordScore<V> next{V(0), V(infinity)};
    if (left != 0) next = score<Tapered>(s, p, lowest_bit(left));
    const auto rival = (here.value <= reach) & ((here.t < start) | (here.t > start)) & (here.value < before) &
                       (here.value <= (followed ? next.value : V(infinity)));
    if (any(rival)) {
      const Nearest<V> other = refine<Tapered>(s, p, here.t);
      const auto wins = rival & ((other.f < nearest.f - V(Search<T>::tie)) |
                                 ((other.f <= nearest.f + V(Search<T>::tie)) & (other.t < nearest.t)));
      nearest = {select(wins, other.t, nearest.t), select(wins, other.f, nearest.f)};
    }
    before = followed ? here.value : V(infinity);
    here = next;
  }
  return nearest;
}

// The search near the only minimum of F: Newton steps on G, a polynomial whose first coefficients alone depend on the
// pixel.
template <typename V, int D>
struct Smooth {
  Vec2<V> w0;            // q(0) - p
  V coefficient[D - 1];  // the first ones of G while r' = 0

  template <typename T>
  NP_HOST_DEVICE Smooth(const Searched<T, D>& s, Vec2<V> p) {
    w0 = {V(s.spine.coefficient[0].x) - p.x, V(s.spine.coefficient[0].y) - p.y};
    for (int k = 0; k < D - 1; ++k) coefficient[k] = V(s.g[k]) + w0.x * V(s.velocity[k].x) + w0.y * V(s.velocity[k].y);
  }

  // w = q(t) - p
  template <typename T>
  NP_HOST_DEVICE Vec2<V> offset(const Searched<T, D>& s, V t) const {
    Vec2<V> q{V(s.spine.coefficient[D - 1].x), V(s.spine.coefficient[D - 1].y)};
    for (int k = D - 2; k >= 1; --k) {
      q.x = q.x * t + V(s.spine.coefficient[k].x);
      q.y = q.y * t + V(s.spine.coefficient[k].y);
    }
    return {q.x * t + w0.x, q.y * t + w0.y};
  }

  template <typename T>
  NP_HOST_DEVICE V squared_distance(const Searched<T, D>& s, V t) const {
    const Vec2<V> w = offset(s, t);
    return dot(w, w) + V(T(kDistanceEpsilon * kDistanceEpsilon));
  }

  // G_t, where the term of r' has its value at the minimum.
  template <bool Tapered, typename T>
  NP_HOST_DEVICE V slope(const Searched<T, D>& s, V t) const {
    constexpr int degree = 2 * D - 3;
    V out(s.g_slope[degree]);
    for (int k = degree - 1; k >= 1; --k) out = out * t + (k < D - 1 ? V(T(k)) * coefficient[k] : V(s.g_slope[k]));
    if constexpr (Tapered) out = out - V(s.spine.radius_increase * s.spine.radius_increase);
    return out;
  }

  template <bool Tapered, typename T>
  NP_HOST_DEVICE V value(const Searched<T, D>& s, V t) const {
    constexpr int degree = 2 * D - 3;
    V g(s.g[degree]);
    for (int k = degree - 1; k >= 0; --k) g = g * t + (k < D - 1 ? coefficient[k] : V(s.g[k]));
    if constexpr (Tapered) g = g - square_root(squared_distance(s, t)) * V(s.spine.radius_increase);
    return g;
  }

  // One division for all steps: the start is so near that the slope there serves them all. Where the minimum over all
  // t is beyond an end of the stroke, no farther than to `low` or `high`.
  template <bool Tapered, typename T>
  NP_HOST_DEVICE V search(const Searched<T, D>& s, V t, V low, V high, int steps) const {
    const V inverse_slope = V(1) / slope<Tapered>(s, t);
    for (int step = 0; step < steps; ++step) t = clamp(t - value<Tapered>(s, t) * inverse_slope, low, high);
    return t;
  }
};

// t* and F there, looked for on the given chords (a bit each). Where F is proven to be above `limit` at every lane, a
// chord's estimate will do.
template <typename V, typename T, int D>
NP_HOST_DEVICE Nearest<V> nearest(const Searched<T, D>& s, Vec2<V> p, T limit, uint32_t chords) {
  return s.tapered ? search<true>(s, p, limit, chords) : search<false>(s, p, limit, chords);
}

NP_MATH_END
