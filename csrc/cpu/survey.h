// What is known of a stroke in each block of a tile before its pixels are looked at: which blocks it may touch, which
// it covers whole, and where t* is found without a search. Lanes are blocks here.
#pragma once

#include "tile.h"

NP_MATH_BEGIN

template <typename T, int D>
class Survey {
  static constexpr int lanes = kLanes<T>;
  using V = Pack<T, lanes>;

 public:
  uint64_t reached;  // blocks that may be touched, a bit each
  uint64_t inside;   // those with coverage 1 at every pixel
  uint64_t smooth;   // those where `start` leads to t*

  NP_HOST_DEVICE void run(const TileStroke<T, D>& stroke) {
    reached = inside = smooth = 0;
    if (stroke.search.tapered)
      quarters<true>(stroke);
    else
      quarters<false>(stroke);
  }

  // t* at a pack of pixels of a smooth block, to first order.
  NP_HOST_DEVICE V start(int block, int first) const {
    const auto offset = Grid<T>::at(T(-1.5), T(first / kBlock) - T(1.5), T(1));
    return Surveyed<V>::start(V(t_[block]), V(t_x_[block]), V(t_y_[block]), offset);
  }

 private:
  // The quarters of the tile first, then the 16 blocks of each that remains.
  template <bool Tapered>
  NP_HOST_DEVICE void quarters(const TileStroke<T, D>& stroke) {
    // One register is enough where it holds two rows of the grid.
    constexpr int some = Register<T>::lanes < 8 ? lanes : Register<T>::lanes;
    const T limit = stroke.half_feather + stroke.margin + half_diagonal<T>(kQuarter);
    uint32_t wanted = 0;
    for (int row = 0; row < 2; row += some / 4) {
      const auto at = Grid<T, some>::at(T(kQuarter / 2), T(row * kQuarter + kQuarter / 2), T(kQuarter));
      wanted |= look_at_chords<Tapered>(stroke.search, at, limit).within << (row * 4);
    }
    for (int quarter = 0; quarter < 4; ++quarter)
      if (wanted >> (quarter % 2 + quarter / 2 * 4) & 1)
        for (int block = quarter * 16; block < quarter * 16 + 16; block += lanes) blocks<Tapered>(stroke, block);
  }

  template <bool Tapered>
  NP_HOST_DEVICE void blocks(const TileStroke<T, D>& stroke, int block) {
    const auto center =
        Grid<T>::at(T(Tile::block_x(block) + kBlock / 2), T(Tile::block_y(block) + kBlock / 2), T(kBlock));
    const auto found = survey<Tapered>(stroke, center, kBlock);
    if (found.reached == 0) return;
    reached |= uint64_t(found.reached) << block;
    inside |= uint64_t(found.inside) << block;
    if (found.smooth == 0) return;
    smooth |= uint64_t(found.smooth) << block;
    found.t.store(t_ + block);
    found.t_x.store(t_x_ + block);
    found.t_y.store(t_y_ + block);
  }

  alignas(64) T t_[64], t_x_[64], t_y_[64];  // t* at the centre of a block, and its gradient
};

// Chords that may be the nearest to some touched pixel of a block, a bit each: lanes are chords here.
template <typename T, int D>
NP_HOST_DEVICE uint32_t candidate_chords(const TileStroke<T, D>& stroke, int block) {
  constexpr int n = Searched<T, D>::chords, lanes = std::min(Register<T>::lanes, n);
  if constexpr (n == 1) {
    return 1;
  } else {
    using V = Pack<T, Register<T>::lanes>;
    static_assert(lanes == Register<T>::lanes || n * 2 == Register<T>::lanes,
                  "arrays of chords are padded to a register");
    const Searched<T, D>& s = stroke.search;
    const Vec2<V> center{V(T(Tile::block_x(block) + kBlock / 2)), V(T(Tile::block_y(block) + kBlock / 2))};
    constexpr int packs = std::max(n / lanes, 1);
    V f[packs];
    T best = std::numeric_limits<T>::infinity();
    for (int i = 0; i < packs; ++i) {
      const auto load = [&](const T* from) { return V::load(from + i * lanes); };
      const Chord<V> chord{{load(s.start_x), load(s.start_y)},
                           {load(s.along_x), load(s.along_y)},
                           load(s.inverse_squared),
                           load(s.shift),
                           load(s.bias),
                           load(s.radius)};
      f[i] = chord_value<true>(s, chord, nearest_on_chord<true>(chord, center));
      for (int lane = 0; lane < lanes; ++lane) best = minimum(f[i][lane], best);
    }
    const T across = 2 * half_diagonal<T>(kBlock) + 2 * s.chord_error + 2 * Search<T>::tie;
    const T limit = minimum(best + across, stroke.half_feather + stroke.margin + half_diagonal<T>(kBlock));
    uint32_t chords = 0;
    for (int i = 0; i < packs; ++i) chords |= bits(f[i] <= V(limit)) << (i * lanes);
    return chords & (~uint32_t(0) >> (32 - n));
  }
}

// The stroke at a pack of pixels, from pixel `first` of the block on; `chords` as candidate_chords gives them, read
// where the block is not smooth.
template <typename T, int D>
NP_HOST_DEVICE auto touch(const Scene<T>& scene, const TileStroke<T, D>& stroke, const Survey<T, D>& survey, int block,
                          int first, uint32_t chords) {
  const bool inside = survey.inside >> block & 1, smooth = survey.smooth >> block & 1;
  return touch<kBlock>(
      scene, stroke, centers<T>(block, first), inside, smooth, [&] { return survey.start(block, first); }, chords);
}

NP_MATH_END
