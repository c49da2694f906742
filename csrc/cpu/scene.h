// A scene in tiles: which strokes reach which, and the threads that work on them.
#pragma once

#include "../scene.h"
#include "calls.h"

NP_MATH_BEGIN

// A tile is the unit of work of one thread, a block the unit of culling: 64 of them, one bit each.
constexpr int kTile = 32;
constexpr int kBlock = 4;
constexpr int kQuarter = kTile / 2;
constexpr int kBlocksPerSide = kTile / kBlock;
constexpr int kBlockPixels = kBlock * kBlock;
constexpr int kTilePixels = kTile * kTile;
static_assert(kBlocksPerSide * kBlocksPerSide == 64, "a block mask is one uint64_t");

// Strokes that the backward pass keeps evaluated at a time: 64 x 64 blocks x 192 bytes stay in the second-level cache.
constexpr int64_t kChunk = 64;

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Strokes per segment of a tile that `listed` strokes reach: a whole number of chunks.
inline int64_t segment_length(int64_t listed, int64_t segments) {
  return std::max(ceil_div(ceil_div(listed, kChunk), segments), int64_t(1)) * kChunk;
}

// Also of a PatchScene.
template <typename Scene>
int64_t tile_rows(const Scene& scene) {
  return ceil_div(scene.height, kTile);
}

template <typename Scene>
int64_t tile_columns(const Scene& scene) {
  return ceil_div(scene.width, kTile);
}

template <typename Scene>
int64_t tiles(const Scene& scene) {
  return scene.batch * tile_rows(scene) * tile_columns(scene);
}

// Where a tile lies on its canvas.
struct TileArea {
  int64_t batch, x, y;  // pixels of the tile's corner
  int width, height;    // of the part on the canvas

  template <typename Scene>
  TileArea(const Scene& scene, int64_t index)
      : batch(index / (tile_rows(scene) * tile_columns(scene))),
        x(index % tile_columns(scene) * kTile),
        y(index / tile_columns(scene) % tile_rows(scene) * kTile),
        width(int(std::min<int64_t>(kTile, scene.width - x))),
        height(int(std::min<int64_t>(kTile, scene.height - y))) {}
};

// Tiles [x0, x1) x [y0, y1) that a stroke may touch.
struct TileRange {
  int32_t x0 = 0, y0 = 0, x1 = 0, y1 = 0;
};

template <typename Scene, typename T>
TileRange tile_range(const Scene& scene, const Box<T>& box) {
  // Clamped as floating point first: a huge or empty box must not overflow the integer.
  const auto tile = [](T pixel, int64_t tiles) {
    return static_cast<int32_t>(clamp(std::floor(pixel / kTile), T(0), T(tiles)));
  };
  TileRange range;
  range.x0 = tile(box.x0, tile_columns(scene));
  range.y0 = tile(box.y0, tile_rows(scene));
  range.x1 = tile(box.x1 + kTile, tile_columns(scene));
  range.y1 = tile(box.y1 + kTile, tile_rows(scene));
  if (range.x1 <= range.x0 || range.y1 <= range.y0) return {};
  return range;
}

// The strokes of every tile, in painter's order, as one array with offsets.
struct Bins {
  std::vector<int64_t> offsets;  // per tile, and the end
  std::vector<int32_t> strokes;
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

// `strokes` on each canvas; box_of(b, n) is where one may leave paint.
template <typename Scene, typename BoxOf>
Bins bin(const Scene& scene, int64_t strokes, BoxOf&& box_of) {
  std::vector<TileRange> ranges(scene.batch * strokes);
  torch::stable::parallel_for(0, scene.batch * strokes, 256, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) ranges[i] = tile_range(scene, box_of(i / strokes, i % strokes));
  });
  // Those that reach any tile, canvas after canvas.
  std::vector<int32_t> reaching;
  std::vector<int64_t> begins;
  reaching.reserve(ranges.size());
  for (int64_t b = 0; b < scene.batch; ++b) {
    begins.push_back(int64_t(reaching.size()));
    for (int64_t n = 0; n < strokes; ++n)
      if (ranges[b * strokes + n].y1 > 0) reaching.push_back(int32_t(n));
  }
  begins.push_back(int64_t(reaching.size()));
  Bins bins;

  // One row of tiles at a time: each scans those strokes of its canvas, so rows need nothing of each other.
  const int64_t rows = tile_rows(scene), columns = tile_columns(scene);
  bins.offsets.assign(tiles(scene) + 1, 0);
  const auto visit_row = [&](int64_t unit, auto&& visit) {
    const int64_t b = unit / rows, row = unit % rows;
    for (int64_t i = begins[b]; i < begins[b + 1]; ++i) {
      const int32_t n = reaching[i];
      const TileRange& range = ranges[b * strokes + n];
      if (row < range.y0 || row >= range.y1) continue;
      for (int64_t column = range.x0; column < range.x1; ++column) visit(unit * columns + column, n);
    }
  };
  const auto no_worker = [] { return nullptr; };
  for_each_unit(scene.batch * rows, no_worker, [&](std::nullptr_t, int64_t unit) {
    visit_row(unit, [&](int64_t tile, int32_t) { ++bins.offsets[tile + 1]; });
  });
  for (int64_t tile = 0; tile < tiles(scene); ++tile) bins.offsets[tile + 1] += bins.offsets[tile];
  bins.strokes.resize(bins.offsets.back());
  for_each_unit(scene.batch * rows, no_worker, [&](std::nullptr_t, int64_t unit) {
    std::vector<int64_t> cursor(bins.offsets.begin() + unit * columns, bins.offsets.begin() + (unit + 1) * columns);
    visit_row(unit, [&](int64_t tile, int32_t n) { bins.strokes[cursor[tile - unit * columns]++] = n; });
  });
  return bins;
}

template <int D, typename T>
Bins bin(const Scene<T>& scene) {
  return bin(scene, scene.strokes, [&](int64_t b, int64_t n) {
    // What strokes are left out by on purpose comes first: it costs next to nothing.
    return scene.feather(b, n) > T(0) ? stroke_box<D>(scene, b, n) : empty_box<T>();
  });
}

NP_MATH_END
