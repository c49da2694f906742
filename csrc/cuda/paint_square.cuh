// One warp at work on its square of a tile: which of 32 strokes may touch it, and one stroke at the lane's two pixels.
#pragma once

#include "../over.h"
#include "paint_strokes.cuh"

NP_MATH_BEGIN

// What a lane has found out about one stroke, for the whole warp to read.
template <typename T>
struct SquareEntry {
  T t, t_x, t_y;  // see Surveyed
  int32_t stroke;
  bool inside, smooth;
};

template <typename T>
struct Square {
  int32_t batch, x, y;  // pixels of the corner

  template <typename Block>
  NP_KERNEL_BODY Square(const Block& block, const Tile& tile)
      : batch(tile.batch),
        x(tile.x + block.warp() % 2 * kSquare),
        y(tile.y + block.warp() / 2 * kSquare),
        column_(block.lane() % kSquare),
        row_(block.lane() / kSquare) {}

  // Of the lane's pixel i, 0 or 1.
  NP_HOST_DEVICE int32_t column() const { return x + column_; }
  NP_HOST_DEVICE int32_t row(int i) const { return y + row_ + i * (kSquare / 2); }
  template <int D>
  NP_HOST_DEVICE bool holds(const Binned<T, D>& in, int i) const {
    return column() < in.scene.width && row(i) < in.scene.height;
  }

  // The lane's stroke of up to 32, into the lane's entry; which of them may touch the square, a bit each.
  template <typename Block, int D>
  NP_KERNEL_BODY uint32_t survey(Block& block, const Binned<T, D>& in, int32_t stroke, bool is_one,
                                 SquareEntry<T>* entries) const {
    bool reached = false;
    block.sync_warp();  // the entries are read no more
    if (is_one) {
      const Prepared<T, D>& prepared = in.strokes[batch * in.scene.strokes + stroke];
      reached = reaches(prepared.box, x, y, kSquare);
      if (reached) {
        const Vec2<T> center{T(x) - prepared.x + T(kSquare / 2), T(y) - prepared.y + T(kSquare / 2)};
        const Surveyed<T> found = prepared.stroke.search.tapered
                                      ? neural_paint::survey<true>(prepared.stroke, center, kSquare)
                                      : neural_paint::survey<false>(prepared.stroke, center, kSquare);
        reached = found.reached != 0;
        if (reached)
          entries[block.lane()] = {found.t, found.t_x, found.t_y, stroke, found.inside != 0, found.smooth != 0};
      }
    }
    const uint32_t mask = block.ballot(reached);
    block.sync_warp();
    return mask;
  }

  // Centre of the lane's pixel i relative to the stroke's origin.
  template <int D>
  NP_HOST_DEVICE Vec2<T> center(const Prepared<T, D>& prepared, int i) const {
    return {T(column()) - prepared.x + T(0.5), T(row(i)) - prepared.y + T(0.5)};
  }

  template <int D>
  NP_HOST_DEVICE Touch<T> touch(const Binned<T, D>& in, const Prepared<T, D>& prepared, const SquareEntry<T>& entry,
                                int i) const {
    constexpr uint32_t all = ~uint32_t(0) >> (32 - Searched<T, D>::chords);
    constexpr T middle = T(kSquare / 2) - T(0.5);
    const Vec2<T> offset{T(column_) - middle, T(row_ + i * (kSquare / 2)) - middle};
    const auto start = [&] { return Surveyed<T>::start(entry.t, entry.t_x, entry.t_y, offset); };
    return neural_paint::touch<kSquare>(in.scene, prepared.stroke, center(prepared, i), entry.inside, entry.smooth,
                                        start, all);
  }

 private:
  int column_, row_;
};

// One of two values in registers, by an index that the compiler does not know.
template <typename T>
NP_HOST_DEVICE T pick(const T (&pair)[2], int i) {
  return i == 0 ? pair[0] : pair[1];
}

template <typename T>
NP_HOST_DEVICE void put(T (&pair)[2], int i, T value) {
  pair[0] = i == 0 ? value : pair[0];
  pair[1] = i == 0 ? pair[1] : value;
}

// Colour of a stroke at t.
template <typename T>
NP_HOST_DEVICE T color_at(const Scene<T>& scene, int64_t b, int64_t n, int64_t channel, T t) {
  const T start = scene.color(b, n, 0, channel);
  return scene.color_ends == 1 ? start : ramp(start, scene.color(b, n, 1, channel), t);
}

NP_MATH_END
