// The forward pass of `composite_patches`: each tile by itself, the top patch first, until nothing below it shows.
#pragma once

#include "../over.h"
#include "patch_tile.h"

NP_MATH_BEGIN

// Patches between two looks at whether anything still shows.
constexpr int64_t kPatchesPerLook = 16;

template <typename T>
class PatchPainter {
  static constexpr int W = kLanes<T>;
  using V = Pack<T, W>;

 public:
  PatchPainter(const PatchScene<T>& scene, const PatchBins<T>& bins, T* image)
      : scene_(scene), bins_(bins), image_(image), patch_(scene, bins) {}

  void paint(int64_t index) {
    const RowTile tile(scene_, index);
    std::fill_n(transmittance_, kTilePixels, T(1));
    std::fill_n(painted_, scene_.channels * kTilePixels, T(0));
    const int64_t listed = bins_.offsets[index + 1] - bins_.offsets[index];
    const int32_t* const last = bins_.strokes.data() + bins_.offsets[index] + listed - 1;
    for (int64_t k = 0; k < listed; ++k) {
      if (k % kPatchesPerLook == 0 && !shows(tile)) break;
      patch_.look_at(tile, last[-k]);
      paint_patch(tile, last[-k]);
    }
    for (int64_t c = 0; c < scene_.channels; ++c) {
      tile.read(scene_.background, c, plane_);
      T* const painted = painted_ + c * kTilePixels;
      for (int row = 0; row < tile.height; ++row)
        for (int i = row * kTile; i < row * kTile + tile.width; ++i) painted[i] += transmittance_[i] * plane_[i];
      tile.write(painted, scene_, c, image_);
    }
  }

 private:
  bool shows(const RowTile& tile) const {
    for (int row = 0; row < tile.height; ++row)
      for (int i = row * kTile; i < row * kTile + tile.width; ++i)
        if (transmittance_[i] != T(0)) return true;
    return false;
  }

  void paint_patch(const RowTile& tile, int64_t n) {
    T color[kMaxChannels];
    if (scene_.planes == 1)
      for (int64_t c = 0; c < scene_.channels; ++c) color[c] = scene_.color(tile.batch, n, c);
    patch_.reach(tile).for_each_pack([&](int row, int first) { paint_pack(row, first, color); });
  }

  NP_HOST_DEVICE void paint_pack(int row, int first, const T* color) {
    V planes[kMaxChannels + 1];
    patch_.sample(row, first, planes);
    T* const kept = transmittance_ + row * kTile + first;
    const V above = V::load(kept), shown = above * V(patch_.opacity), alpha = planes[scene_.planes - 1];
    attenuate(above, V(patch_.opacity) * alpha).store(kept);
    for (int64_t c = 0; c < scene_.channels; ++c) {
      T* const painted = painted_ + c * kTilePixels + row * kTile + first;
      const V paint = scene_.planes == 1 ? alpha * V(color[c]) : planes[c];
      (V::load(painted) + shown * paint).store(painted);
    }
  }

  const PatchScene<T>& scene_;
  const PatchBins<T>& bins_;
  T* const image_;
  TilePatch<T> patch_;
  alignas(64) T transmittance_[kTilePixels];
  alignas(64) T painted_[kMaxChannels * kTilePixels];
  alignas(64) T plane_[kTilePixels];
};

template <typename T>
void paint_patches(const PatchScene<T>& scene, T* image) {
  const PatchBins<T> bins(scene);
  for_each_unit(
      tiles(scene), [&] { return std::make_unique<PatchPainter<T>>(scene, bins, image); },
      [](auto& painter, int64_t tile) { painter->paint(tile); });
}

NP_MATH_END
