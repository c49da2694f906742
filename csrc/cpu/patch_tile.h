// One patch on one tile: which of its pixels it reaches, and its texels sampled at a pack of them, there and back.
#pragma once

#include "../patch_scene.h"
#include "pack.h"
#include "scene.h"

NP_MATH_BEGIN

// A tile whose pixels are kept row after row.
struct RowTile : TileArea {
  using TileArea::TileArea;

  // Copies the tile's part of channel c; what is off the canvas is left alone.
  template <typename T>
  void read(const View<T, 4>& view, int64_t c, T* plane) const {
    const int64_t step = view.column_step();
    for (int row = 0; row < height; ++row) {
      const T* from = &view(batch, c, y + row, x);
      T* const to = plane + row * kTile;
      if (step == 1)
        std::memcpy(to, from, width * sizeof(T));
      else
        for (int i = 0; i < width; ++i) to[i] = from[i * step];
    }
  }

  // The way back, to channel c of a contiguous (B, C, H, W).
  template <typename T, typename Scene>
  void write(const T* plane, const Scene& scene, int64_t c, T* to) const {
    for (int row = 0; row < height; ++row)
      std::memcpy(to + ((batch * scene.channels + c) * scene.height + y + row) * scene.width + x, plane + row * kTile,
                  width * sizeof(T));
  }
};

template <typename T>
class TilePatch : public Patch<T> {
  static constexpr int W = kLanes<T>;
  using V = Pack<T, W>;
  using Index = int32_t[4][W];

 public:
  static constexpr int packs = kTile / W;  // of a row
  static_assert(packs <= 8, "a row's packs are bits of one uint8_t");

  explicit TilePatch(const PatchScene<T>& scene)
      : scene_(scene),
        plane_step_(scene.patches.strides[2]),
        texels_(int64_t(scene.patch_height) * scene.patch_width),
        row_step_(int32_t(scene.patches.strides[3])),
        column_step_(int32_t(scene.patches.strides[4])) {}

  // False if it is culled.
  bool load(const RowTile& tile, int64_t n) {
    if (!Patch<T>::load(scene_, tile.batch, n, T(tile.x), T(tile.y))) return false;
    share_ = T(1) / T(this->placed.across * this->placed.down);
    shift_ = this->placed.is_shift() && column_step_ == 1;
    if (shift_) {
      // Half a texel to the right of its left neighbour's centre, half a pixel to its own.
      const Vec2<T> origin = this->placed.origin, corner{std::floor(origin.x), std::floor(origin.y)};
      left_ = int(corner.x);
      top_ = int(corner.y);
      column_ = origin.x - corner.x;
      line_ = origin.y - corner.y;
    }
    return true;
  }

  // The packs of a row in which some pixel may be reached, a bit each.
  uint8_t reached(int row) const {
    const Placed<T>& p = this->placed;
    const T y = T(row) + T(0.5);
    T first(0), last(kTile);  // pixels, with half a pixel to spare
    const auto clip = [&](T start, T step_x, T step_y, int32_t size) {
      // Texels reach half a texel beyond the patch; and room for rounding.
      const T reach = T(0.51) + (p.is_tapped() ? (absolute(step_x) + absolute(step_y)) / 2 : T(0));
      const T from = -reach - start - step_y * y, to = from + T(size) + 2 * reach;
      if (absolute(step_x) * kTile < T(1e-3)) {
        if (!(from <= T(1e-3) && to >= T(-1e-3))) last = T(-1);
        return;
      }
      const T a = from / step_x, b = to / step_x;
      first = maximum(minimum(a, b), first);
      last = minimum(maximum(a, b), last);
    };
    clip(p.origin.x, p.step_x.x, p.step_y.x, scene_.patch_width);
    clip(p.origin.y, p.step_x.y, p.step_y.y, scene_.patch_height);
    if (!(first <= last)) return 0;
    const int begin = std::max(int(first - T(0.5)) / W, 0), end = std::min(int(last) / W, packs - 1);
    return uint8_t((2u << end) - (1u << begin));
  }

  // At the pack of pixels from column `first` of a row on: colour times alpha, if the patch has colours, and alpha.
  NP_HOST_DEVICE void sample(int row, int first, V* planes) const {
    for (int64_t p = 0; p < scene_.planes; ++p) planes[p] = V(0);
    for_each_corner(row, first, [&](auto& corner) __attribute__((always_inline)) {
      const V weight = corner.weight * corner.alpha();
      planes[scene_.planes - 1] += weight;
      for (int64_t c = 0; c + 1 < scene_.planes; ++c) planes[c] += weight * corner.texel(c);
    });
  }

  // From `d_planes` to the texels, contiguous (planes, h, w), where they are wanted, and to places.
  NP_HOST_DEVICE void sample_backward(int row, int first, const V* d_planes, T* d_texels,
                                      PlaceGradient<V>& sums) const {
    for_each_corner(row, first, [&](auto& corner) __attribute__((always_inline)) {
      const V alpha = corner.alpha();
      V d_alpha = d_planes[scene_.planes - 1];  // of the corner's texel, but for the weight
      for (int64_t c = 0; c + 1 < scene_.planes; ++c) {
        d_alpha += d_planes[c] * corner.texel(c);
        if (d_texels != nullptr) corner.add(d_texels + c * texels_, corner.weight * alpha * d_planes[c]);
      }
      if (d_texels != nullptr) corner.add(d_texels + (scene_.planes - 1) * texels_, corner.weight * d_alpha);
      const V grad = alpha * d_alpha, d_x = grad * corner.slope_x, d_y = grad * corner.slope_y;
      sums.sum.x += d_x;
      sums.sum.y += d_y;
      sums.x_by_place.x += d_x * corner.place.x;
      sums.x_by_place.y += d_x * corner.place.y;
      sums.y_by_place.x += d_y * corner.place.x;
      sums.y_by_place.y += d_y * corner.place.y;
    });
  }

 private:
  // One of the four texels around the places of a pack of samples: its share in their pixels, the slopes of that share.
  struct AnyCorner {
    const TilePatch& patch;
    Vec2<V> place;
    const int32_t* index;
    const int32_t* d_index;
    V weight, slope_x, slope_y;

    NP_HOST_DEVICE V texel(int64_t plane) const { return V::gather(patch.texels + plane * patch.plane_step_, index); }
    NP_HOST_DEVICE V alpha() const { return texel(patch.scene_.planes - 1); }
    NP_HOST_DEVICE void add(T* to, V value) const {
      T values[W];
      value.store(values);
      for (int i = 0; i < W; ++i) to[d_index[i]] += values[i];
    }
  };

  // The same where pixels are texels but for a shift: side by side in a row of the patch, from `column` on; some may be
  // beyond its ends.
  struct RowCorner {
    const TilePatch& patch;
    Vec2<V> place;
    int row, column;
    V weight, slope_x, slope_y;

    NP_HOST_DEVICE V texel(int64_t plane) const {
      const T* const from = patch.texels + plane * patch.plane_step_ + int64_t(row) * patch.row_step_ + column;
      if (column >= 0 && column + W <= patch.scene_.patch_width) return V::load(from);
      T values[W] = {};
      for (int i = begin(); i < end(); ++i) values[i] = from[i];
      return V::load(values);
    }
    NP_HOST_DEVICE V alpha() const { return texel(patch.scene_.planes - 1); }
    NP_HOST_DEVICE void add(T* to, V value) const {
      to += int64_t(row) * patch.scene_.patch_width + column;
      if (column >= 0 && column + W <= patch.scene_.patch_width) return (V::load(to) + value).store(to);
      T values[W];
      value.store(values);
      for (int i = begin(); i < end(); ++i) to[i] += values[i];
    }
    NP_HOST_DEVICE int begin() const { return std::max(-column, 0); }
    NP_HOST_DEVICE int end() const { return std::min(patch.scene_.patch_width - column, W); }
  };

  template <typename F>
  NP_HOST_DEVICE void for_each_corner(int row, int first, F&& visit) const {
    if (shift_) return for_each_row_corner(row, first, visit);
    const Placed<T>& p = this->placed;
    const V pixels = Lanes<V>::from(first);
    for (int j = 0; j < p.down; ++j)
      for (int i = 0; i < p.across; ++i) {
        const T x = (T(i) + T(0.5)) / T(p.across), y = T(row) + (T(j) + T(0.5)) / T(p.down);
        const Vec2<V> place = p.at(pixels + V(x), V(y));
        const Corners<V, T> corners = corners_at<T>(place, scene_.patch_width, scene_.patch_height);
        Index index, d_index;
        index_texels(corners, row_step_, column_step_, index);
        index_texels(corners, scene_.patch_width, 1, d_index);
        for (int k = 0; k < 4; ++k) {
          AnyCorner corner{*this,
                           place,
                           index[k],
                           d_index[k],
                           corners.weight(k) * V(share_),
                           corners.slope_x(k) * V(share_),
                           corners.slope_y(k) * V(share_)};
          visit(corner);
        }
      }
  }

  template <typename F>
  NP_HOST_DEVICE void for_each_row_corner(int row, int first, F&& visit) const {
    const Vec2<V> place = this->placed.at(Lanes<V>::from(first) + V(T(0.5)), V(T(row) + T(0.5)));
    for (int k = 0; k < 4; ++k) {
      const int right = k % 2, below = k / 2;
      const T x = right ? column_ : T(1) - column_, y = below ? line_ : T(1) - line_;
      RowCorner corner{
          *this, place, top_ + row + below, left_ + first + right, V(x * y), V(right ? y : -y), V(below ? x : -x)};
      if (corner.row >= 0 && corner.row < scene_.patch_height) visit(corner);
    }
  }

  static NP_HOST_DEVICE void index_texels(const Corners<V, T>& corners, int32_t row_step, int32_t column_step,
                                          Index& out) {
    for (int k = 0; k < 4; ++k)
      for (int i = 0; i < W; ++i) out[k][i] = corners.row[k / 2][i] * row_step + corners.column[k % 2][i] * column_step;
  }

  const PatchScene<T>& scene_;
  const int64_t plane_step_, texels_;
  const int32_t row_step_, column_step_;
  T share_;          // of a sample in its pixel
  bool shift_;       // pixels are texels, but for a shift, and those of a row lie side by side
  int left_, top_;   // then, the texel to the left of and above the tile's first pixel,
  T column_, line_;  // and how far from it the pixel is
};

NP_MATH_END
