// paint, backward: tiles over threads, then the tiles' partial gradients summed in an order that no thread changes.
#include <torch/csrc/stable/library.h>

#include <memory>

#include "tile_gradient.h"

namespace neural_paint {
namespace {

using torch::stable::Tensor;

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

// Gradients of (points, radius, color, opacity, feather, texture, background); texture's is empty where there is none
// or `texture_gradient` is false.
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> paint_backward_cpu(
    const Tensor& grad, const Tensor& points, const Tensor& radius, const Tensor& color, const Tensor& opacity,
    const Tensor& feather, const std::optional<Tensor>& texture, const std::optional<Tensor>& texture_id,
    const Tensor& background, const Tensor& transmittance, const Tensor& checkpoints, const Tensor& evaluated,
    double t_min, bool texture_gradient) {
  const PaintInputs inputs{points, radius, color, opacity, feather, texture, texture_id, background};
  inputs.check();
  const int64_t b = inputs.batch(), h = inputs.height(), w = inputs.width();
  inputs.check_like_points(grad, "grad", {b, inputs.channels(), h, w});
  inputs.check_like_points(transmittance, "transmittance", {b, h, w});
  inputs.check_like_points(checkpoints, "checkpoints", {b, kAny, h, w});
  check_shape(evaluated, "evaluated", {b, h, w});
  check_dtype(evaluated, "evaluated", torch::headeronly::ScalarType::Int);
  check_device(evaluated, "evaluated", points, "points");
  const auto like = [&](const Tensor& tensor) { return torch::stable::new_empty(points, tensor.sizes()); };
  Tensor d_points = like(points), d_radius = like(radius), d_color = like(color), d_opacity = like(opacity);
  Tensor d_feather = like(feather), d_background = like(grad);
  const bool textured = texture.has_value() && texture_gradient;
  Tensor d_texture = textured ? like(*texture) : torch::stable::new_empty(points, {0});
  with_scene(inputs, t_min, [&]<typename T, int D>(const Scene<T>& scene) {
    const Incoming<T> incoming{View<T, 4>(grad), View<T, 3>(transmittance), View<T, 4>(checkpoints),
                               View<int32_t, 3>(evaluated), checkpoints.size(1) + 1};
    paint_backward_tiles<T, D>(
        scene, incoming,
        {data<T>(d_points), data<T>(d_radius), data<T>(d_color), data<T>(d_opacity), data<T>(d_feather)},
        data<T>(d_background), textured ? data<T>(d_texture) : nullptr, d_texture.numel());
  });
  return {d_points, d_radius, d_color, d_opacity, d_feather, d_texture, d_background};
}

}  // namespace
}  // namespace neural_paint

STABLE_TORCH_LIBRARY_IMPL(neural_paint, CPU, m) {
  m.impl("paint_backward", TORCH_BOX(&neural_paint::paint_backward_cpu));
}
