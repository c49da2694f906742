// The forward pass of `composite_patches` for one tile: the top patch first, each pixel until nothing below it shows.
#pragma once

#include "patch_square.cuh"

NP_MATH_BEGIN

constexpr int kPatchForwardRoom = 256;

template <typename Block, typename T>
struct PatchForwardShared {
  typename StrokeList<Block, PreparedPatch<T>, kPatchForwardRoom>::Shared list;
  int32_t entries[kWarps][32];

  // Painted colours, channel by channel, lie behind it.
  NP_HOST_DEVICE T* painted() { return reinterpret_cast<T*>(this + 1); }
  static size_t bytes(int64_t channels) { return sizeof(PatchForwardShared) + channels * kTilePixels * sizeof(T); }
};

// The lane's two pixels of the square.
template <typename Block, typename T>
class PatchPixels {
 public:
  NP_KERNEL_BODY PatchPixels(Block& block, const BinnedPatches<T>& in, const PatchSquare<T>& square, T* painted)
      : in_(in), square_(square), painted_(painted + block.warp() * kSquarePixels + block.lane()) {
    NP_UNROLL
    for (int i = 0; i < 2; ++i) {
      transmittance_[i] = T(square.holds(in, i));
      NP_ROLL
      for (int64_t c = 0; c < in.scene.channels; ++c) painted_[c * kTilePixels + 32 * i] = T(0);
    }
  }

  NP_HOST_DEVICE bool are_finished() const { return transmittance_[0] == T(0) && transmittance_[1] == T(0); }

  NP_HOST_DEVICE void paint(int32_t n) {
    const PatchScene<T>& scene = in_.scene;
    const PreparedPatch<T> p = in_.strokes[square_.batch * scene.count + n];
    T alpha[2] = {}, shown[2];
    bool felt[2] = {};
    NP_UNROLL
    for (int i = 0; i < 2; ++i) shown[i] = transmittance_[i] * p.patch.opacity;
    square_.sample_both(scene, p, alpha, felt, [&](const auto& weight, const auto& index, bool first, bool second) {
      const T* plane = p.patch.texels;
      T* painted = painted_;
      NP_ROLL
      for (int64_t c = 0; c + 1 < scene.planes; ++c, plane += scene.patches.strides[2], painted += kTilePixels) {
        T sum[2] = {};
        NP_UNROLL
        for (int k = 0; k < 4; ++k) {
          sum[0] += weight[0][k] * plane[index[0][k]];
          sum[1] += weight[1][k] * plane[index[1][k]];
        }
        if (first) painted[0] += shown[0] * sum[0];
        if (second) painted[32] += shown[1] * sum[1];
      }
    });
    if (!felt[0] && !felt[1]) return;
    if (scene.planes == 1) {
      const T* color = &scene.color(square_.batch, n, 0);
      T* painted = painted_;
      NP_ROLL
      for (int64_t c = 0; c < scene.channels; ++c, color += scene.color.strides[2], painted += kTilePixels) {
        painted[0] += shown[0] * (alpha[0] * *color);
        painted[32] += shown[1] * (alpha[1] * *color);
      }
    }
    NP_UNROLL
    for (int i = 0; i < 2; ++i) transmittance_[i] = attenuate(transmittance_[i], p.patch.opacity * alpha[i]);
  }

  NP_HOST_DEVICE void write(T* image) {
    const PatchScene<T>& scene = in_.scene;
    NP_UNROLL
    for (int i = 0; i < 2; ++i) {
      if (!square_.holds(in_, i)) continue;
      const int64_t y = square_.row(i), x = square_.column();
      NP_ROLL
      for (int64_t c = 0; c < scene.channels; ++c)
        image[((square_.batch * scene.channels + c) * scene.height + y) * scene.width + x] =
            painted_[c * kTilePixels + 32 * i] + transmittance_[i] * scene.background(square_.batch, c, y, x);
    }
  }

 private:
  const BinnedPatches<T>& in_;
  const PatchSquare<T>& square_;
  T* const painted_;  // of the lane's first pixel; of the other, 32 on
  T transmittance_[2];
};

// One block a tile.
template <typename Block, typename T>
NP_KERNEL_BODY void patch_forward_body(Block& block, const BinnedPatches<T>& in, T* image) {
  auto& shared = *reinterpret_cast<PatchForwardShared<Block, T>*>(block.shared());
  const Tile tile(in, uint32_t(block.index()));
  const PatchSquare<T> square(block, tile);
  int32_t* const entries = shared.entries[block.warp()];
  PatchPixels<Block, T> pixels(block, in, square, shared.painted());
  StrokeList<Block, PreparedPatch<T>, kPatchForwardRoom> list(in, tile, shared.list);
  list.restart(0, int32_t(in.scene.count));
  bool finished = false;  // alike for all lanes of the warp
  while (const int hits = list.next(block)) {
    for (int first = 0; first < hits && !finished; first += 32) {
      const int i = first + block.lane();
      const int touching = square.survey(block, in, i < hits ? shared.list.hits[i] : 0, i < hits, entries);
      for (int k = 0; k < touching; ++k) pixels.paint(entries[k]);
      finished = block.ballot(pixels.are_finished()) == ~0u;
    }
    if (!block.sync_or(!finished)) break;
  }
  pixels.write(image);
}

NP_MATH_END
