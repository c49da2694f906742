// The strokes of `paint` as its kernels need them.
#pragma once

#include "../stroke.h"
#include "square.cuh"

NP_MATH_BEGIN

template <typename T, int D>
struct Prepared {
  using Number = T;
  using Scene = neural_paint::Scene<T>;

  alignas(16) Box<T> box;  // in pixels of the canvas; empty: culled, and nothing else is set
  T x, y;                  // origin of the stroke: whole pixels near it, so that 8K is as accurate as 256 px
  Stroke<T, D> stroke;

  static NP_HOST_DEVICE int64_t count(const Scene& scene) { return scene.strokes; }

  NP_HOST_DEVICE void set(const Scene& scene, int64_t b, int64_t n) {
    box = stroke_box<D>(scene, b, n);
    if (!(box.x0 <= box.x1)) return;
    x = floor(scene.points(b, n, 0, 0));
    y = floor(scene.points(b, n, 0, 1));
    set_stroke<T>(stroke, scene, b, n, x, y, kSquare);
  }
};

template <typename T, int D>
using Binned = Bins<Prepared<T, D>>;

NP_MATH_END
