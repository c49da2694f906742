// The inputs of `paint` as the CPU kernels see them, and which strokes reach which tile.
#pragma once

#include "../bounds.h"
#include "../brush.h"
#include "../over.h"
#include "pack.h"
#include "paint_call.h"

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

// Any strides, read in place.
template <typename T, int R>
struct View {
  const T* data = nullptr;
  int64_t strides[R] = {};

  View() = default;
  explicit View(const torch::stable::Tensor& tensor) : data(static_cast<const T*>(tensor.const_data_ptr())) {
    for (int i = 0; i < R; ++i) strides[i] = tensor.stride(i);
  }
  int64_t row_step() const { return strides[R - 2]; }
  int64_t column_step() const { return strides[R - 1]; }
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
  T closing;  // the greatest transmittance of a closed pixel
  View<T, 4> points, color, background;
  View<T, 3> radius, opacity;
  View<T, 2> feather;
  View<int64_t, 2> texture_id;
  std::vector<Texture<T>> textures;

  int64_t tile_rows() const { return ceil_div(height, kTile); }
  int64_t tile_columns() const { return ceil_div(width, kTile); }
  int64_t tiles() const { return batch * tile_rows() * tile_columns(); }
};

// Textures are sampled in place: `texture` is contiguous and outlives the scene.
template <typename T>
Scene<T> make_scene(const PaintInputs& in, const std::optional<torch::stable::Tensor>& texture, double t_min) {
  Scene<T> scene;
  scene.batch = in.batch();
  scene.strokes = in.strokes();
  scene.channels = in.channels();
  scene.height = in.height();
  scene.width = in.width();
  scene.color_ends = int(in.color.size(2));
  scene.opacity_ends = int(in.opacity.size(2));
  scene.closing = closing_transmittance(T(t_min));
  scene.points = View<T, 4>(in.points);
  scene.radius = View<T, 3>(in.radius);
  scene.color = View<T, 4>(in.color);
  scene.opacity = View<T, 3>(in.opacity);
  scene.feather = View<T, 2>(in.feather);
  scene.background = View<T, 4>(in.background);
  if (!texture.has_value()) return scene;
  scene.texture_id = View<int64_t, 2>(*in.texture_id);
  const int64_t height = texture->size(1), width = texture->size(2);
  const T* texels = static_cast<const T*>(texture->const_data_ptr());
  for (int64_t k = 0; k < texture->size(0); ++k) scene.textures.push_back({texels + k * height * width, height, width});
  return scene;
}

template <int D, typename T>
void load_points(const Scene<T>& scene, int64_t b, int64_t n, T x, T y, Vec2<T> (&points)[D]) {
  const T* row = &scene.points(b, n, 0, 0);
  const int64_t step = scene.points.strides[2], y_step = scene.points.strides[3];
  for (int i = 0; i < D; ++i) points[i] = {row[i * step] - x, row[i * step + y_step] - y};
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

// Tiles [x0, x1) x [y0, y1) that a stroke may touch.
struct TileRange {
  int32_t x0 = 0, y0 = 0, x1 = 0, y1 = 0;
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

template <int D, typename T>
Bins bin(const Scene<T>& scene) {
  std::vector<TileRange> ranges(scene.batch * scene.strokes);
  torch::stable::parallel_for(0, scene.batch * scene.strokes, 256, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) ranges[i] = tile_range<D>(scene, i / scene.strokes, i % scene.strokes);
  });
  Bins bins;

  // One row of tiles at a time: each scans all strokes of its canvas, so rows need nothing of each other.
  const int64_t rows = scene.tile_rows(), columns = scene.tile_columns();
  bins.offsets.assign(scene.tiles() + 1, 0);
  const auto visit_row = [&](int64_t unit, auto&& visit) {
    const int64_t b = unit / rows, row = unit % rows;
    for (int64_t n = 0; n < scene.strokes; ++n) {
      const TileRange& range = ranges[b * scene.strokes + n];
      if (row < range.y0 || row >= range.y1) continue;
      for (int64_t column = range.x0; column < range.x1; ++column) visit(unit * columns + column, n);
    }
  };
  const auto no_worker = [] { return nullptr; };
  for_each_unit(scene.batch * rows, no_worker, [&](std::nullptr_t, int64_t unit) {
    visit_row(unit, [&](int64_t tile, int64_t) { ++bins.offsets[tile + 1]; });
  });
  for (int64_t tile = 0; tile < scene.tiles(); ++tile) bins.offsets[tile + 1] += bins.offsets[tile];
  bins.strokes.resize(bins.offsets.back());
  for_each_unit(scene.batch * rows, no_worker, [&](std::nullptr_t, int64_t unit) {
    std::vector<int64_t> cursor(bins.offsets.begin() + unit * columns, bins.offsets.begin() + (unit + 1) * columns);
    visit_row(unit, [&](int64_t tile, int64_t n) { bins.strokes[cursor[tile - unit * columns]++] = int32_t(n); });
  });
  return bins;
}

// Calls body<D>(scene) for the number of control points at hand.
template <typename T, typename F>
void with_scene(const PaintInputs& inputs, double t_min, F&& body) {
  std::optional<torch::stable::Tensor> texture;
  if (inputs.texture.has_value()) texture = torch::stable::contiguous(*inputs.texture);
  const Scene<T> scene = make_scene<T>(inputs, texture, t_min);
  switch (inputs.points.size(2)) {
    case 1:
      return body.template operator()<1>(scene);
    case 2:
      return body.template operator()<2>(scene);
    case 3:
      return body.template operator()<3>(scene);
    default:
      return body.template operator()<4>(scene);
  }
}

NP_MATH_END
