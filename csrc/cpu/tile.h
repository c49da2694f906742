// One tile while it is being painted: its pixels block by block, the strokes that reach it, and one stroke evaluated at
// a pack of pixels.
#pragma once

#include "scene.h"

NP_MATH_BEGIN

// Where a tile lies. Pixels are kept block after block and row after row in each, so that a pack is one load; blocks
// are kept quarter after quarter of the tile.
struct Tile {
  int64_t batch, x, y;  // pixels of the tile's corner

  template <typename T>
  Tile(const Scene<T>& scene, int64_t index)
      : batch(index / (scene.tile_rows() * scene.tile_columns())),
        x(index % scene.tile_columns() * kTile),
        y(index / scene.tile_columns() % scene.tile_rows() * kTile) {}

  static int block_x(int block) { return block / 16 % 2 * kQuarter + block % 4 * kBlock; }
  static int block_y(int block) { return block / 32 * kQuarter + block / 4 % 4 * kBlock; }
  int64_t column(int pixel) const { return x + block_x(pixel / kBlockPixels) + pixel % kBlock; }
  int64_t row(int pixel) const { return y + block_y(pixel / kBlockPixels) + pixel % kBlockPixels / kBlock; }

  template <typename T>
  bool contains(const Scene<T>& scene, int pixel) const {
    return column(pixel) < scene.width && row(pixel) < scene.height;
  }

  // Calls visit(pixel, row, column, count) for every row of a block that is on the canvas: `count` pixels side by side.
  template <typename T, typename F>
  void for_each_run(const Scene<T>& scene, F&& visit) const {
    for (int pixel = 0; pixel < kTilePixels; pixel += kBlock)
      if (contains(scene, pixel))
        visit(pixel, row(pixel), column(pixel), int(std::min<int64_t>(kBlock, scene.width - column(pixel))));
  }
};

// Lanes of a pack in rows of four: (column, row) of lane i is (i % 4, i / 4).
template <typename T, int W = kLanes<T>>
struct Grid {
  using V = Pack<T, W>;
  alignas(64) T x[W], y[W];

  constexpr Grid() : x(), y() {
    for (int i = 0; i < W; ++i) x[i] = T(i % 4), y[i] = T(i / 4);
  }

  // Points x0 + step column, y0 + step row.
  static NP_HOST_DEVICE Vec2<V> at(T x0, T y0, T step) {
    static constexpr Grid grid;
    return {V(x0) + V(step) * V::load(grid.x), V(y0) + V(step) * V::load(grid.y)};
  }
};

// Centres of a pack of pixels of a block, from its pixel `first` on, relative to the tile's corner.
template <typename T>
NP_HOST_DEVICE auto centers(int block, int first) {
  return Grid<T>::at(T(Tile::block_x(block)) + T(0.5), T(Tile::block_y(block) + first / kBlock) + T(0.5), T(1));
}

template <typename F>
NP_HOST_DEVICE void for_each_block(uint64_t blocks, F&& visit) {
  for (; blocks != 0; blocks &= blocks - 1) visit(__builtin_ctzll(blocks));
}

// From the centre of a square of n pixels to its farthest pixel centre. F changes by no more than that in between.
template <typename T>
constexpr T half_diagonal(int n) {
  return T((n - 1) * 0.70710678118654757);
}

// One stroke relative to the corner of one tile.
template <typename T, int D>
struct TileStroke {
  Searched<T, D> search;
  T half_feather, inverse_feather;
  T margin;     // by how much F of the chords may be off, with room for rounding
  bool gentle;  // no two minima of F near a touched pixel whose chords follow each other
  bool varies;  // along its length, so that t* matters inside too
  T color[2][kMaxChannels];
  T opacity[2];
  const Texture<T>* texture;
  int64_t texture_index;

  void load(const Scene<T>& scene, const Tile& tile, int64_t n) {
    const int64_t b = tile.batch;
    Vec2<T> points[D];
    load_points(scene, b, n, T(tile.x), T(tile.y), points);
    for (int e = 0; e < scene.color_ends; ++e) {
      const T* row = &scene.color(b, n, e, 0);
      for (int64_t c = 0; c < scene.channels; ++c) color[e][c] = row[c * scene.color.strides[3]];
    }
    for (int e = 0; e < scene.opacity_ends; ++e) opacity[e] = scene.opacity(b, n, e);
    texture_index = scene.textures.empty() ? -1 : scene.texture_id(b, n);
    texture = texture_index < 0 ? nullptr : &scene.textures[texture_index];
    set_searched<Pack<T, Register<T>::lanes>>(search, make_spine(points, scene.radius(b, n, 0), scene.radius(b, n, 1)));
    const T feather = scene.feather(b, n);
    half_feather = feather / 2;
    inverse_feather = 1 / feather;
    varies = texture != nullptr || scene.color_ends == 2 || scene.opacity_ends == 2;
    // Rounding grows with the coordinates; this is far more than it can be.
    T scale = T(0);
    for (int i = 0; i < D; ++i) scale = maximum(scale, maximum(absolute(points[i].x), absolute(points[i].y)));
    margin = search.chord_error + T(1e-3) + 64 * std::numeric_limits<T>::epsilon() * scale;
    gentle = false;
    if constexpr (kSmooth<T, D>) {
      const T radius = maximum(search.spine.radius, search.spine.radius + search.spine.radius_increase);
      const T farthest = half_feather + margin + 2 * half_diagonal<T>(kBlock) + radius + search.longest_chord;
      gentle = farthest < search.focal_distance;
    }
  }
};

template <typename T, typename V>
NP_HOST_DEVICE V opacity_at(const Scene<T>& scene, const T (&opacity)[2], V t) {
  return scene.opacity_ends == 1 ? V(opacity[0]) : ramp(V(opacity[0]), V(opacity[1]), t);
}

template <typename T, typename V>
NP_HOST_DEVICE V color_at(const Scene<T>& scene, const T (&color)[2][kMaxChannels], int64_t channel, V t) {
  const V start(color[0][channel]);
  return scene.color_ends == 1 ? start : ramp(start, V(color[1][channel]), t);
}

template <typename T, int D>
Bilinear<T> sample_stroke(const TileStroke<T, D>& stroke, Vec2<T> p, T t, BrushPosition<T>& where) {
  const Spine<T, D>& spine = stroke.search.spine;
  where = brush_position<D>(frame_at(spine, p, t), t, spine.radius + t * spine.radius_increase);
  return sample(*stroke.texture, where.u, where.v);
}

// The texture's factor in alpha; 1 where the stroke has none.
template <typename V, typename T, int D>
V texture_at(const TileStroke<T, D>& stroke, Vec2<V> p, V t) {
  if (stroke.texture == nullptr) return V(1);
  BrushPosition<T> where;
  T value[kLanes<T>];
  for (int i = 0; i < kLanes<T>; ++i) value[i] = sample_stroke(stroke, Vec2<T>{p.x[i], p.y[i]}, t[i], where).value;
  return V::load(value);
}

NP_MATH_END
