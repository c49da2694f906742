// One tile while it is being painted: its pixels block by block, and one stroke evaluated on a row of a block.
#pragma once

#include <bit>

#include "../over.h"
#include "scene.h"

namespace neural_paint {

// Where a tile lies. Pixels are kept block after block, so that a row of a block is one load.
struct Tile {
  int64_t batch, x, y;  // pixels of the tile's corner

  template <typename T>
  Tile(const Scene<T>& scene, int64_t index)
      : batch(index / (scene.tile_rows() * scene.tile_columns())),
        x(index % scene.tile_columns() * kTile),
        y(index / scene.tile_columns() % scene.tile_rows() * kTile) {}

  static int block_x(int pixel) { return pixel / kBlockPixels % kBlocksPerSide * kBlock; }
  static int block_y(int pixel) { return pixel / kBlockPixels / kBlocksPerSide * kBlock; }
  int64_t column(int pixel) const { return x + block_x(pixel) + pixel % kBlock; }
  int64_t row(int pixel) const { return y + block_y(pixel) + pixel % kBlockPixels / kBlock; }

  // Centres of the four pixels from `pixel` on, relative to the tile's corner.
  template <typename V, typename T>
  static Vec2<V> centers(int pixel) {
    return {V::sequence(T(block_x(pixel)) + T(0.5), T(1)),
            V(T(block_y(pixel) + pixel % kBlockPixels / kBlock) + T(0.5))};
  }

  template <typename T>
  bool contains(const Scene<T>& scene, int pixel) const {
    return column(pixel) < scene.width && row(pixel) < scene.height;
  }

  // Calls visit(pixel, row, column) for every pixel on the canvas.
  template <typename T, typename F>
  void for_each_pixel(const Scene<T>& scene, F&& visit) const {
    for (int pixel = 0; pixel < kTilePixels; ++pixel)
      if (contains(scene, pixel)) visit(pixel, row(pixel), column(pixel));
  }
};

// Calls visit(pixel) for the first pixel of each of the 16 / kLanes rows of a block.
template <typename F>
void for_each_row(int block, F&& visit) {
  for (int pixel = block * kBlockPixels; pixel < (block + 1) * kBlockPixels; pixel += kLanes) visit(pixel);
}

template <typename F>
void for_each_block(uint64_t blocks, F&& visit) {
  for (; blocks != 0; blocks &= blocks - 1) visit(std::countr_zero(blocks));
}

template <typename T, typename V>
V opacity_at(const Scene<T>& scene, const T (&opacity)[2], V t) {
  return scene.opacity_ends == 1 ? V(opacity[0]) : ramp(V(opacity[0]), V(opacity[1]), t);
}

template <typename T, typename V>
V color_at(const Scene<T>& scene, const T (&color)[2][kMaxChannels], int64_t channel, V t) {
  const V start(color[0][channel]);
  return scene.color_ends == 1 ? start : ramp(start, V(color[1][channel]), t);
}

template <typename T, int D>
Bilinear<T> sample_stroke(const TileStroke<T, D>& stroke, Vec2<T> p, T t, BrushPosition<T>& where) {
  const Frame<T> frame = frame_at(stroke.spine, p, t);
  where = brush_position<D>(frame, t, stroke.spine.radius + t * stroke.spine.radius_increase);
  return sample(*stroke.texture, where.u, where.v);
}

// The texture's factor in alpha; 1 where the stroke has none.
template <typename V, typename T, int D>
V texture_at(const TileStroke<T, D>& stroke, Vec2<V> p, V t) {
  V factor(1);
  if (stroke.texture == nullptr) return factor;
  BrushPosition<T> where;
  for (int i = 0; i < kLanes; ++i)
    factor.lanes[i] = sample_stroke(stroke, Vec2<T>{p.x.lanes[i], p.y.lanes[i]}, t.lanes[i], where).value;
  return factor;
}

}  // namespace neural_paint
