// The backward pass of all tiles, and the tiles' partial gradients summed in an order that no thread changes.
#pragma once

#include "tile_gradient.h"

NP_MATH_BEGIN

// Texture gradients are summed per group of tiles and then over groups, in an order that no number of threads changes.
constexpr int64_t kTextureGroups = 16;
constexpr int64_t kMaxTextureGroupValues = int64_t(1) << 25;

// Partial gradients that are kept at a time, in numbers: a band of tiles, at least one, has no more.
constexpr int64_t kBandValues = int64_t(1) << 22;

template <typename T, int D>
struct StrokeOutputs {
  T *points, *radius, *color, *opacity, *feather;  // contiguous

  void write(int64_t stroke, const T* sum, const Layout<D>& layout) {
    const auto copy = [&](T* to, int64_t from, int64_t count) { std::copy_n(sum + from, count, to + stroke * count); };
    copy(points, 0, 2 * D);
    copy(radius, layout.radius, 2);
    copy(feather, layout.feather, 1);
    copy(opacity, layout.opacity, layout.opacity_ends);
    copy(color, layout.color(), layout.color_ends * layout.channels);
  }
};

// Adds what tiles [begin, end) have found for strokes [first, last) of every canvas, `size` numbers each, tile after
// tile.
template <typename T>
void add_partials(const Scene<T>& scene, const Bins& bins, int64_t size, const T* partials, int64_t begin, int64_t end,
                  int64_t first, int64_t last, T* sums) {
  const int64_t canvas_tiles = tile_rows(scene) * tile_columns(scene);
  const auto strokes = bins.strokes.begin();
  for (int64_t tile = begin; tile < end; ++tile) {
    const auto list_end = strokes + bins.offsets[tile + 1];
    for (auto it = std::lower_bound(strokes + bins.offsets[tile], list_end, first); it != list_end && *it < last;
         ++it) {
      const T* partial = partials + (it - strokes - bins.offsets[begin]) * size;
      T* sum = sums + (tile / canvas_tiles * scene.strokes + *it) * size;
      for (int64_t i = 0; i < size; ++i) sum[i] += partial[i];
    }
  }
}

template <typename T, int D>
void paint_backward_tiles(const Scene<T>& scene, const Incoming<T>& incoming, StrokeOutputs<T, D> outputs,
                          T* d_background, T* d_texture, int64_t texture_values) {
  const Bins bins = bin<D>(scene);
  const Layout<D> layout{scene.channels, scene.color_ends, scene.opacity_ends};
  const int64_t size = layout.size();
  // The strokes of a canvas in so many parts, each summed by one thread: what is summed does not depend on them.
  const int64_t parts = 2 * torch::stable::get_num_threads();
  std::vector<T> sums(scene.batch * scene.strokes * size, T(0));
  const int64_t groups =
      std::clamp<int64_t>(kMaxTextureGroupValues / std::max<int64_t>(texture_values, 1), 1, kTextureGroups);
  std::vector<T> group_sums(d_texture == nullptr ? 0 : groups * texture_values, T(0));
  for (int64_t begin = 0, end; begin < tiles(scene); begin = end) {
    end = begin + 1;
    while (end < tiles(scene) && (bins.offsets[end + 1] - bins.offsets[begin]) * size <= kBandValues) ++end;
    // Not a vector: every tile fills its own part.
    const std::unique_ptr<T[]> partials(new T[(bins.offsets[end] - bins.offsets[begin]) * size]);
    // A unit is one tile, or with a texture gradient one of a few fixed groups of them, each with a sum of its own.
    const int64_t tiles = end - begin, units = d_texture == nullptr ? tiles : std::min(groups, tiles);
    for_each_unit(
        units, [&] { return std::make_unique<TileGradient<T, D>>(scene, bins, incoming, d_background); },
        [&](auto& worker, int64_t unit) {
          T* group_sum = d_texture == nullptr ? nullptr : group_sums.data() + unit * texture_values;
          for (int64_t tile = begin + unit * tiles / units; tile < begin + (unit + 1) * tiles / units; ++tile)
            worker->run(tile, &partials[(bins.offsets[tile] - bins.offsets[begin]) * size], group_sum);
        });
    for_each_unit(
        parts, [] { return nullptr; },
        [&](std::nullptr_t, int64_t part) {
          add_partials(scene, bins, size, partials.get(), begin, end, part * scene.strokes / parts,
                       (part + 1) * scene.strokes / parts, sums.data());
        });
  }
  for (int64_t stroke = 0; stroke < scene.batch * scene.strokes; ++stroke)
    outputs.write(stroke, &sums[stroke * size], layout);
  if (d_texture == nullptr) return;
  std::fill_n(d_texture, texture_values, T(0));
  for (int64_t group = 0; group < groups; ++group)
    for (int64_t i = 0; i < texture_values; ++i) d_texture[i] += group_sums[group * texture_values + i];
}

NP_MATH_END
