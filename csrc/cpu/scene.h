// The inputs of `paint` as the CPU kernels see them, and which strokes reach which tile.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <vector>

#include "../bounds.h"
#include "../brush.h"
#include "pack.h"

namespace neural_paint {

// A tile is the unit of work of one thread, a block the unit of culling: 64 of them, one bit each.
constexpr int kTile = 32;
constexpr int kBlock = 4;
constexpr int kBlocksPerSide = kTile / kBlock;
constexpr int kBlockPixels = kBlock * kBlock;
constexpr int kTilePixels = kTile * kTile;
static_assert(kBlocksPerSide * kBlocksPerSide == 64, "a block mask is one uint64_t");

// Strokes that the backward pass keeps evaluated at a time: 64 x 64 blocks x 192 bytes stay in the second-level cache.
constexpr int64_t kChunk = 64;

// Pixels side by side in one register of the baseline instruction set.
constexpr int kLanes = 4;

constexpr int kMaxChannels = 16;

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Strokes per segment of a tile that `listed` strokes reach: a whole number of chunks.
inline int64_t segment_length(int64_t listed, int64_t segments) {
  return std::max(ceil_div(ceil_div(listed, kChunk), segments), int64_t(1)) * kChunk;
}

// Any strides, read in place.
template <typename T, int R>
struct View {
  const T* data = nullptr;
  int64_t strides[R] = {};

  View() = default;
  explicit View(const torch::stable::Tensor& tensor) : data(static_cast<const T*>(tensor.const_data_ptr())) {
    for (int i = 0; i < R; ++i) strides[i] = tensor.stride(i);
  }
  template <typename... Index>
  const T& operator()(Index... index) const {
    const int64_t at[R] = {int64_t(index)...};
    int64_t offset = 0;
    for (int i = 0; i < R; ++i) offset += at[i] * strides[i];
    return data[offset];
  }
};

template <typename T>
struct Scene {
  int64_t batch, strokes, channels, height, width;
  int color_ends, opacity_ends;
  T t_min;
  View<T, 4> points, color, background;
  View<T, 3> radius, opacity;
  View<T, 2> feather;
  View<int64_t, 2> texture_id;
  std::vector<Texture<T>> textures;

  int64_t tile_rows() const { return ceil_div(height, kTile); }
  int64_t tile_columns() const { return ceil_div(width, kTile); }
  int64_t tiles() const { return batch * tile_rows() * tile_columns(); }
};

// One stroke relative to the corner of one tile.
template <typename T, int D>
struct TileStroke {
  Spine<T, D> spine;
  T feather;
  T color[2][kMaxChannels];
  T opacity[2];
  const Texture<T>* texture;
  int64_t texture_index;
};

template <int D, typename T>
void load_points(const Scene<T>& scene, int64_t b, int64_t n, T x, T y, Vec2<T> (&points)[D]) {
  for (int i = 0; i < D; ++i) points[i] = {scene.points(b, n, i, 0) - x, scene.points(b, n, i, 1) - y};
}

template <int D, typename T>
TileStroke<T, D> load_stroke(const Scene<T>& scene, int64_t b, int64_t n, T x, T y) {
  TileStroke<T, D> stroke;
  Vec2<T> points[D];
  load_points(scene, b, n, x, y, points);
  stroke.spine = make_spine(points, scene.radius(b, n, 0), scene.radius(b, n, 1));
  stroke.feather = scene.feather(b, n);
  for (int e = 0; e < scene.color_ends; ++e)
    for (int64_t c = 0; c < scene.channels; ++c) stroke.color[e][c] = scene.color(b, n, e, c);
  for (int e = 0; e < scene.opacity_ends; ++e) stroke.opacity[e] = scene.opacity(b, n, e);
  stroke.texture_index = scene.textures.empty() ? -1 : scene.texture_id(b, n);
  stroke.texture = stroke.texture_index < 0 ? nullptr : &scene.textures[stroke.texture_index];
  return stroke;
}

// What must hold of the values for a stroke to be painted at all; the others are culled.
template <int D, typename T>
bool is_paintable(const Scene<T>& scene, int64_t b, int64_t n) {
  for (int e = 0; e < scene.color_ends; ++e)
    for (int64_t c = 0; c < scene.channels; ++c)
      if (!std::isfinite(scene.color(b, n, e, c))) return false;
  for (int e = 0; e < scene.opacity_ends; ++e)
    if (!std::isfinite(scene.opacity(b, n, e))) return false;
  if (scene.textures.empty()) return true;
  const int64_t id = scene.texture_id(b, n);
  return id >= -1 && id < static_cast<int64_t>(scene.textures.size());
}

// Tiles [x0, x1) x [y0, y1) that a stroke may touch, and where its partial gradients start.
struct TileRange {
  int32_t x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  int64_t offset = 0;

  int64_t count() const { return int64_t(x1 - x0) * (y1 - y0); }
  int64_t slot(int64_t tile_x, int64_t tile_y) const { return offset + (tile_y - y0) * (x1 - x0) + (tile_x - x0); }
};

template <int D, typename T>
TileRange tile_range(const Scene<T>& scene, int64_t b, int64_t n) {
  if (!is_paintable<D>(scene, b, n)) return {};
  Vec2<T> points[D];
  load_points(scene, b, n, T(0), T(0), points);
  const Box<T> box = bounds(&points[0].x, 2, 1, D, scene.radius(b, n, 0), scene.radius(b, n, 1), scene.feather(b, n));
  // Clamped as floating point first: a huge or empty box must not overflow the integer.
  const auto tile = [](T pixel, int64_t tiles) {
    return static_cast<int32_t>(clamp(std::floor(pixel / kTile), T(0), T(tiles)));
  };
  TileRange range;
  range.x0 = tile(box.x0, scene.tile_columns());
  range.y0 = tile(box.y0, scene.tile_rows());
  range.x1 = tile(box.x1 + kTile, scene.tile_columns());
  range.y1 = tile(box.y1 + kTile, scene.tile_rows());
  if (range.x1 <= range.x0 || range.y1 <= range.y0) return {};
  return range;
}

// The strokes of every tile, in painter's order, as one array with offsets.
struct Bins {
  std::vector<TileRange> ranges;  // per (batch, stroke)
  std::vector<int64_t> offsets;   // per tile, and the end
  std::vector<int32_t> strokes;

  int64_t pairs() const { return offsets.back(); }
};

// Calls run(worker, unit) for every unit, with one worker a thread. A thread that has finished one takes the next; what
// a unit computes does not depend on who takes it.
template <typename Make, typename Run>
void for_each_unit(int64_t count, Make&& make_worker, Run&& run) {
  std::atomic<int64_t> next{0};
  const int64_t threads = std::min<int64_t>(torch::stable::get_num_threads(), count);
  torch::stable::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t thread = begin; thread < end; ++thread) {
      auto worker = make_worker();
      for (int64_t unit = next++; unit < count; unit = next++) run(worker, unit);
    }
  });
}

template <int D, typename T>
Bins bin(const Scene<T>& scene) {
  Bins bins;
  bins.ranges.resize(scene.batch * scene.strokes);
  torch::stable::parallel_for(0, scene.batch * scene.strokes, 256, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) bins.ranges[i] = tile_range<D>(scene, i / scene.strokes, i % scene.strokes);
  });
  int64_t pairs = 0;
  for (TileRange& range : bins.ranges) {
    range.offset = pairs;
    pairs += range.count();
  }

  // One row of tiles at a time: each scans all strokes of its canvas, so rows need nothing of each other.
  const int64_t rows = scene.tile_rows(), columns = scene.tile_columns();
  bins.offsets.assign(scene.tiles() + 1, 0);
  const auto visit_row = [&](int64_t unit, auto&& visit) {
    const int64_t b = unit / rows, row = unit % rows;
    for (int64_t n = 0; n < scene.strokes; ++n) {
      const TileRange& range = bins.ranges[b * scene.strokes + n];
      if (row < range.y0 || row >= range.y1) continue;
      for (int64_t column = range.x0; column < range.x1; ++column) visit(unit * columns + column, n);
    }
  };
  const auto no_worker = [] { return nullptr; };
  for_each_unit(scene.batch * rows, no_worker, [&](std::nullptr_t, int64_t unit) {
    visit_row(unit, [&](int64_t tile, int64_t) { ++bins.offsets[tile + 1]; });
  });
  for (int64_t tile = 0; tile < scene.tiles(); ++tile) bins.offsets[tile + 1] += bins.offsets[tile];
  bins.strokes.resize(bins.pairs());
  for_each_unit(scene.batch * rows, no_worker, [&](std::nullptr_t, int64_t unit) {
    std::vector<int64_t> cursor(bins.offsets.begin() + unit * columns, bins.offsets.begin() + (unit + 1) * columns);
    visit_row(unit, [&](int64_t tile, int64_t n) { bins.strokes[cursor[tile - unit * columns]++] = int32_t(n); });
  });
  return bins;
}

// Blocks of the tile that the stroke may reach: the tile's quarters first, then the 16 blocks of each that remains.
template <typename T, int D>
uint64_t reached_blocks(const TileStroke<T, D>& stroke) {
  using V = Pack<T, kLanes>;
  // Rounding of F in the geometry's precision, far more than it can be.
  T scale = T(0);
  for (int k = 0; k < D; ++k)
    scale = std::max({scale, std::abs(stroke.spine.coefficient[k].x), std::abs(stroke.spine.coefficient[k].y)});
  const T limit = stroke.feather / 2 + T(1e-3) + 64 * std::numeric_limits<T>::epsilon() * scale;
  // From the centre of a square of n pixels to its farthest pixel centre.
  const auto reach = [&](int n) { return V(limit + T((n - 1) / 2.0 * 1.4142136)); };
  const auto misses = [&](V x, T y, int n) {
    return lower_bound(stroke.spine, Vec2<V>{x, V(y)}) > reach(n);  // false for NaN: not proven to miss
  };

  constexpr int quarter = kTile / 2;
  uint64_t blocks = 0;
  for (int qy = 0; qy < 2; ++qy) {
    const auto missed = misses(V::sequence(quarter / 2, quarter), T(qy * quarter + quarter / 2), quarter);
    for (int qx = 0; qx < 2; ++qx) {
      if (missed.lanes[qx]) continue;
      for (int row = 0; row < 4; ++row) {
        const int by = qy * 4 + row;
        const auto miss = misses(V::sequence(T(qx * quarter + 2), kBlock), T(by * kBlock + 2), kBlock);
        for (int lane = 0; lane < 4; ++lane)
          if (!miss.lanes[lane]) blocks |= uint64_t(1) << (by * kBlocksPerSide + qx * 4 + lane);
      }
    }
  }
  return blocks;
}

}  // namespace neural_paint
