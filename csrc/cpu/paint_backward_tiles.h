// The backward pass of all tiles, and the tiles' partial gradients summed in an order that no thread changes.
#pragma once

#include "tile_gradient.h"

NP_MATH_BEGIN

// Texture gradients are summed per group of tiles and then over groups, in an order that no number of threads changes.
constexpr int64_t kTextureGroups = 16;
constexpr int64_t kMaxTextureGroupValues = int64_t(1) << 25;

// Strokes whose partial gradients one thread sums at a time.
constexpr int64_t kReduceStrokes = 64;

// Sums every stroke's partial gradients in tile order, whatever thread made them, into the outputs.
template <typename T, int D>
struct StrokeOutputs {
  T *points, *radius, *color, *opacity, *feather;  // contiguous

  void reduce(int64_t stroke, const TileRange& range, const Layout<D>& layout, const T* partials, std::vector<T>& sum) {
    sum.assign(layout.size(), T(0));
    for (int64_t tile = range.offset; tile < range.offset + range.count(); ++tile)
      for (int64_t i = 0; i < layout.size(); ++i) sum[i] += partials[tile * layout.size() + i];
    const auto write = [&](T* to, int64_t from, int64_t count) { std::copy_n(&sum[from], count, to + stroke * count); };
    write(points, 0, 2 * D);
    write(radius, layout.radius, 2);
    write(feather, layout.feather, 1);
    write(opacity, layout.opacity, layout.opacity_ends);
    write(color, layout.color(), layout.color_ends * layout.channels);
  }
};

template <typename T, int D>
void paint_backward_tiles(const Scene<T>& scene, const Incoming<T>& incoming, StrokeOutputs<T, D> outputs,
                          T* d_background, T* d_texture, int64_t texture_values) {
  const Bins bins = bin<D>(scene);
  const Layout<D> layout{scene.channels, scene.color_ends, scene.opacity_ends};
  std::vector<T> partials(bins.pairs() * layout.size(), T(0));

  // A unit is one tile, or with a texture gradient one of a few fixed groups of them, each with a sum of its own.
  const int64_t groups =
      std::clamp<int64_t>(kMaxTextureGroupValues / std::max<int64_t>(texture_values, 1), 1, kTextureGroups);
  const int64_t units = d_texture == nullptr ? scene.tiles() : std::min(groups, scene.tiles());
  std::vector<T> group_sums(d_texture == nullptr ? 0 : units * texture_values, T(0));
  for_each_unit(
      units, [&] { return std::make_unique<TileGradient<T, D>>(scene, bins, incoming, partials.data(), d_background); },
      [&](auto& worker, int64_t unit) {
        T* group_sum = d_texture == nullptr ? nullptr : group_sums.data() + unit * texture_values;
        for (int64_t tile = unit * scene.tiles() / units; tile < (unit + 1) * scene.tiles() / units; ++tile)
          worker->run(tile, group_sum);
      });

  for_each_unit(
      ceil_div(scene.batch * scene.strokes, kReduceStrokes), [] { return std::vector<T>(); },
      [&](std::vector<T>& sum, int64_t unit) {
        const int64_t end = std::min((unit + 1) * kReduceStrokes, scene.batch * scene.strokes);
        for (int64_t stroke = unit * kReduceStrokes; stroke < end; ++stroke)
          outputs.reduce(stroke, bins.ranges[stroke], layout, partials.data(), sum);
      });
  if (d_texture == nullptr) return;
  std::fill_n(d_texture, texture_values, T(0));
  for (int64_t group = 0; group < units; ++group)
    for (int64_t i = 0; i < texture_values; ++i) d_texture[i] += group_sums[group * texture_values + i];
}

NP_MATH_END
