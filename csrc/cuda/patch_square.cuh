// One patch as the kernels need it, and one warp at work on its square of a tile: which of 32 patches may touch it, and
// one patch sampled at the lane's pixels.
#pragma once

#include "../over.h"
#include "../patch_scene.h"
#include "square.cuh"

NP_MATH_BEGIN

template <typename T>
struct PreparedPatch {
  using Number = T;
  using Scene = PatchScene<T>;

  alignas(16) Box<T> box;  // in pixels of the canvas; empty: culled
  T x, y;                  // origin: whole pixels near the patch's middle, so that 8K is as accurate as 256 px
  T across, down;          // from one sample of a pixel to the next, in pixels
  Patch<T> patch;

  static NP_HOST_DEVICE int64_t count(const Scene& scene) { return scene.count; }

  NP_HOST_DEVICE void set(const Scene& scene, int64_t b, int64_t n) {
    box = empty_box<T>();
    const Affine<T> map = scene.map(b, n);
    const T width = T(scene.patch_width), height = T(scene.patch_height);
    // A middle far off the canvas would be far from all pixels.
    x = clamp(T(floor(map.xx * (width / 2) + map.xy * (height / 2) + map.x)), T(0), T(scene.width));
    y = clamp(T(floor(map.yx * (width / 2) + map.yy * (height / 2) + map.y)), T(0), T(scene.height));
    if (!patch.load(scene, b, n, x, y)) return;
    across = T(1) / T(patch.placed.across);
    down = T(1) / T(patch.placed.down);
    box = patch_box(map, patch.placed, width, height);
  }

  NP_HOST_DEVICE T share() const { return across * down; }

  // Calls visit(x, y) for each sample of a pixel, at its place in it.
  template <typename F>
  NP_HOST_DEVICE void for_each_sample(F&& visit) const {
    NP_ROLL
    for (int j = 0; j < patch.placed.down; ++j) {
      NP_ROLL
      for (int i = 0; i < patch.placed.across; ++i) visit((T(i) + T(0.5)) * across, (T(j) + T(0.5)) * down);
    }
  }
};

template <typename T>
using BinnedPatches = Bins<PreparedPatch<T>>;

// The four texels around a sample.
template <typename T>
struct Sample {
  Vec2<T> place;
  Corners<T, T> corners;
  bool felt;  // false: no texel has a part in it, nor would have one a bit farther

  NP_HOST_DEVICE int32_t index(int corner, int32_t row_step, int32_t column_step) const {
    return corners.row[corner / 2][0] * row_step + corners.column[corner % 2][0] * column_step;
  }
};

template <typename T>
struct PatchSquare : SquareArea {
  const PreparedPatch<T>* patches;  // of the canvas

  template <typename Block>
  NP_KERNEL_BODY PatchSquare(const Block& block, const BinnedPatches<T>& in, const Tile& tile)
      : SquareArea(block, tile), patches(in.strokes + batch * in.scene.count) {}

  // Of the lanes' patches those that may touch the square, side by side in the lanes' order; how many they are.
  template <typename Block>
  NP_KERNEL_BODY int survey(Block& block, const BinnedPatches<T>& in, int32_t n, bool is_one, int32_t* entries) const {
    const bool reached = is_one && touches(in.scene, patches[n]);
    return side_by_side(block, reached, n, entries);
  }

  // The sample at a place in the lane's pixel i.
  NP_HOST_DEVICE Sample<T> sample(const PatchScene<T>& scene, const PreparedPatch<T>& p, int i, T right,
                                  T below) const {
    Sample<T> out;
    out.place = p.patch.placed.at(T(column()) - p.x + right, T(row(i)) - p.y + below);
    out.corners = corners_at<T>(out.place, scene.patch_width, scene.patch_height);
    const T x = out.place.x - T(0.5), y = out.place.y - T(0.5);
    out.felt = (x >= T(-1)) & (x < T(scene.patch_width)) & (y >= T(-1)) & (y < T(scene.patch_height));
    return out;
  }

  // The alpha of a patch at the lane's pixel i, and whether it is felt there. Calls visit(weight, index) for each
  // sample: the texels' weights times their alpha, and where they are in a plane.
  template <typename F>
  NP_HOST_DEVICE T alpha(const PatchScene<T>& scene, const PreparedPatch<T>& p, int i, bool& felt, F&& visit) const {
    const int32_t row_step = int32_t(scene.patches.row_step()), column_step = int32_t(scene.patches.column_step());
    const T* const alphas = p.patch.texels + (scene.planes - 1) * scene.patches.strides[2];
    T sum(0);
    felt = false;
    p.for_each_sample([&](T right, T below) {
      const Sample<T> sample = this->sample(scene, p, i, right, below);
      if (!sample.felt) return;
      felt = true;
      T weight[4];
      int32_t index[4];
      NP_UNROLL
      for (int k = 0; k < 4; ++k) {
        index[k] = sample.index(k, row_step, column_step);
        weight[k] = sample.corners.weight(k) * p.share() * alphas[index[k]];
        sum += weight[k];
      }
      visit(weight, index);
    });
    return sum;
  }

 private:
  // Along the axes of the patch; along those of the canvas its box reaches the tile.
  NP_HOST_DEVICE bool touches(const PatchScene<T>& scene, const PreparedPatch<T>& p) const {
    const Placed<T>& placed = p.patch.placed;
    constexpr T half = T(kSquare / 2);
    const Vec2<T> middle = placed.at(T(x) - p.x + half, T(y) - p.y + half);
    // Texels reach half a texel beyond the patch; and room for rounding.
    const T across = half * (absolute(placed.step_x.x) + absolute(placed.step_y.x)) + T(0.51);
    const T down = half * (absolute(placed.step_x.y) + absolute(placed.step_y.y)) + T(0.51);
    return (middle.x >= -across) & (middle.x <= T(scene.patch_width) + across) & (middle.y >= -down) &
           (middle.y <= T(scene.patch_height) + down);
  }
};

NP_MATH_END
