// The backward pass of `composite_patches` for one warp: down through the patches of its square for the transmittance
// above, a chunk of them at a time, and up again with the colour below. Nothing is divided by 1 - alpha.
#pragma once

#include "patch_gradient.cuh"

NP_MATH_BEGIN

// Patches of a tile that are in hand at a time, patches of a square that are kept evaluated, and as many chunks as
// these may be.
constexpr int kPatchRoom = 64;
constexpr int kPatchChunk = 8;
constexpr int kPatchChunks = kPatchRoom / kPatchChunk;

template <typename T>
struct PatchSquareShared {
  int32_t entries[kPatchRoom];  // of the patches in the tile's list those that may touch the square
  uint32_t felt[kPatchChunk][2];
  T above_chunk[kPatchChunks][kSquarePixels];
  T alpha[kPatchChunk][kSquarePixels], above[kPatchChunk][kSquarePixels];
};

// What the backward pass starts from and makes.
template <typename T>
struct PatchBackward {
  View<T, 4> grad;  // (B, C, H, W)
  PatchSums<T> sums;
  T* background;  // (B, C, H, W); null: not wanted
};

// A warp's square in the backward pass.
template <typename Block, typename T>
class PatchSquareBackward {
 public:
  NP_KERNEL_BODY PatchSquareBackward(Block& block, const BinnedPatches<T>& in, const PatchBackward<T>& out,
                                     const Tile& tile, const int32_t* hits, PatchSquareShared<T>& shared, T* colors)
      : block_(block),
        in_(in),
        out_(out),
        square_(block, in, tile),
        hits_(hits),
        shared_(shared),
        grad_(colors + block.warp() * kSquarePixels + block.lane()) {
    NP_ROLL
    for (int i = 0; i < 2; ++i) {
      const bool holds = square_.holds(in_, i);
      put(above_, i, T(holds));
      put(under_, i, T(holds));
      NP_ROLL
      for (int64_t c = 0; c < in.scene.channels; ++c) {
        grad_[c * kTilePixels + 32 * i] = holds ? out.grad(square_.batch, c, square_.row(i), square_.column()) : T(0);
        below(c, i) = holds ? in.scene.background(square_.batch, c, square_.row(i), square_.column()) : T(0);
      }
    }
  }

  // The transmittance above the next piece.
  NP_HOST_DEVICE T& above(int i) { return above_[i]; }

  // Whether nothing farther down matters to the lane's pixels: neither to their colour nor to the gradient of the patch
  // that closed them.
  NP_HOST_DEVICE bool is_finished() const {
    return above_[0] == T(0) && above_[1] == T(0) && under_[0] == T(0) && under_[1] == T(0);
  }

  // After the way down.
  NP_HOST_DEVICE void write_background() const {
    if (out_.background == nullptr) return;
    const PatchScene<T>& scene = in_.scene;
    NP_ROLL
    for (int i = 0; i < 2; ++i) {
      if (!square_.holds(in_, i)) continue;
      const int64_t y = square_.row(i), x = square_.column();
      NP_ROLL
      for (int64_t c = 0; c < scene.channels; ++c)
        out_.background[((square_.batch * scene.channels + c) * scene.height + y) * scene.width + x] =
            pick(above_, i) * grad_[c * kTilePixels + 32 * i];
    }
  }

  // Down through the first `hits` of the tile's list, those that may touch the square; and, if asked for, `up` again.
  // The lowest chunk is still in hand then, the others are evaluated once more.
  NP_KERNEL_BODY void pass(int hits, bool up) {
    list_mine(hits);
    const int chunks = (mine_ + kPatchChunk - 1) / kPatchChunk, steps = up ? 2 * chunks - 1 : chunks;
    T last[2] = {above_[0], above_[1]};
    for (int step = 0; step < steps; ++step) {
      const bool down = step < chunks;
      const int chunk = down ? step : 2 * chunks - 2 - step;
      NP_UNROLL
      for (int i = 0; i < 2; ++i) {
        T& above = shared_.above_chunk[chunk][block_.lane() + 32 * i];
        if (down) above = above_[i];
        above_[i] = above;
      }
      evaluate(chunk);
      NP_UNROLL
      for (int i = 0; i < 2; ++i) last[i] = down ? above_[i] : last[i];
      if (!up || step < chunks - 1) continue;
      for (int slot = size_of(chunk) - 1; slot >= 0; --slot)
        composite(slot, shared_.entries[chunk * kPatchChunk + slot]);
    }
    NP_UNROLL
    for (int i = 0; i < 2; ++i) above_[i] = last[i];
  }

 private:
  NP_KERNEL_BODY void list_mine(int hits) {
    mine_ = 0;
    for (int first = 0; first < hits; first += 32) {
      const int i = first + block_.lane();
      mine_ += square_.survey(block_, in_, i < hits ? hits_[i] : 0, i < hits, shared_.entries + mine_);
    }
  }

  NP_HOST_DEVICE int size_of(int chunk) const {
    const int left = mine_ - chunk * kPatchChunk;
    return left < kPatchChunk ? left : kPatchChunk;
  }

  NP_KERNEL_BODY void evaluate(int chunk) {
    const int size = size_of(chunk), lane = block_.lane();
    block_.sync_warp();  // what is felt is read no more
    NP_ROLL
    for (int slot = 0; slot < size; ++slot) {
      const PreparedPatch<T>& p = square_.patches[shared_.entries[chunk * kPatchChunk + slot]];
      NP_ROLL
      for (int i = 0; i < 2; ++i) {
        bool felt;
        const T alpha = square_.alpha(in_.scene, p, i, felt, [](auto&&...) {}), whole = p.patch.opacity * alpha;
        const T above = pick(above_, i);
        shared_.alpha[slot][lane + 32 * i] = alpha;
        shared_.above[slot][lane + 32 * i] = above;
        if (above == T(0)) put(under_, i, attenuate(pick(under_, i), whole));
        put(above_, i, attenuate(above, whole));
        const uint32_t mask = block_.ballot(felt && square_.holds(in_, i));
        if (lane == 0) shared_.felt[slot][i] = mask;
      }
    }
    block_.sync_warp();
  }

  NP_KERNEL_BODY void composite(int slot, int32_t n) {
    const uint32_t felt[2] = {shared_.felt[slot][0], shared_.felt[slot][1]};
    if ((felt[0] | felt[1]) == 0) return;
    const PreparedPatch<T>& p = square_.patches[n];
    PatchGradient<Block, T> sums;
    NP_ROLL
    for (int i = 0; i < 2; ++i) {
      const int place = block_.lane() + 32 * i;
      T& above = shared_.above[slot][place];  // and then what is shown
      above =
          pick(felt, i) >> block_.lane() & 1 ? composite_pixel(p, n, i, shared_.alpha[slot][place], above, sums) : T(0);
    }
    sums.write(block_, out_.sums, square_.batch * in_.scene.count + n, p.patch.placed, grad_,
               &shared_.above[slot][block_.lane()]);
  }

  // One patch less; how much of it shows.
  NP_HOST_DEVICE T composite_pixel(const PreparedPatch<T>& p, int32_t n, int i, T sampled, T above,
                                   PatchGradient<Block, T>& sums) {
    const PatchScene<T>& scene = in_.scene;
    const T alpha = p.patch.opacity * sampled, share = above * p.patch.opacity * p.share();
    T towards(0), paint(0);  // d_alpha over the transmittance above, and what the patch's own colours add to it
    const T* color = scene.planes == 1 ? &scene.color(square_.batch, n, 0) : nullptr;
    NP_ROLL
    for (int64_t c = 0; c < scene.channels; ++c) {
      T& below = this->below(c, i);
      const T grad = grad_[c * kTilePixels + 32 * i];
      if (color != nullptr) {
        towards += over_d_alpha(grad, below, *color);
        below = over(below, *color, alpha);
        color += scene.color.strides[2];
      } else {
        towards -= grad * below;
        below *= T(1) - alpha;
      }
    }
    if (share != T(0) || scene.planes > 1)
      p.for_each_sample([&](T right, T down) {
        sample_backward(p, i, square_.sample(scene, p, i, right, down), share, share * towards, paint, sums);
      });
    sums.opacity += above * (towards * sampled + paint);
    return above * alpha;
  }

  // One sample of a pixel, of which d_alpha is the gradient but for the patch's own colours. These are laid on the
  // colour below on the way, and what they add is added to `paint`.
  NP_HOST_DEVICE void sample_backward(const PreparedPatch<T>& p, int i, const Sample<T>& sample, T share, T d_alpha,
                                      T& paint, PatchGradient<Block, T>& sums) {
    if (!sample.felt) return;
    const PatchScene<T>& scene = in_.scene;
    const int32_t row_step = int32_t(scene.patches.row_step()), column_step = int32_t(scene.patches.column_step());
    const int64_t colors = scene.planes - 1, plane_step = scene.patches.strides[2];
    T texel[4], d_texel[4];  // alpha, and its gradient over the weight
    NP_UNROLL
    for (int k = 0; k < 4; ++k) {
      texel[k] = p.patch.texels[colors * plane_step + sample.index(k, row_step, column_step)];
      d_texel[k] = d_alpha;
    }
    const T* plane = p.patch.texels;
    NP_ROLL
    for (int64_t c = 0; c < colors; ++c, plane += plane_step) {
      const T grad = grad_[c * kTilePixels + 32 * i], d_color = grad * share;
      T sum(0);
      NP_UNROLL
      for (int k = 0; k < 4; ++k) {
        const T color = plane[sample.index(k, row_step, column_step)], weight = sample.corners.weight(k) * texel[k];
        sum += weight * color;
        d_texel[k] += d_color * color;
        add_texel(p, c, sample, k, weight * d_color);
      }
      below(c, i) += p.patch.opacity * p.share() * sum;
      paint += grad * p.share() * sum;
    }
    Vec2<T> d_place{T(0), T(0)};
    NP_UNROLL
    for (int k = 0; k < 4; ++k) {
      add_texel(p, colors, sample, k, sample.corners.weight(k) * d_texel[k]);
      d_place.x += texel[k] * d_texel[k] * sample.corners.slope_x(k);
      d_place.y += texel[k] * d_texel[k] * sample.corners.slope_y(k);
    }
    sums.add_place(d_place, sample.place);
  }

  NP_HOST_DEVICE void add_texel(const PreparedPatch<T>& p, int64_t plane, const Sample<T>& sample, int corner,
                                T value) const {
    if (value == T(0)) return;  // as of three corners where the patch lies at whole pixels
    const PatchScene<T>& scene = in_.scene;
    const int64_t first = (p.patch.index * scene.planes + plane) * scene.patch_height * scene.patch_width;
    out_.sums.add_texel(block_, first + sample.index(corner, scene.patch_width, 1), value);
  }

  NP_HOST_DEVICE T& below(int64_t c, int i) const { return grad_[(in_.scene.channels + c) * kTilePixels + 32 * i]; }

  Block& block_;
  const BinnedPatches<T>& in_;
  const PatchBackward<T>& out_;
  const PatchSquare<T> square_;
  const int32_t* const hits_;
  PatchSquareShared<T>& shared_;
  T* const grad_;  // of the lane's first pixel; of the other, 32 on
  // Transmittance above the patch at hand, and of those below the one that closed the pixel.
  T above_[2], under_[2];
  int mine_ = 0;
};

NP_MATH_END
