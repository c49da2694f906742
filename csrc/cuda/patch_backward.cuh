// The backward pass of `composite_patches` for one tile: down through its patches, a piece of the list at a time, and
// up again, piece by piece, down to each once more from places that were kept. Nothing is saved by the forward pass.
#pragma once

#include "patch_square_backward.cuh"

NP_MATH_BEGIN

// Pieces whose transmittance above is kept: every one at first, and every second of these once they are more.
constexpr int kPatchStarts = 8;

template <typename Block, typename T>
struct PatchBackwardShared {
  using List = StrokeList<Block, PreparedPatch<T>, kPatchRoom>;
  typename List::Shared list;
  PatchSquareShared<T> squares[kWarps];
  typename List::Place places[kPatchStarts];
  T above_piece[kPatchStarts][kTilePixels];

  // Channel by channel: the incoming gradient, and behind it the colour below the patch at hand.
  NP_HOST_DEVICE T* colors() { return reinterpret_cast<T*>(this + 1); }
  static size_t bytes(int64_t channels) { return sizeof(PatchBackwardShared) + 2 * channels * kTilePixels * sizeof(T); }
};

// Where pieces of a tile's list begin, and the transmittance above: of every `stride`-th.
template <typename Block, typename T>
class PieceStarts {
 public:
  using Shared = PatchBackwardShared<Block, T>;

  NP_HOST_DEVICE PieceStarts(Block& block, Shared& shared)
      : block_(block), shared_(shared), pixel_(block.warp() * kSquarePixels + block.lane()) {}

  // In order of the pieces.
  NP_HOST_DEVICE void keep(int piece, typename Shared::List::Place place, PatchSquareBackward<Block, T>& square) {
    if (piece == stride_ * kPatchStarts) {
      for (int s = 1; s < kPatchStarts / 2; ++s) {
        for (int i = 0; i < 2; ++i) above(s, i) = above(2 * s, i);
        if (block_.thread() == 0) shared_.places[s] = shared_.places[2 * s];
      }
      stride_ *= 2;
    }
    if (piece % stride_ != 0) return;
    const int s = piece / stride_;
    NP_UNROLL
    for (int i = 0; i < 2; ++i) above(s, i) = square.above(i);
    if (block_.thread() == 0) shared_.places[s] = place;
  }

  // The last of them at or before a piece.
  NP_HOST_DEVICE int before(int piece) const { return piece - piece % stride_; }
  template <typename List>
  NP_KERNEL_BODY void resume(int piece, List& list, PatchSquareBackward<Block, T>& square) {
    const int s = piece / stride_;
    NP_UNROLL
    for (int i = 0; i < 2; ++i) square.above(i) = above(s, i);
    list.resume(block_, shared_.places[s]);
  }

 private:
  NP_HOST_DEVICE T& above(int s, int i) { return shared_.above_piece[s][pixel_ + 32 * i]; }

  Block& block_;
  Shared& shared_;
  const int pixel_;
  int stride_ = 1;
};

// One block a tile.
template <typename Block, typename T>
NP_KERNEL_BODY void patch_backward_body(Block& block, const BinnedPatches<T>& in, const PatchBackward<T>& out) {
  using Shared = PatchBackwardShared<Block, T>;
  auto& shared = *reinterpret_cast<Shared*>(block.shared());
  const Tile tile(in, uint32_t(block.index()));
  PatchSquareBackward<Block, T> square(block, in, out, tile, shared.list.hits, shared.squares[block.warp()],
                                       shared.colors());
  PieceStarts<Block, T> starts(block, shared);
  typename Shared::List list(in, tile, shared.list);
  list.restart(0, int32_t(in.scene.count));
  // Down through all pieces, and the last one up; then each of those above it, the lowest first, down from the nearest
  // place that was kept.
  bool counted = false;
  for (int i = 0, piece = 0;;) {
    if (!counted) starts.keep(i, list.place(), square);
    const int hits = list.next(block);
    const bool up = counted ? i == piece : list.is_done();
    square.pass(hits, up);
    const bool hides = !counted && !up && !block.sync_or(!square.is_finished());  // all that lies below
    ++i;
    if (!up && !hides) continue;
    if (!counted) square.write_background();
    piece = counted ? piece - 1 : hides ? i - 1 : i - 2;
    counted = true;
    if (piece < 0) break;
    i = starts.before(piece);
    starts.resume(i, list, square);
  }
}

NP_MATH_END
