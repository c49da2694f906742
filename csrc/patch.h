// One patch on the canvas: its affine map turned round, and its texels sampled at pixels. Values and their gradients.
// Derivations are in csrc/README.md.
#pragma once

#include "bounds.h"

NP_MATH_BEGIN

// A pixel takes one sample for every so many texels along either of its sides, with a little slack: rounding must not
// decide where a scale is a round number. What asks for more samples than that along a side lays no paint.
constexpr double kTapSpacing = 2.0, kTapSlack = 0.01;
constexpr int kMaxTaps = 64;

// From the canvas to the patch, about an origin of whole pixels. Texel centres are at halves.
template <typename T>
struct Placed {
  Vec2<T> origin;          // place of the origin in the patch
  Vec2<T> step_x, step_y;  // sides of a pixel there
  int across, down;        // samples of a pixel along them

  template <typename V>
  NP_HOST_DEVICE Vec2<V> at(V x, V y) const {
    return {V(origin.x) + V(step_x.x) * x + V(step_y.x) * y, V(origin.y) + V(step_x.y) * x + V(step_y.y) * y};
  }
  // `shift` is the map's.
  NP_HOST_DEVICE void look_from(Vec2<T> shift, T x, T y) {
    const T dx = x - shift.x, dy = y - shift.y;
    origin = {step_x.x * dx + step_y.x * dy, step_x.y * dx + step_y.y * dy};
  }
  NP_HOST_DEVICE bool is_tapped() const { return across > 1 || down > 1; }
  // Whether pixels are texels, but for a shift.
  NP_HOST_DEVICE bool is_shift() const {
    return step_x.x == T(1) && step_x.y == T(0) && step_y.x == T(0) && step_y.y == T(1);
  }
};

// A map from the patch to the canvas: rows of (2, 3).
template <typename T>
struct Affine {
  T xx, xy, x, yx, yy, y;
};

// False for a map that lays no paint: not finite, without an inverse, or one that shrinks beyond measure.
template <typename T>
NP_HOST_DEVICE bool place(Placed<T>& out, const Affine<T>& map, T x, T y) {
  const T determinant = map.xx * map.yy - map.xy * map.yx;
  out.step_x = {map.yy / determinant, -map.yx / determinant};
  out.step_y = {-map.xy / determinant, map.xx / determinant};
  out.look_from({map.x, map.y}, x, y);
  const T across = ceil(square_root(dot(out.step_x, out.step_x)) / T(kTapSpacing) - T(kTapSlack));
  const T down = ceil(square_root(dot(out.step_y, out.step_y)) / T(kTapSpacing) - T(kTapSlack));
  // 0 * x is 0 for finite x and NaN otherwise.
  const T poison = T(0) * (map.x + map.y) + T(0) * (out.origin.x + out.origin.y);
  if (!(across <= T(kMaxTaps) && down <= T(kMaxTaps) && poison == T(0))) return false;
  out.across = across > T(1) ? int(across) : 1;
  out.down = down > T(1) ? int(down) : 1;
  return true;
}

// Box in pixels outside which a patch of `width` by `height` texels lays no paint.
template <typename T>
NP_HOST_DEVICE Box<T> patch_box(const Affine<T>& map, const Placed<T>& placed, T width, T height) {
  // Texels reach half a texel beyond the patch, samples half a pixel beyond the pixel's centre.
  const T reach = placed.is_tapped() ? T(0.5) : T(0);
  const T middle_x = map.xx * (width / 2) + map.xy * (height / 2) + map.x;
  const T middle_y = map.yx * (width / 2) + map.yy * (height / 2) + map.y;
  const T half_x = absolute(map.xx) * (width + 1) / 2 + absolute(map.xy) * (height + 1) / 2 + reach;
  const T half_y = absolute(map.yx) * (width + 1) / 2 + absolute(map.yy) * (height + 1) / 2 + reach;
  return {middle_x - half_x, middle_y - half_y, middle_x + half_x, middle_y + half_y};
}

// The four texels around one or more places, and their parts in the value there. Beyond the patch all is 0.
template <typename V, typename T>
struct Corners {
  static constexpr int count = Lanes<V>::count;
  int32_t column[2][count], row[2][count];  // inside the patch; the second next to the first, if there is another
  V x[2], y[2];                             // weights, and
  V x_slope[2], y_slope[2];                 // their slopes

  NP_HOST_DEVICE V weight(int corner) const { return x[corner % 2] * y[corner / 2]; }
  NP_HOST_DEVICE V slope_x(int corner) const { return x_slope[corner % 2] * y[corner / 2]; }
  NP_HOST_DEVICE V slope_y(int corner) const { return x[corner % 2] * y_slope[corner / 2]; }
};

// A texel's weight `distance` texels to the right of it, and its slope: on the lines between texels, that to the right.
template <typename T, typename V>
NP_HOST_DEVICE void tent(V distance, V& weight, V& slope) {
  weight = maximum(V(1) - absolute(distance), V(0));
  const V rising = select(V(T(-1)) <= distance, V(1), V(0)), falling = select(distance < V(1), V(T(-1)), V(0));
  slope = select(distance < V(0), rising, falling);
}

// One axis: `place` in texels from the first texel's centre, of `size` texels.
template <typename V, typename T>
NP_HOST_DEVICE void corners_along(V place, int32_t size, int32_t (&index)[2][Lanes<V>::count], V (&weight)[2],
                                  V (&slope)[2]) {
  constexpr int count = Lanes<V>::count;
  // Two texels of the patch, wherever the place is: one that is not next to it weighs nothing.
  const int32_t next = size > 1 ? 1 : 0;
  T values[count], whole[count];
  Lanes<V>::store(clamp(place, V(0), V(T(size - 1 - next))), values);
  for (int i = 0; i < count; ++i) {
    index[0][i] = int32_t(values[i]);
    index[1][i] = index[0][i] + next;
    whole[i] = T(index[0][i]);
  }
  const V distance = place - Lanes<V>::load(whole);
  tent<T>(distance, weight[0], slope[0]);
  tent<T>(distance - V(T(next)), weight[1], slope[1]);
  if (next == 0) weight[1] = slope[1] = V(0);
}

template <typename T, typename V>
NP_HOST_DEVICE Corners<V, T> corners_at(Vec2<V> place, int32_t width, int32_t height) {
  Corners<V, T> out;
  corners_along<V, T>(place.x - V(T(0.5)), width, out.column, out.x, out.x_slope);
  corners_along<V, T>(place.y - V(T(0.5)), height, out.row, out.y, out.y_slope);
  return out;
}

// Gradient of the map from that of places in the patch: sums over samples of g = d_place, and of g times the place.
template <typename T>
struct PlaceGradient {
  Vec2<T> sum;                     // g
  Vec2<T> x_by_place, y_by_place;  // g.x place, g.y place
};

// place = M (p - t), with M the inverse of A: d_t = -M' g and d_A = -M' g place'.
template <typename T>
NP_HOST_DEVICE Affine<T> place_backward(const Placed<T>& placed, const PlaceGradient<T>& g) {
  const Vec2<T> a = placed.step_x, b = placed.step_y;
  Affine<T> out;
  out.x = -(a.x * g.sum.x + a.y * g.sum.y);
  out.y = -(b.x * g.sum.x + b.y * g.sum.y);
  out.xx = -(a.x * g.x_by_place.x + a.y * g.y_by_place.x);
  out.xy = -(a.x * g.x_by_place.y + a.y * g.y_by_place.y);
  out.yx = -(b.x * g.x_by_place.x + b.y * g.y_by_place.x);
  out.yy = -(b.x * g.x_by_place.y + b.y * g.y_by_place.y);
  return out;
}

NP_MATH_END
