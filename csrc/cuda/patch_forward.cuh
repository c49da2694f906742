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
    const PreparedPatch<T>& p = square_.patches[n];
    T paint[2] = {};  // how much of the patch's one colour shows
    NP_ROLL
    for (int i = 0; i < 2; ++i) {
      const T above = pick(transmittance_, i), shown = above * p.patch.opacity;
      if (above == T(0)) continue;
      bool felt;
      const T alpha = square_.alpha(scene, p, i, felt, [&](const auto& weight, const auto& index) {
        const T* plane = p.patch.texels;
        T* painted = painted_ + 32 * i;
        NP_ROLL
        for (int c = 0; c + 1 < int(scene.planes); ++c, plane += scene.patches.strides[2], painted += kTilePixels) {
          T sum(0);
          NP_UNROLL
          for (int k = 0; k < 4; ++k) sum += weight[k] * plane[index[k]];
          *painted += shown * sum;
        }
      });
      put(paint, i, shown * alpha);
      put(transmittance_, i, attenuate(above, p.patch.opacity * alpha));
    }
    if (scene.planes > 1 || (paint[0] == T(0) && paint[1] == T(0))) return;
    const T* color = &scene.color(square_.batch, n, 0);
    T* painted = painted_;
    NP_ROLL
    for (int64_t c = 0; c < scene.channels; ++c, color += scene.color.strides[2], painted += kTilePixels) {
      painted[0] += paint[0] * *color;
      painted[32] += paint[1] * *color;
    }
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
  const PatchSquare<T> square(block, in, tile);
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
