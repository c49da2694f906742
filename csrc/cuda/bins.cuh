// What every kernel that paints starts from: strokes set up once, which large tiles each may touch, and the list of
// those that may touch one small tile, made by its block where it is needed. A stroke is whatever leaves paint in a
// box.
#pragma once

#include "../bounds.h"
#include "block.cuh"

NP_MATH_BEGIN

// A tile is what one block paints, a square what one warp of it does, two pixels a lane.
constexpr int kSquare = 8;
constexpr int kTile = 2 * kSquare;
constexpr int kWarps = 4;
constexpr int kRasterThreads = 32 * kWarps;
constexpr int kSquarePixels = kSquare * kSquare;
constexpr int kTilePixels = kTile * kTile;

// Coarse tiles are those that a bit mask says the strokes of, a bit each: masks of small ones would be larger than a
// large canvas. Their side is 64 pixels or, where there are too many words even so, a larger power of two.
constexpr int kCoarseShift = 6;
constexpr int64_t kMaxCoarseWords = int64_t(1) << 26;
// One warp to a block: strokes are few, and so they are set up on as many multiprocessors as there can be.
constexpr int kBinThreads = 32;

NP_HOST_DEVICE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The inputs of every kernel, and what the first of them makes of these. A `Prepared` is one stroke as the others need
// it. It says what `Scene` it is of and how many there are, `count(scene)`; `set(scene, b, n)` makes its `box`, in
// pixels of the canvas, and, unless that is empty, all else.
template <typename Prepared>
struct Bins {
  using Scene = typename Prepared::Scene;
  Scene scene;
  Prepared* strokes;  // (B, N)
  uint32_t* words;    // (B, coarse tiles, words): bit i of word w is stroke 32 w + i
  int coarse_shift;   // a coarse tile is 2^coarse_shift pixels wide and high

  // Not `words` yet, as their number must be known first.
  Bins(const Scene& scene, Prepared* strokes)
      : scene(scene), strokes(strokes), words(nullptr), coarse_shift(kCoarseShift) {
    while (coarse_words() > kMaxCoarseWords && (coarse_rows() > 1 || coarse_columns() > 1)) ++coarse_shift;
  }

  NP_HOST_DEVICE int64_t count() const { return Prepared::count(scene); }
  NP_HOST_DEVICE int64_t words_per_tile() const { return ceil_div(count(), 32); }
  NP_HOST_DEVICE int64_t coarse_side() const { return int64_t(1) << coarse_shift; }
  NP_HOST_DEVICE int64_t coarse_rows() const { return ceil_div(scene.height, coarse_side()); }
  NP_HOST_DEVICE int64_t coarse_columns() const { return ceil_div(scene.width, coarse_side()); }
  NP_HOST_DEVICE int64_t rows() const { return ceil_div(scene.height, kTile); }
  NP_HOST_DEVICE int64_t columns() const { return ceil_div(scene.width, kTile); }
  NP_HOST_DEVICE int64_t coarse_words() const {
    return scene.batch * coarse_rows() * coarse_columns() * words_per_tile();
  }
  NP_HOST_DEVICE int64_t tiles() const { return scene.batch * rows() * columns(); }
};

// Whether a box reaches any pixel centre of the square of `side` pixels at (x, y); false for an empty one.
template <typename T>
NP_HOST_DEVICE bool reaches(Box<T> box, int64_t x, int64_t y, int side) {
  // No short cuts: the four are loaded at once.
  return (box.x1 > T(x)) & (box.x0 < T(x + side)) & (box.y1 > T(y)) & (box.y0 < T(y + side));
}

// A warp for each word: 32 strokes set up, and tested against every coarse tile of their canvas. `begin` is called once
// for each stroke of all canvases.
template <typename Block, typename Prepared, typename Begin>
NP_KERNEL_BODY void bin_body(Block& block, const Bins<Prepared>& in, Begin&& begin) {
  const int64_t words = in.words_per_tile();
  const int64_t unit = block.index() * (block.threads() / 32) + block.warp();
  if (unit >= in.scene.batch * words) return;
  const int64_t b = unit / words, word = unit % words, n = word * 32 + block.lane();
  auto box = empty_box<typename Prepared::Number>();
  if (n < in.count()) {
    Prepared& out = in.strokes[b * in.count() + n];
    out.set(in.scene, b, n);
    box = out.box;
    begin(b * in.count() + n);
  }
  const int64_t rows = in.coarse_rows(), columns = in.coarse_columns();
  const int side = int(in.coarse_side());
  uint32_t* to = in.words + b * rows * columns * words + word;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column, to += words) {
      const uint32_t mask = block.ballot(reaches(box, column * side, row * side, side));
      if (block.lane() == 0) *to = mask;
    }
}

// 32 bits do for places on a canvas, and registers are scarce. So they do for the number of a tile, whose divisions
// would take a microsecond in 64.
struct Tile {
  int32_t batch, x, y;

  template <typename Prepared>
  NP_HOST_DEVICE Tile(const Bins<Prepared>& in, uint32_t index) {
    const uint32_t rows = uint32_t(in.rows()), columns = uint32_t(in.columns()), line = index / columns;
    batch = int32_t(line / rows);
    x = int32_t(index % columns) * kTile;
    y = int32_t(line % rows) * kTile;
  }
};

NP_HOST_DEVICE int count_bits(uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return __popc(bits);
#else
  return __builtin_popcount(bits);
#endif
}

NP_HOST_DEVICE int highest_bit(uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return 31 - __clz(static_cast<int>(bits));
#else
  return 31 - __builtin_clz(bits);
#endif
}

// The strokes of a range that may touch a tile, the top one first, a part at a time. All threads of the block call it
// alike.
template <typename Block, typename Prepared, int Room>
class StrokeList {
 public:
  // Words are looked at one a thread; where that makes more candidates than this, those of one warp.
  static constexpr int kCandidates = 32 * 32;

  struct Shared {
    int32_t hits[Room];                // strokes, what `next` leaves
    uint16_t candidates[kCandidates];  // bits of the last words, counted from the first of them
    int32_t sums[kWarps];
  };
  static_assert(Room >= 32);

  NP_HOST_DEVICE StrokeList(const Bins<Prepared>& in, const Tile& tile, Shared& shared)
      : tile_x_(tile.x), tile_y_(tile.y), shared_(shared) {
    const int64_t coarse = (tile.batch * in.coarse_rows() + (tile.y >> in.coarse_shift)) * in.coarse_columns() +
                           (tile.x >> in.coarse_shift);
    words_ = in.words + coarse * in.words_per_tile();
    strokes_ = in.strokes + tile.batch * in.count();
  }

  // From now on: strokes [first, end).
  NP_HOST_DEVICE void restart(int32_t first, int32_t end) {
    first_ = first;
    end_ = end;
    top_word_ = int32_t(ceil_div(end, 32));
    candidates_ = position_ = 0;
  }

  // Between two parts: where the next one begins, and from there on once more.
  struct Place {
    int32_t top_word;
    int position;
  };
  NP_HOST_DEVICE Place place() const {
    return position_ < candidates_ ? Place{base_word_ + 1, position_} : Place{top_word_, 0};
  }
  NP_KERNEL_BODY void resume(Block& block, Place place) {
    top_word_ = place.top_word;
    candidates_ = position_ = 0;
    if (place.position == 0) return;
    block.sync();  // with the last candidates, everyone is done
    expand(block);
    position_ = place.position;
  }

  NP_HOST_DEVICE bool is_done() const { return position_ == candidates_ && !has_words(); }

  // How many more there are in `hits`, at most Room.
  NP_KERNEL_BODY int next(Block& block) {
    int hits = 0;
    block.sync();  // with the last ones, everyone is done
    while (hits + 32 <= Room) {
      if (position_ == candidates_ && !expand(block)) break;
      const int room = Room - hits < kRasterThreads ? Room - hits : kRasterThreads;
      const int left = candidates_ - position_ < room ? candidates_ - position_ : room;
      int32_t n = 0;
      bool hit = false;
      if (block.thread() < left) {
        const int32_t place = shared_.candidates[position_ + block.thread()];
        n = (base_word_ - place / 32) * 32 + place % 32;
        hit = reaches(strokes_[n].box, tile_x_, tile_y_, kTile);
      }
      const uint32_t mask = block.ballot(hit);
      int total;
      const int before = sum_before(block, count_bits(mask), total);
      if (hit) shared_.hits[hits + before + count_bits(mask & ((1u << block.lane()) - 1))] = n;
      hits += total;
      position_ += left;
      block.sync();
    }
    return hits;
  }

 private:
  // The strokes of the next words that have any, from the top, into `candidates`; false if there are none left.
  NP_KERNEL_BODY bool expand(Block& block) {
    candidates_ = position_ = 0;
    while (candidates_ == 0 && has_words()) {
      const int32_t word = top_word_ - 1 - block.thread();
      const int64_t begin = int64_t(word) * 32;
      uint32_t bits = begin + 32 > first_ && begin >= 0 ? words_[word] : 0;
      if (begin < first_ && bits != 0) bits &= ~0u << (first_ - begin);
      if (begin + 32 > end_) bits &= ~0u >> (begin + 32 - end_);
      int count = count_bits(bits);
      for (int distance = 1; distance < 32; distance *= 2) {
        const int other = block.shuffle(count, (block.lane() - distance) & 31);
        if (block.lane() >= distance) count += other;
      }
      const int of_warp = block.shuffle(count, 31);
      int to = sum_before(block, of_warp, candidates_) + count - count_bits(bits);
      int words = kRasterThreads;
      if (candidates_ > kCandidates) {
        words = 32;
        if (block.warp() > 0) bits = 0;
        sum_before(block, block.warp() > 0 ? 0 : of_warp, candidates_);
      }
      for (; bits != 0; ++to) {
        const int bit = highest_bit(bits);
        bits &= ~(1u << bit);
        shared_.candidates[to] = static_cast<uint16_t>(block.thread() * 32 + bit);
      }
      base_word_ = top_word_ - 1;
      top_word_ -= words;
      block.sync();
    }
    return candidates_ > 0;
  }

  NP_HOST_DEVICE bool has_words() const { return int64_t(top_word_) * 32 > first_; }

  // Sum of `of_warp` over the warps before this one, and over all.
  NP_KERNEL_BODY int sum_before(Block& block, int of_warp, int& total) {
    if (block.lane() == 0) shared_.sums[block.warp()] = of_warp;
    block.sync();
    int before = 0;
    total = 0;
    for (int warp = 0; warp < kWarps; ++warp) {
      if (warp < block.warp()) before += shared_.sums[warp];
      total += shared_.sums[warp];
    }
    block.sync();
    return before;
  }

  const int32_t tile_x_, tile_y_;
  Shared& shared_;
  const uint32_t* words_;
  const Prepared* strokes_;
  int32_t first_ = 0, end_ = 0, top_word_ = 0, base_word_ = 0;
  int candidates_ = 0, position_ = 0;
};

NP_MATH_END
