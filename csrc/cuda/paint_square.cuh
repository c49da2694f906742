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
struct Square : SquareArea {
  using SquareArea::SquareArea;

  // Of the lanes' strokes those that may touch the square, side by side in the lanes' order; how many they are.
  template <typename Block, int D>
  NP_KERNEL_BODY int survey(Block& block, const Binned<T, D>& in, int32_t stroke, bool is_one,
                            SquareEntry<T>* entries) const {
    bool reached = false;
    SquareEntry<T> entry;
    if (is_one) {
      const Prepared<T, D>& prepared = in.strokes[batch * in.scene.strokes + stroke];
      reached = reaches(prepared.box, x, y, kSquare);
      if (reached) {
        const Vec2<T> center{T(x) - prepared.x + T(kSquare / 2), T(y) - prepared.y + T(kSquare / 2)};
        const Surveyed<T> found = prepared.stroke.search.tapered
                                      ? neural_paint::survey<true>(prepared.stroke, center, kSquare)
                                      : neural_paint::survey<false>(prepared.stroke, center, kSquare);
        reached = found.reached != 0;
        entry = {found.t, found.t_x, found.t_y, stroke, found.inside != 0, found.smooth != 0};
      }
    }
    return side_by_side(block, reached, entry, entries);
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
};

// Colour of a stroke, channel after channel.
template <typename T>
class StrokeColor {
 public:
  NP_HOST_DEVICE StrokeColor(const Scene<T>& scene, int64_t b, int64_t n)
      : start_(&scene.color(b, n, 0, 0)),
        to_end_(scene.color_ends == 2 ? scene.color.strides[2] : 0),
        step_(scene.color.strides[3]) {}

  NP_HOST_DEVICE T start() const { return *start_; }
  NP_HOST_DEVICE T increase() const { return to_end_ == 0 ? T(0) : start_[to_end_] - *start_; }
  NP_HOST_DEVICE T at(T t) const { return to_end_ == 0 ? *start_ : ramp(*start_, start_[to_end_], t); }
  NP_HOST_DEVICE void next() { start_ += step_; }

 private:
  const T* start_;
  const int64_t to_end_, step_;  // 0: there is one colour alone, or both are the same
};

NP_MATH_END
