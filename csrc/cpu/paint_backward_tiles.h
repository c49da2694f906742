// The backward pass of all tiles, and the tiles' partial gradients summed in an order that no thread changes.
#pragma once

#include "tile_gradient.h"

NP_MATH_BEGIN

// Texture gradients are summed per group of tiles and then over groups, in an order that no number of threads changes.
constexpr int64_t kTextureGroups = 16;
constexpr int64_t kMaxTextureGroupValues = int64_t(1) << 25;

// Partial gradients that are kept at a time, in numbers: a band of tiles, at least one, has no more.
constexpr int64_t kBandValues = int64_t(1) << 22;
// The strokes of a canvas are cut into so many parts, each of which one thread sums.
constexpr int64_t kReduceParts = 32;

template <typename T, int D>
struct StrokeOutputs {
  T *points, *radius, *color, *opacity, *feather;  // contiguous

  void clear(int64_t strokes, const Layout<D>& layout) {
    for_each_field(layout, [&](T* to, int64_t, int64_t count) { std::fill_n(to, strokes * count, T(0)); });
  }

  void add(int64_t stroke, const T* partial, const Layout<D>& layout) {
    for_each_field(layout, [&](T* to, int64_t from, int64_t count) {
      for (int64_t i = 0; i < count; ++i) to[stroke * count + i] += partial[from + i];
    });
  }

 private:
  // Calls visit(output, place in a partial gradient, numbers per stroke).
  template <typename F>
  void for_each_field(const Layout<D>& layout, F&& visit) {
    visit(points, 0, 2 * D);
    visit(radius, layout.radius, 2);
    visit(feather, layout.feather, 1);
    visit(opacity, layout.opacity, layout.opacity_ends);
    visit(color, layout.color(), layout.color_ends * layout.channels);
  }
};

// Adds what tiles [begin, end) have found for strokes [first, last) of every canvas, tile after tile.
template <typename T, int D>
void add_partials(const Scene<T>& scene, const Bins& bins, const Layout<D>& layout, const T* partials, int64_t begin,
                  int64_t end, int64_t first, int64_t last, StrokeOutputs<T, D> outputs) {
  const int64_t canvas_tiles = scene.tile_rows() * scene.tile_columns();
  const auto strokes = bins.strokes.begin();
  for (int64_t tile = begin; tile < end; ++tile) {
    const auto list_end = strokes + bins.offsets[tile + 1];
    for (auto it = std::lower_bound(strokes + bins.offsets[tile], list_end, first); it != list_end && *it < last; ++it)
      outputs.add(tile / canvas_tiles * scene.strokes + *it,
                  partials + (it - strokes - bins.offsets[begin]) * layout.size(), layout);
  }
}

template <typename T, int D>
void paint_backward_tiles(const Scene<T>& scene, const Incoming<T>& incoming, StrokeOutputs<T, D> outputs,
                          T* d_background, T* d_texture, int64_t texture_values) {
  const Bins bins = bin<D>(scene);
  const Layout<D> layout{scene.channels, scene.color_ends, scene.opacity_ends};
  outputs.clear(scene.batch * scene.strokes, layout);
  const int64_t groups =
      std::clamp<int64_t>(kMaxTextureGroupValues / std::max<int64_t>(texture_values, 1), 1, kTextureGroups);
  std::vector<T> group_sums(d_texture == nullptr ? 0 : groups * texture_values, T(0));
  for (int64_t begin = 0, end; begin < scene.tiles(); begin = end) {
    end = begin + 1;
    while (end < scene.tiles() && (bins.offsets[end + 1] - bins.offsets[begin]) * layout.size() <= kBandValues) ++end;
    // Not a vector: every tile fills its own part.
    const std::unique_ptr<T[]> partials(new T[(bins.offsets[end] - bins.offsets[begin]) * layout.size()]);
    // A unit is one tile, or with a texture gradient one of a few fixed groups of them, each with a sum of its own.
    const int64_t tiles = end - begin, units = d_texture == nullptr ? tiles : std::min(groups, tiles);
    for_each_unit(
        units, [&] { return std::make_unique<TileGradient<T, D>>(scene, bins, incoming, d_background); },
        [&](auto& worker, int64_t unit) {
          T* group_sum = d_texture == nullptr ? nullptr : group_sums.data() + unit * texture_values;
          for (int64_t tile = begin + unit * tiles / units; tile < begin + (unit + 1) * tiles / units; ++tile)
            worker->run(tile, &partials[(bins.offsets[tile] - bins.offsets[begin]) * layout.size()], group_sum);
        });
    for_each_unit(
        kReduceParts, [] { return nullptr; },
        [&](std::nullptr_t, int64_t part) {
          add_partials(scene, bins, layout, partials.get(), begin, end, part * scene.strokes / kReduceParts,
                       (part + 1) * scene.strokes / kReduceParts, outputs);
        });
  }
  if (d_texture == nullptr) return;
  std::fill_n(d_texture, texture_values, T(0));
  for (int64_t group = 0; group < groups; ++group)
    for (int64_t i = 0; i < texture_values; ++i) d_texture[i] += group_sums[group * texture_values + i];
}

NP_MATH_END
