// One stroke, and what it does to pixels and to squares of them: value and gradient. Lanes are pixels or squares.
#pragma once

#include "scene.h"

NP_MATH_BEGIN

// From the centre of a square of n pixels to its farthest pixel centre. F changes by no more than that in between.
template <typename T>
constexpr NP_HOST_DEVICE T half_diagonal(int n) {
  return T((n - 1) * 0.70710678118654757);
}

// One stroke as seen from an origin of whole pixels.
template <typename T, int D>
struct Stroke {
  Searched<T, D> search;
  T half_feather, inverse_feather;
  T margin;     // by how much F of the chords may be off, with room for rounding
  bool gentle;  // no two minima of F near a touched pixel whose chords follow each other
  bool varies;  // along its length, so that t* matters inside too
  T opacity[2];
  Texture<T> texture;     // without texels: none
  int64_t texture_index;  // -1: none
};

// Stroke n of canvas b about (x, y), to be looked at in squares of `square` pixels. V holds as many chords as are
// worked on side by side.
template <typename V, typename T, int D>
NP_HOST_DEVICE void set_stroke(Stroke<T, D>& out, const Scene<T>& scene, int64_t b, int64_t n, T x, T y, int square) {
  Vec2<T> points[D];
  load_points(scene, b, n, x, y, points);
  for (int e = 0; e < scene.opacity_ends; ++e) out.opacity[e] = scene.opacity(b, n, e);
  out.texture_index = scene.textures == 0 ? -1 : scene.texture_id(b, n);
  out.texture = out.texture_index < 0 ? Texture<T>{} : scene.texture(out.texture_index);
  set_searched<V>(out.search, make_spine(points, scene.radius(b, n, 0), scene.radius(b, n, 1)));
  const T feather = scene.feather(b, n);
  out.half_feather = feather / 2;
  out.inverse_feather = 1 / feather;
  out.varies = out.texture_index >= 0 || scene.color_ends == 2 || scene.opacity_ends == 2;
  // Rounding grows with the coordinates; this is far more than it can be.
  T scale(0);
  for (int i = 0; i < D; ++i) scale = maximum(scale, maximum(absolute(points[i].x), absolute(points[i].y)));
  constexpr T rounding = 64 * std::numeric_limits<T>::epsilon();
  out.margin = out.search.chord_error + T(1e-3) + rounding * scale;
  out.gentle = false;
  if constexpr (kSmooth<T, D>) {
    const Searched<T, D>& s = out.search;
    const T radius = maximum(s.spine.radius, s.spine.radius + s.spine.radius_increase);
    out.gentle =
        out.half_feather + out.margin + 2 * half_diagonal<T>(square) + radius + s.longest_chord < s.focal_distance;
  }
}

// The chords at a pack of points. F is compared with a limit by squares, without a root.
template <typename V>
struct ByChords {
  V t;                 // of the nearest chord; where radii differ, of the one with the least power
  uint32_t within;     // lanes where some chord has F <= limit,
  uint32_t scattered;  // where such chords do not all follow each other,
  uint32_t inside;     // where some chord has F < -limit
};

template <bool Tapered, typename V, typename T, int D>
NP_HOST_DEVICE ByChords<V> look_at_chords(const Searched<T, D>& s, Vec2<V> p, T limit) {
  constexpr int n = Searched<T, D>::chords;
  constexpr T infinity = std::numeric_limits<T>::infinity();
  const auto square = [](auto x) { return x * x; };
  V outer(square(maximum(s.spine.radius + limit, T(0)))), inner(square(maximum(s.spine.radius - limit, T(0))));
  V t(0), least(infinity);
  ByChords<V> out{};
  uint32_t before = 0;
  NP_ROLL
  for (int i = 0; i < n; ++i) {
    const OnChord<V> on = nearest_on_chord<Tapered>(chord_at<V>(s, i), p);
    V score = on.squared;
    if constexpr (Tapered) {
      const V radius = V(s.radius[i]) + on.s * V(s.radius_increase);
      outer = square(maximum(radius + V(limit), V(0)));
      inner = square(maximum(radius - V(limit), V(0)));
      score = score - radius * radius;
    }
    t = select(score < least, V(T(i)) + on.s, t);
    least = minimum(score, least);
    const uint32_t here = bits(on.squared <= outer);
    out.scattered |= here & ~before & out.within;
    out.within |= here;
    if constexpr (Tapered) out.inside |= bits(on.squared < inner);
    before = here;
  }
  if constexpr (!Tapered) out.inside = bits(least < inner);
  out.t = t * V(T(1) / T(n));
  return out;
}

// How far beyond the ends of a stroke the minimum of F is followed, in t.
constexpr double kBeyond = 0.25;

// What is known of the stroke in squares of pixels before these are looked at, a bit for each lane.
template <typename V>
struct Surveyed {
  uint32_t reached;  // squares that may be touched
  uint32_t inside;   // those with coverage 1 at every pixel
  uint32_t smooth;   // those where Newton steps from `start` lead to t*
  V t, t_x, t_y;     // of smooth squares: t* at the centre, and its gradient

  // t* to first order, `offset` from the centre.
  template <typename P>
  static NP_HOST_DEVICE P start(P t, P t_x, P t_y, Vec2<P> offset) {
    return clamp(t + t_x * offset.x + t_y * offset.y, P(0), P(1));
  }
};

template <bool Tapered, typename V, typename T, int D>
NP_HOST_DEVICE Surveyed<V> survey(const Stroke<T, D>& stroke, Vec2<V> center, int square) {
  const Searched<T, D>& s = stroke.search;
  const auto chords =
      look_at_chords<Tapered>(s, center, stroke.half_feather + stroke.margin + half_diagonal<T>(square));
  Surveyed<V> out;
  out.reached = chords.within;
  out.inside = chords.inside;
  out.smooth = 0;
  if constexpr (kSmooth<T, D>) {
    if (out.reached == 0 || !stroke.gentle) return out;
    const Smooth<V, D> around(s, center);
    out.smooth = chords.within & ~chords.scattered;
    // Beyond the ends too, so that it can be followed back to where it enters.
    out.t = around.template search<Tapered>(s, chords.t, V(T(-kBeyond)), V(T(1 + kBeyond)), Search<T>::newton_steps(D));
    Vec2<V> along = velocity(s.spine, out.t);
    const V slope = maximum(around.template slope<Tapered>(s, out.t), V(T(kFocalSlope)) * dot(along, along));
    const V inverse = V(1) / maximum(slope, V(T(kMinSquaredLength)));
    if constexpr (Tapered) {
      const Vec2<V> w = around.offset(s, out.t);
      const V turn = V(s.spine.radius_increase) / square_root(around.squared_distance(s, out.t));
      along = {along.x - turn * w.x, along.y - turn * w.y};
    }
    out.t_x = along.x * inverse;
    out.t_y = along.y * inverse;
  }
  return out;
}

template <typename T, typename V>
NP_HOST_DEVICE V opacity_at(const Scene<T>& scene, const T (&opacity)[2], V t) {
  return scene.opacity_ends == 1 ? V(opacity[0]) : ramp(V(opacity[0]), V(opacity[1]), t);
}

template <typename V, typename T, int D>
NP_HOST_DEVICE Frame<V> frame_of(const Spine<T, D>& spine, Vec2<V> p, V t, V f) {
  const V radius = V(spine.radius) + t * V(spine.radius_increase);
  return frame_at(spine, p, t, maximum(f + radius, V(T(kDistanceEpsilon))));
}

// The texture under a stroke that has one.
template <typename V, typename T, int D>
NP_HOST_DEVICE Bilinear<V, T> sample_stroke(const Stroke<T, D>& stroke, const Frame<V>& frame, V t,
                                            BrushPosition<V>& where) {
  const Spine<T, D>& spine = stroke.search.spine;
  where = brush_position<D>(frame, t, V(spine.radius) + t * V(spine.radius_increase));
  return sample(stroke.texture, where.u, where.v);
}

// t* and F where they are smooth, from a start near t*.
template <typename V, typename T, int D>
NP_HOST_DEVICE Nearest<V> smooth_nearest(const Searched<T, D>& s, Vec2<V> p, V start, int steps) {
  if constexpr (!kSmooth<T, D>) {
    return {};
  } else {
    const Smooth<V, D> around(s, p);
    const V t = s.tapered ? around.template search<true>(s, start, V(0), V(1), steps)
                          : around.template search<false>(s, start, V(0), V(1), steps);
    const V radius = V(s.spine.radius) + t * V(s.spine.radius_increase);
    return {t, square_root(around.squared_distance(s, t)) - radius};
  }
}

// alpha at t* and F.
template <typename V, typename T, int D>
NP_HOST_DEVICE V alpha_at(const Scene<T>& scene, const Stroke<T, D>& stroke, Vec2<V> p, Nearest<V> at, V covered) {
  const V alpha = opacity_at(scene, stroke.opacity, at.t) * covered;
  if (stroke.texture.texels == nullptr) return alpha;
  BrushPosition<V> where;
  return alpha * sample_stroke(stroke, frame_of(stroke.search.spine, p, at.t, at.f), at.t, where).value;
}

// One stroke at a pack of pixels.
template <typename V>
struct Touch {
  V t, f, alpha;
  bool any;  // whether any pixel is covered at all
};

// In a square of which `inside` and `smooth` are known; t* is looked for from start() where it is smooth, else on
// `chords`, a bit each. The larger the square, the farther its pixels' starts are off: two steps more for 8 x 8.
template <int Square, typename V, typename T, int D, typename Start>
NP_HOST_DEVICE Touch<V> touch(const Scene<T>& scene, const Stroke<T, D>& stroke, Vec2<V> p, bool inside, bool smooth,
                              Start&& start, uint32_t chords) {
  if (inside && !stroke.varies) return {V(0), V(-1) / V(stroke.inverse_feather), V(stroke.opacity[0]), true};
  constexpr int steps = Search<T>::newton_steps(D) + (Square > 4 ? 2 : 0);
  const Nearest<V> at = kSmooth<T, D> && smooth ? smooth_nearest(stroke.search, p, start(), steps)
                                                : nearest(stroke.search, p, stroke.half_feather, chords);
  const V covered = coverage(at.f, V(stroke.inverse_feather));
  if (!any(covered > V(0))) return {at.t, at.f, V(0), false};
  return {at.t, at.f, alpha_at(scene, stroke, p, at, covered), true};
}

// Gradient of ramp(a, b, t) as sums over pixels: of the whole, and of t times it, which is b's share.
template <typename V>
struct RampGradient {
  V whole, end;

  NP_HOST_DEVICE void add(V grad, V t, bool two_ended) {
    whole += grad;
    if (two_ended) end += t * grad;
  }
};

// Sums over the pixels of one stroke; `feather` without its factor -1 / feather.
template <typename V, int D>
struct ShapeGradient {
  SpineGradient<V, D> spine{};
  V feather{};
  RampGradient<V> opacity{};
};

template <typename V>
struct TextureGradient {
  V factor, t;  // in alpha; of t*
  FrameGradient<V> frame;
};

// `grad` of the texture's factor: the brush position, and by add_texel(index, value) the texels. Returned, not added
// to: what has an address is kept in memory, where most strokes have no texture.
template <typename V, typename T, int D, typename AddTexel>
NP_RARE TextureGradient<V> texture_backward(const Stroke<T, D>& stroke, const Frame<V>& frame, V t, V grad,
                                            AddTexel&& add_texel) {
  BrushPosition<V> where;
  const Bilinear<V, T> texel = sample_stroke(stroke, frame, t, where);
  for (int k = 0; k < 4; ++k) {
    // Lane by lane: neighbours may share a texel.
    T shares[Lanes<V>::count];
    Lanes<V>::store(texel.weight(k) * grad, shares);
    for (int i = 0; i < Lanes<V>::count; ++i) add_texel(texel.index(k, i), shares[i]);
  }
  const V d_u = grad * texel.d_column * V(T(stroke.texture.width));
  const V d_v = grad * texel.d_row * V(T(0.5) * T(stroke.texture.height));
  TextureGradient<V> out{texel.value, d_u * where.u_t + d_v * where.v_t, {}};
  brush_position_backward(where, d_u, d_v, out.frame);
  return out;
}

// From alpha and what hangs on t* down to opacity, feather, texture, radius and control points.
template <typename V, typename T, int D, typename AddTexel>
NP_HOST_DEVICE void shape_backward(const Scene<T>& scene, const Stroke<T, D>& stroke, Vec2<V> p, V t, V f, V d_alpha,
                                   V d_t, ShapeGradient<V, D>& sums, AddTexel&& add_texel) {
  const V inverse_feather(stroke.inverse_feather);
  const V opacity = opacity_at(scene, stroke.opacity, t);
  const Frame<V> frame = frame_of(stroke.search.spine, p, t, f);
  V covered = coverage(f, inverse_feather), texture(1);
  FrameGradient<V> d_frame = {{V(0), V(0)}, {V(0), V(0)}, V(0), V(0)};
  if (stroke.texture.texels != nullptr) {
    const TextureGradient<V> through = texture_backward(stroke, frame, t, d_alpha * opacity * covered, add_texel);
    texture = through.factor;
    d_t += through.t;
    d_frame = through.frame;
  }
  const V d_opacity = d_alpha * covered * texture;
  sums.opacity.add(d_opacity, t, scene.opacity_ends == 2);
  if (scene.opacity_ends == 2) d_t += V(stroke.opacity[1] - stroke.opacity[0]) * d_opacity;
  const V d_f = coverage_backward(d_alpha * opacity * texture, f, inverse_feather);
  // Inside a stroke nothing but what varies along it feels its shape.
  if (!stroke.varies && !any((d_f < V(0)) | (d_f > V(0)))) return;
  sums.feather += d_f * f;
  distance_backward(frame, d_f, d_frame);
  if (stroke.varies && D > 1) parameter_backward(frame, t, d_t, d_frame);
  add_to_spine(d_frame, t, sums.spine);
}

NP_MATH_END
