// One patch on one tile: which of its pixels it reaches, and its texels sampled at a pack of them, there and back.
#pragma once

#include "../patch_scene.h"
#include "pack.h"
#include "scene.h"

NP_MATH_BEGIN

// Every patch, set up once as seen from the canvas's corner, and the tiles that it may reach: none if it is culled.
template <typename T>
struct PatchBins : Bins {
  std::vector<Patch<T>> patches;

  explicit PatchBins(const PatchScene<T>& scene) : patches(scene.batch * scene.count) {
    static_cast<Bins&>(*this) = bin(scene, scene.count, [&](int64_t b, int64_t n) {
      Patch<T>& patch = patches[b * scene.count + n];
      if (!patch.load(scene, b, n, T(0), T(0))) return empty_box<T>();
      return patch_box(scene.map(b, n), patch.placed, T(scene.patch_width), T(scene.patch_height));
    });
  }
};

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
        copy_row(from, to);
      else
        for (int i = 0; i < width; ++i) to[i] = from[i * step];
    }
  }

  // The way back, to channel c of a contiguous (B, C, H, W).
  template <typename T, typename Scene>
  void write(const T* plane, const Scene& scene, int64_t c, T* to) const {
    for (int row = 0; row < height; ++row)
      copy_row(plane + row * kTile, to + ((batch * scene.channels + c) * scene.height + y + row) * scene.width + x);
  }

 private:
  // Most rows are whole ones, for which the compiler needs no call.
  template <typename T>
  void copy_row(const T* from, T* to) const {
    if (width == kTile)
      std::memcpy(to, from, kTile * sizeof(T));
    else
      std::memcpy(to, from, width * sizeof(T));
  }
};

// The packs of each row of a tile in which some pixel may be reached: side by side, from any column on.
template <typename T>
struct Reach {
  static constexpr int W = kLanes<T>;
  uint8_t first[kTile], packs[kTile];

  int count() const {
    int total = 0;
    for (const uint8_t row : packs) total += row;
    return total;
  }

  // visit(row, first): the pack of pixels from column `first` of a row on.
  template <typename F>
  NP_HOST_DEVICE void for_each_pack(F&& visit) const {
    for (int row = 0; row < kTile; ++row)
      for (int i = 0; i < packs[row]; ++i) visit(row, first[row] + i * W);
  }
};

// What a pack of samples takes of two rows of texels: weights of the left and the right texel of either, with the
// sample's share in its pixel, and their slopes.
template <typename V>
struct Weights {
  V x[2], y[2], x_slope[2], y_slope[2];
};

template <typename T>
class TilePatch : public Patch<T> {
  static constexpr int W = kLanes<T>;
  using V = Pack<T, W>;
  using Two = Pair<V>;

 public:
  TilePatch(const PatchScene<T>& scene, const PatchBins<T>& bins)
      : scene_(scene),
        bins_(bins),
        plane_step_(scene.patches.strides[2]),
        texels_(int64_t(scene.patch_height) * scene.patch_width),
        row_step_(int32_t(scene.patches.strides[3])),
        column_step_(int32_t(scene.patches.strides[4])),
        right_(scene.patch_width > 1 ? 1 : 0) {}

  // Looks at a patch of the tile's list.
  void look_at(const RowTile& tile, int64_t n) {
    static_cast<Patch<T>&>(*this) = bins_.patches[tile.batch * scene_.count + n];
    this->placed.look_from(this->shift, T(tile.x), T(tile.y));
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
  }

  Reach<T> reach(const RowTile& tile) const {
    const Placed<T>& p = this->placed;
    alignas(64) T first[kTile], last[kTile];
    // Rows are lanes.
    for (int row = 0; row < kTile; row += W) {
      const V y = Lanes<V>::from(row) + V(T(0.5));
      V begin(0), end{T(kTile)};
      clip(V(p.origin.x) + V(p.step_y.x) * y, p.step_x.x, p.step_y.x, scene_.patch_width, begin, end);
      clip(V(p.origin.y) + V(p.step_y.y) * y, p.step_x.y, p.step_y.y, scene_.patch_height, begin, end);
      // From places of pixels' centres to pixels.
      (minimum(begin, V(T(kTile))) + V(T(0.5))).store(first + row);
      (maximum(end, V(0)) + V(T(0.5))).store(last + row);
    }
    Reach<T> out = {};
    for (int row = 0; row < tile.height; ++row) {
      const int begin = int(first[row]), end = std::min(int(last[row]), tile.width);
      if (begin >= end) continue;
      out.packs[row] = uint8_t((end - begin + W - 1) / W);
      out.first[row] = uint8_t(std::min(begin, kTile - out.packs[row] * W));
    }
    return out;
  }

  // At the pack of pixels from column `first` of a row on: colour times alpha, if the patch has colours, and alpha.
  NP_HOST_DEVICE void sample(int row, int first, V* planes) const {
    for (int64_t p = 0; p < scene_.planes; ++p) planes[p] = V(0);
    for_each_sample(row, first, [&](const auto& texels, const Weights<V>& w, Vec2<V>) __attribute__((always_inline)) {
      for (int below = 0; below < 2; ++below) {
        const Two alpha = texels.pair(scene_.planes - 1, below);
        const V left = w.x[0] * alpha.left, right = w.x[1] * alpha.right;
        planes[scene_.planes - 1] += w.y[below] * (left + right);
        for (int64_t c = 0; c + 1 < scene_.planes; ++c) {
          const Two color = texels.pair(c, below);
          planes[c] += w.y[below] * (left * color.left + right * color.right);
        }
      }
    });
  }

  // From `d_planes` to the texels, contiguous (planes, h, w), where they are wanted, and to places.
  NP_HOST_DEVICE void sample_backward(int row, int first, const V* d_planes, T* d_texels,
                                      PlaceGradient<V>& sums) const {
    const int64_t last = scene_.planes - 1;
    for_each_sample(row, first,
                    [&](const auto& texels, const Weights<V>& w, Vec2<V> place) __attribute__((always_inline)) {
                      V d_x(0), d_y(0);
                      for (int below = 0; below < 2; ++below) {
                        const Two alpha = texels.pair(last, below);
                        const V left = w.y[below] * w.x[0], right = w.y[below] * w.x[1];
                        Two d_alpha{d_planes[last], d_planes[last]};  // but for the weights
                        for (int64_t c = 0; c < last; ++c) {
                          const Two color = texels.pair(c, below);
                          d_alpha.left += d_planes[c] * color.left;
                          d_alpha.right += d_planes[c] * color.right;
                          if (d_texels == nullptr) continue;
                          texels.add(d_texels + c * texels_, below,
                                     {left * alpha.left * d_planes[c], right * alpha.right * d_planes[c]});
                        }
                        if (d_texels != nullptr)
                          texels.add(d_texels + last * texels_, below, {left * d_alpha.left, right * d_alpha.right});
                        const V grad_left = alpha.left * d_alpha.left, grad_right = alpha.right * d_alpha.right;
                        d_x += w.y[below] * (w.x_slope[0] * grad_left + w.x_slope[1] * grad_right);
                        d_y += w.y_slope[below] * (w.x[0] * grad_left + w.x[1] * grad_right);
                      }
                      sums.sum.x += d_x;
                      sums.sum.y += d_y;
                      sums.x_by_place.x += d_x * place.x;
                      sums.x_by_place.y += d_x * place.y;
                      sums.y_by_place.x += d_y * place.x;
                      sums.y_by_place.y += d_y * place.y;
                    });
  }

 private:
  // The part [first, last] of each row whose samples may fall into the patch along one of its axes. `start` is the
  // place where the row begins, the steps are a pixel's.
  NP_HOST_DEVICE void clip(V start, T step_x, T step_y, int32_t size, V& first, V& last) const {
    // Room for rounding.
    const T slack = T(0.01) + T(1e-6) * T(size);
    // Texels reach half a texel beyond the patch, samples half a pixel beyond the pixel's centre.
    const T reach = T(0.5) + slack + (this->placed.is_tapped() ? (absolute(step_x) + absolute(step_y)) / 2 : T(0));
    const V from = V(-reach) - start, to = V(T(size) + reach) - start;
    if (absolute(step_x) * kTile < slack) {
      last = select((V(slack) < from) | (to < V(-slack)), V(0), last);
      return;
    }
    const V a = from * V(T(1) / step_x), b = to * V(T(1) / step_x);
    first = maximum(minimum(a, b), first);
    last = minimum(maximum(a, b), last);
  }

  // The texels around the places of a pack of samples.
  struct AnyTexels {
    const TilePatch& patch;
    const Corners<V, T>& corners;

    NP_HOST_DEVICE Two pair(int64_t plane, int below) const {
      const T* const from = patch.texels + plane * patch.plane_step_;
      int32_t index[W];
      for (int i = 0; i < W; ++i)
        index[i] = corners.row[below][i] * patch.row_step_ + corners.column[0][i] * patch.column_step_;
      if (patch.column_step_ == 1 && patch.right_ == 1) return V::gather_pairs(from, index);
      return {V::gather(from, index), V::gather(from + patch.right_ * patch.column_step_, index)};
    }
    NP_HOST_DEVICE void add(T* to, int below, Two value) const {
      T left[W], right[W];
      value.left.store(left);
      value.right.store(right);
      for (int i = 0; i < W; ++i) {
        T* const at = to + corners.row[below][i] * patch.scene_.patch_width + corners.column[0][i];
        at[0] += left[i];
        at[patch.right_] += right[i];
      }
    }
  };

  // The same where pixels are texels but for a shift: side by side in a row of the patch, from `column` on; some may be
  // beyond its ends.
  struct ShiftedTexels {
    const TilePatch& patch;
    int row, column;

    NP_HOST_DEVICE bool is_beyond(int below) const {
      return row + below < 0 || row + below >= patch.scene_.patch_height;
    }
    NP_HOST_DEVICE int begin() const { return std::max(-column, 0); }
    NP_HOST_DEVICE int end() const { return std::min(patch.scene_.patch_width - column, W + 1); }

    NP_HOST_DEVICE Two pair(int64_t plane, int below) const {
      if (is_beyond(below)) return {V(0), V(0)};
      const T* const from = patch.texels + plane * patch.plane_step_ + int64_t(row + below) * patch.row_step_ + column;
      if (begin() == 0 && end() == W + 1) return {V::load(from), V::load(from + 1)};
      T values[W + 1] = {};
      for (int i = begin(); i < end(); ++i) values[i] = from[i];
      return {V::load(values), V::load(values + 1)};
    }
    // Where pixels are texels, neighbours have no weight. To leave them out is more than what it spares: what was just
    // stored one texel farther on would have to be waited for.
    NP_HOST_DEVICE void add(T* to, int below, Two value) const {
      if (is_beyond(below) || (below == 1 && patch.line_ == T(0))) return;
      to += int64_t(row + below) * patch.scene_.patch_width + column;
      if (begin() == 0 && end() == W + 1) {
        (V::load(to) + value.left).store(to);
        if (patch.column_ != T(0)) (V::load(to + 1) + value.right).store(to + 1);
        return;
      }
      T values[W + 1] = {};
      value.left.store(values);
      (V::load(values + 1) + value.right).store(values + 1);
      for (int i = begin(); i < end(); ++i) to[i] += values[i];
    }
  };

  // visit(texels, weights, place) for each sample of the pixels.
  template <typename F>
  NP_HOST_DEVICE void for_each_sample(int row, int first, F&& visit) const {
    const Placed<T>& p = this->placed;
    const V pixels = Lanes<V>::from(first);
    if (shift_) {
      const V x(column_), y(line_), one(1);
      const Weights<V> weights{{one - x, x}, {one - y, y}, {V(-1), one}, {V(-1), one}};
      return visit(ShiftedTexels{*this, top_ + row, left_ + first}, weights,
                   p.at(pixels + V(T(0.5)), V(T(row) + T(0.5))));
    }
    for (int j = 0; j < p.down; ++j)
      for (int i = 0; i < p.across; ++i) {
        const T x = (T(i) + T(0.5)) / T(p.across), y = T(row) + (T(j) + T(0.5)) / T(p.down);
        const Vec2<V> place = p.at(pixels + V(x), V(y));
        const Corners<V, T> corners = corners_at<T>(place, scene_.patch_width, scene_.patch_height);
        const V share(share_);
        const Weights<V> weights{{corners.x[0], corners.x[1]},
                                 {share * corners.y[0], share * corners.y[1]},
                                 {corners.x_slope[0], corners.x_slope[1]},
                                 {share * corners.y_slope[0], share * corners.y_slope[1]}};
        visit(AnyTexels{*this, corners}, weights, place);
      }
  }

  const PatchScene<T>& scene_;
  const PatchBins<T>& bins_;
  const int64_t plane_step_, texels_;
  const int32_t row_step_, column_step_,
      right_;        // right_: columns from a texel to its right neighbour, 0 if it has none
  T share_;          // of a sample in its pixel
  bool shift_;       // pixels are texels, but for a shift, and those of a row lie side by side
  int left_, top_;   // then, the texel to the left of and above the tile's first pixel,
  T column_, line_;  // and how far from it the pixel is
};

NP_MATH_END
