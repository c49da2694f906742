// One tile while it is being painted: its pixels block by block, the strokes that reach it, and one stroke evaluated at
// a pack of pixels.
#pragma once

#include "scene.h"

NP_MATH_BEGIN

// Where a tile lies. Pixels are kept block after block and row after row in each, so that a pack is one load.
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
template <typename T>
struct Grid {
  using V = Pack<T, kLanes<T>>;
  alignas(64) T x[kLanes<T>], y[kLanes<T>];

  constexpr Grid() : x(), y() {
    for (int i = 0; i < kLanes<T>; ++i) x[i] = T(i % 4), y[i] = T(i / 4);
  }

  // Points x0 + step column, y0 + step row.
  static NP_HOST_DEVICE Vec2<V> at(T x0, T y0, T step) {
    static constexpr Grid grid;
    return {V(x0) + V(step) * V::load(grid.x), V(y0) + V(step) * V::load(grid.y)};
  }
};

// Centres of a pack of pixels from `pixel` on, relative to the tile's corner.
template <typename T>
NP_HOST_DEVICE auto centers(int pixel) {
  return Grid<T>::at(T(Tile::block_x(pixel)) + T(0.5), T(Tile::block_y(pixel) + pixel % kBlockPixels / kBlock) + T(0.5),
                     T(1));
}

template <typename F>
NP_HOST_DEVICE void for_each_block(uint64_t blocks, F&& visit) {
  for (; blocks != 0; blocks &= blocks - 1) visit(__builtin_ctzll(blocks));
}

// One stroke relative to the corner of one tile.
template <typename T, int D>
struct TileStroke {
  Searched<T, D> search;
  T half_feather, inverse_feather;
  T reach;  // F at which a pixel is certainly untouched, with room for its rounding
  T color[2][kMaxChannels];
  T opacity[2];
  const Texture<T>* texture;
  int64_t texture_index;

  void load(const Scene<T>& scene, const Tile& tile, int64_t n) {
    const int64_t b = tile.batch;
    Vec2<T> points[D];
    load_points(scene, b, n, T(tile.x), T(tile.y), points);
    for (int e = 0; e < scene.color_ends; ++e)
      for (int64_t c = 0; c < scene.channels; ++c) color[e][c] = scene.color(b, n, e, c);
    for (int e = 0; e < scene.opacity_ends; ++e) opacity[e] = scene.opacity(b, n, e);
    texture_index = scene.textures.empty() ? -1 : scene.texture_id(b, n);
    texture = texture_index < 0 ? nullptr : &scene.textures[texture_index];
    search = make_searched(make_spine(points, scene.radius(b, n, 0), scene.radius(b, n, 1)));
    const T feather = scene.feather(b, n);
    half_feather = feather / 2;
    inverse_feather = 1 / feather;
    // Rounding grows with the coordinates; this is far more than it can be.
    T scale = T(0);
    for (int i = 0; i < D; ++i) scale = maximum(scale, maximum(absolute(points[i].x), absolute(points[i].y)));
    reach = half_feather + search.chord_error + T(1e-3) + 64 * std::numeric_limits<T>::epsilon() * scale;
  }
};

// From the centre of a square of n pixels to its farthest pixel centre. F changes by no more than that in between.
template <typename T>
constexpr T half_diagonal(int n) {
  return T((n - 1) * 0.70710678118654757);
}

// F of the chords at a pack of points: the least of them, and which lanes are within `limit`.
template <bool Tapered, typename V, typename T, int D>
NP_HOST_DEVICE auto reached_by_chords(const Searched<T, D>& s, Vec2<V> p, T limit) {
  V least(std::numeric_limits<T>::infinity());
  for (int i = 0; i < Searched<T, D>::chords; ++i)
    least = minimum(nearest_on_chord<Tapered>(chord_at<V>(s, i), s.radius_increase, p).f, least);
  if constexpr (Tapered) return least <= V(limit);
  const T distance = maximum(limit + s.spine.radius, T(0));
  return least <= V(distance * distance);
}

template <typename V, typename T, int D>
NP_HOST_DEVICE auto reached(const Searched<T, D>& s, Vec2<V> p, T limit) {
  return s.tapered ? reached_by_chords<true>(s, p, limit) : reached_by_chords<false>(s, p, limit);
}

// Blocks of the tile that the stroke may touch: the tile's quarters first, then the 16 blocks of each that remains.
template <typename T, int D>
uint64_t reached_blocks(const TileStroke<T, D>& stroke) {
  constexpr int quarter = kTile / 2, lanes = kLanes<T>;
  const T quarter_limit = stroke.reach + half_diagonal<T>(quarter), limit = stroke.reach + half_diagonal<T>(kBlock);
  uint64_t blocks = 0;
  for (int half = 0; half < 2; ++half) {
    // Lanes 0 and 1 are the two quarters of this half.
    const auto quarters = Grid<T>::at(T(quarter / 2), T(half * quarter + quarter / 2), T(quarter));
    const uint32_t wanted = bits(reached(stroke.search, quarters, quarter_limit));
    for (int side = 0; side < 2; ++side) {
      if (!(wanted >> side & 1)) continue;
      for (int row = 0; row < 4; row += lanes / 4) {
        const int y = half * 4 + row;
        const auto at = Grid<T>::at(T(side * quarter + kBlock / 2), T(y * kBlock + kBlock / 2), T(kBlock));
        const uint32_t found = bits(reached(stroke.search, at, limit));
        for (int i = 0; i < lanes / 4; ++i)
          blocks |= uint64_t(found >> (4 * i) & 0xf) << ((y + i) * kBlocksPerSide + side * 4);
      }
    }
  }
  return blocks;
}

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
    const Vec2<V> center{V(T(Tile::block_x(block * kBlockPixels) + kBlock / 2)),
                         V(T(Tile::block_y(block * kBlockPixels) + kBlock / 2))};
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
      f[i] = nearest_on_chord<true>(chord, s.radius_increase, center).f;
      for (int lane = 0; lane < lanes; ++lane) best = minimum(f[i][lane], best);
    }
    const T across = 2 * half_diagonal<T>(kBlock) + 2 * s.chord_error + 2 * Search<T>::tie;
    const T limit = minimum(best + across, stroke.reach + half_diagonal<T>(kBlock));
    uint32_t chords = 0;
    for (int i = 0; i < packs; ++i) chords |= bits(f[i] <= V(limit)) << (i * lanes);
    return chords & (~uint32_t(0) >> (32 - n));
  }
}

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
