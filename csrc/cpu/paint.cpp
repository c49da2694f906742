// paint, forward: tiles over threads, the top stroke first, each pixel until nothing below it shows.
#include <torch/csrc/stable/library.h>

#include <memory>

#include "inputs.h"
#include "tile.h"

namespace neural_paint {
namespace {

using torch::stable::Tensor;

// What the backward pass needs of the forward pass; null where no gradient is wanted.
template <typename T>
struct Saved {
  T* transmittance;    // (B, H, W): of all strokes
  T* checkpoints;      // (B, segments - 1, H, W): above each segment but the first
  int32_t* evaluated;  // (B, H, W): strokes of the tile's list, from the top
  int64_t segments;
};

template <typename T, int D>
class TilePainter {
  using V = Pack<T, kLanes>;

 public:
  TilePainter(const Scene<T>& scene, const Bins& bins, T* image, const Saved<T>& saved)
      : scene_(scene), bins_(bins), image_(image), saved_(saved), saving_(saved.transmittance != nullptr) {}

  void paint(int64_t index) {
    const Tile tile(scene_, index);
    start(tile);
    const int64_t listed = bins_.offsets[index + 1] - bins_.offsets[index];
    const int32_t* last = bins_.strokes.data() + bins_.offsets[index] + listed - 1;
    const int64_t segment = segment_length(listed, saved_.segments);
    int64_t checkpoint = 0;
    for (int64_t k = 0; k < listed && ~finished_ != 0; ++k) {
      if (saving_ && k > 0 && k % segment == 0) write_checkpoint(tile, checkpoint++);
      const auto stroke = load_stroke<D>(scene_, tile.batch, last[-k], T(tile.x), T(tile.y));
      for_each_block(reached_blocks(stroke) & ~finished_,
                     [&](int block) { paint_block(stroke, block, int32_t(k + 1)); });
    }
    while (saving_ && checkpoint < saved_.segments - 1) write_checkpoint(tile, checkpoint++);
    write(tile, int32_t(listed));
  }

 private:
  void start(const Tile& tile) {
    for (int64_t c = 0; c < scene_.channels; ++c) std::fill_n(painted_[c], kTilePixels, T(0));
    std::fill_n(evaluated_, kTilePixels, 0);
    for (int pixel = 0; pixel < kTilePixels; ++pixel)
      transmittance_[pixel] = below_[pixel] = tile.contains(scene_, pixel) ? T(1) : T(0);
    finished_ = 0;
    for (int block = 0; block < 64; ++block)
      if (!tile.contains(scene_, block * kBlockPixels)) finished_ |= uint64_t(1) << block;
  }

  void paint_block(const TileStroke<T, D>& stroke, int block, int32_t evaluated) {
    bool finished = true;
    for_each_row(block, [&](int pixel) { finished = paint_row(stroke, pixel, evaluated) && finished; });
    if (finished) finished_ |= uint64_t(1) << block;
  }

  // True once none of the row's pixels needs another stroke.
  bool paint_row(const TileStroke<T, D>& stroke, int pixel, int32_t evaluated) {
    const V transmittance = V::load(transmittance_ + pixel), below = V::load(below_ + pixel);
    const auto closed = is_closed(transmittance, scene_.t_min);
    const auto finished = saving_ ? closed & is_closed(below, scene_.t_min) : closed;
    if (all(finished)) return true;

    const auto p = Tile::centers<V, T>(pixel);
    const Nearest<V> at = nearest(stroke.spine, p, stroke.feather / 2);
    const V covered = coverage(at.f, V(stroke.feather));
    if (!any(covered > V(0))) return false;
    const V alpha = opacity_at(scene_, stroke.opacity, at.t) * covered * texture_at(stroke, p, at.t);

    const V weight = select(closed, V(0), transmittance) * alpha;
    for (int64_t c = 0; c < scene_.channels; ++c) {
      T* painted = painted_[c] + pixel;
      (V::load(painted) + weight * color_at(scene_, stroke.color, c, at.t)).store(painted);
    }
    const V transmittance_after = select(closed, transmittance, attenuate(transmittance, alpha));
    transmittance_after.store(transmittance_ + pixel);
    const auto closed_after = is_closed(transmittance_after, scene_.t_min);
    if (!saving_) return all(closed_after);

    // The colour under the stroke that closed the pixel matters to that stroke's gradient: a second transmittance
    // starts at 1 just below it, and the pixel is finished when that is closed too.
    const V below_after = select(closed, attenuate(below, alpha), below);
    below_after.store(below_ + pixel);
    const auto finished_after = closed_after & is_closed(below_after, scene_.t_min);
    for (int i = 0; i < kLanes; ++i)
      if (finished_after.lanes[i] && !finished.lanes[i]) evaluated_[pixel + i] = evaluated;
    return all(finished_after);
  }

  int64_t plane() const { return scene_.height * scene_.width; }

  void write_checkpoint(const Tile& tile, int64_t index) const {
    T* plane_of = saved_.checkpoints + (tile.batch * (saved_.segments - 1) + index) * plane();
    tile.for_each_pixel(scene_, [&](int pixel, int64_t row, int64_t column) {
      const T transmittance = transmittance_[pixel];
      plane_of[row * scene_.width + column] = is_closed(transmittance, scene_.t_min) ? T(0) : transmittance;
    });
  }

  void write(const Tile& tile, int32_t listed) const {
    tile.for_each_pixel(scene_, [&](int pixel, int64_t row, int64_t column) {
      const int64_t at = row * scene_.width + column;
      for (int64_t c = 0; c < scene_.channels; ++c)
        image_[(tile.batch * scene_.channels + c) * plane() + at] =
            painted_[c][pixel] + transmittance_[pixel] * scene_.background(tile.batch, c, row, column);
      if (!saving_) return;
      saved_.transmittance[tile.batch * plane() + at] = transmittance_[pixel];
      saved_.evaluated[tile.batch * plane() + at] = evaluated_[pixel] != 0 ? evaluated_[pixel] : listed;
    });
  }

  const Scene<T>& scene_;
  const Bins& bins_;
  T* image_;
  const Saved<T>& saved_;
  const bool saving_;

  uint64_t finished_;  // blocks that need no more strokes
  alignas(64) T painted_[kMaxChannels][kTilePixels];
  alignas(64) T transmittance_[kTilePixels];  // stays as it is once the pixel is closed
  alignas(64) T below_[kTilePixels];          // of the strokes below the one that closed the pixel
  int32_t evaluated_[kTilePixels];            // strokes until the pixel was finished; 0 before
};

template <typename T, int D>
void paint_tiles(const Scene<T>& scene, T* image, const Saved<T>& saved) {
  const Bins bins = bin<D>(scene);
  for_each_unit(
      scene.tiles(), [&] { return std::make_unique<TilePainter<T, D>>(scene, bins, image, saved); },
      [](auto& painter, int64_t tile) { painter->paint(tile); });
}

std::tuple<Tensor, Tensor, Tensor, Tensor> paint_cpu(const Tensor& points, const Tensor& radius, const Tensor& color,
                                                     const Tensor& opacity, const Tensor& feather,
                                                     const std::optional<Tensor>& texture,
                                                     const std::optional<Tensor>& texture_id, const Tensor& background,
                                                     double t_min, int64_t segments) {
  const PaintInputs inputs{points, radius, color, opacity, feather, texture, texture_id, background};
  inputs.check();
  const int64_t b = inputs.batch(), h = inputs.height(), w = inputs.width();
  PaintInputs::check_range("segments", segments, 0, kMaxSegments);
  Tensor image = torch::stable::new_empty(background, {b, inputs.channels(), h, w});
  const bool save = segments > 0;
  const int64_t saved = save ? b : 0;
  Tensor transmittance = torch::stable::new_empty(background, {saved, h, w});
  Tensor checkpoints = torch::stable::new_empty(background, {saved, std::max(segments - 1, int64_t(0)), h, w});
  Tensor evaluated = torch::stable::new_empty(background, {saved, h, w}, torch::headeronly::ScalarType::Int);
  with_scene(inputs, t_min, [&]<typename T, int D>(const Scene<T>& scene) {
    const Saved<T> kept{save ? data<T>(transmittance) : nullptr, save ? data<T>(checkpoints) : nullptr,
                        save ? data<int32_t>(evaluated) : nullptr, std::max(segments, int64_t(1))};
    paint_tiles<T, D>(scene, data<T>(image), kept);
  });
  return {image, transmittance, checkpoints, evaluated};
}

}  // namespace
}  // namespace neural_paint

STABLE_TORCH_LIBRARY_IMPL(neural_paint, CPU, m) { m.impl("paint", TORCH_BOX(&neural_paint::paint_cpu)); }
