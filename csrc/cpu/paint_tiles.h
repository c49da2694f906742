// The forward pass of one tile: the top stroke first, each pixel until nothing below it shows.
#pragma once

#include "survey.h"

NP_MATH_BEGIN

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
  using V = Pack<T, kLanes<T>>;

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
      stroke_.load(scene_, tile, last[-k]);
      survey_.run(stroke_);
      for_each_block(survey_.reached & ~finished_, [&](int block) { paint_block(block, int32_t(k + 1)); });
    }
    while (saving_ && checkpoint < saved_.segments - 1) write_checkpoint(tile, checkpoint++);
    write(tile, int32_t(listed));
  }

 private:
  // What is kept of a block's pixels, side by side, so that one stroke's work on a block stays on few pages of memory.
  T* transmittance(int block) { return state_ + block * stride(); }
  T* below(int block) { return transmittance(block) + kBlockPixels; }

  void start(const Tile& tile) {
    finished_ = 0;
    for (int block = 0; block < 64; ++block) {
      std::fill_n(transmittance(block), 2 * kBlockPixels, T(1));
      std::fill_n(transmittance(block) + 2 * kBlockPixels, scene_.channels * kBlockPixels, T(0));
    }
    std::fill_n(evaluated_, kTilePixels, 0);
    if (tile.is_whole()) return;
    for (int block = 0; block < 64; ++block) {
      if (!tile.contains(block, 0)) finished_ |= uint64_t(1) << block;
      for (int i = 0; i < kBlockPixels; ++i)
        if (!tile.contains(block, i)) transmittance(block)[i] = below(block)[i] = T(0);
    }
  }

  void paint_block(int block, int32_t evaluated) {
    const uint32_t chords = survey_.smooth >> block & 1 ? 0 : candidate_chords(stroke_, block);
    bool finished = true;
    for (int first = 0; first < kBlockPixels; first += kLanes<T>)
      finished = paint_pack(block, first, chords, evaluated) && finished;
    if (finished) finished_ |= uint64_t(1) << block;
  }

  // True once none of the pack's pixels needs another stroke.
  NP_HOST_DEVICE bool paint_pack(int block, int first, uint32_t chords, int32_t evaluated) {
    T* const kept = transmittance(block) + first;
    const V transmittance = V::load(kept);
    const auto closed = is_closed(transmittance, scene_.closing);
    const bool any_closed = any(closed);
    if (any_closed && all(finished_pixels(closed, block, first))) return true;

    const Touch<V> touched = touch(scene_, stroke_, survey_, block, first, chords);
    if (!touched.any) return false;
    const V alpha = touched.alpha, weight = select(closed, V(0), transmittance) * alpha;
    for (int64_t c = 0; c < scene_.channels; ++c) {
      T* const painted = kept + (c + 2) * kBlockPixels;
      (V::load(painted) + weight * color_at(scene_, stroke_.color, c, touched.t)).store(painted);
    }
    const V after = select(closed, transmittance, attenuate(transmittance, alpha));
    after.store(kept);
    const auto closed_after = is_closed(after, scene_.closing);
    if (!saving_) return all(closed_after);
    return any_closed && finish_pixels(block, first, closed, alpha, evaluated);
  }

  // The colour under the stroke that closed a pixel matters to that stroke's gradient: a second transmittance starts at
  // 1 just below it, and the pixel is finished when that is closed too.
  NP_HOST_DEVICE auto finished_pixels(decltype(V() < V()) closed, int block, int first) {
    return saving_ ? closed & is_closed(V::load(below(block) + first), scene_.closing) : closed;
  }

  bool finish_pixels(int block, int first, decltype(V() < V()) closed, V alpha, int32_t evaluated) {
    const auto before = finished_pixels(closed, block, first);
    T* const kept = below(block) + first;
    const V below = V::load(kept);
    select(closed, attenuate(below, alpha), below).store(kept);
    const auto after = finished_pixels(closed, block, first);
    for (int i = 0; i < kLanes<T>; ++i)
      if (after[i] && !before[i]) evaluated_[block * kBlockPixels + first + i] = evaluated;
    return all(after);
  }

  int64_t stride() const { return (scene_.channels + 2) * kBlockPixels; }

  // Where the tile begins in a plane of the canvas's size, `index` planes on.
  int64_t corner(const Tile& tile, int64_t index) const {
    return (index * scene_.height + tile.y) * scene_.width + tile.x;
  }

  void write_checkpoint(const Tile& tile, int64_t index) {
    for (int block = 0; block < 64; ++block)
      for (int i = 0; i < kBlockPixels; ++i) {
        const T above = transmittance(block)[i];
        plane_[block * kBlockPixels + i] = is_closed(above, scene_.closing) ? T(0) : above;
      }
    T* checkpoint = saved_.checkpoints + corner(tile, tile.batch * (saved_.segments - 1) + index);
    tile.write(plane_, kBlockPixels, checkpoint, scene_.width);
  }

  void write(const Tile& tile, int32_t listed) {
    for (int64_t c = 0; c < scene_.channels; ++c) {
      tile.read(scene_.background, plane_, kBlockPixels, c);
      for (int pixel = 0; pixel < kTilePixels; pixel += kLanes<T>) {
        const T* above = transmittance(pixel / kBlockPixels) + pixel % kBlockPixels;
        (V::load(above + (c + 2) * kBlockPixels) + V::load(above) * V::load(plane_ + pixel)).store(plane_ + pixel);
      }
      tile.write(plane_, kBlockPixels, image_ + corner(tile, tile.batch * scene_.channels + c), scene_.width);
    }
    if (!saving_) return;
    tile.write(state_, stride(), saved_.transmittance + corner(tile, tile.batch), scene_.width);
    for (int32_t& evaluated : evaluated_) evaluated = evaluated != 0 ? evaluated : listed;
    tile.write(evaluated_, kBlockPixels, saved_.evaluated + corner(tile, tile.batch), scene_.width);
  }

  const Scene<T>& scene_;
  const Bins& bins_;
  T* image_;
  const Saved<T>& saved_;
  const bool saving_;

  TileStroke<T, D> stroke_;
  Survey<T, D> survey_;  // of that stroke
  uint64_t finished_;    // blocks that need no more strokes
  // Of each block: transmittance, which stays as it is once the pixel is closed; transmittance of the strokes below the
  // one that closed it; what is painted, channel by channel.
  alignas(64) T state_[(kMaxChannels + 2) * kTilePixels];
  alignas(64) T plane_[kTilePixels];
  int32_t evaluated_[kTilePixels];  // strokes until the pixel was finished; 0 before
};

template <typename T, int D>
void paint_tiles(const Scene<T>& scene, T* image, const Saved<T>& saved) {
  const Bins bins = bin<D>(scene);
  for_each_unit(
      tiles(scene), [&] { return std::make_unique<TilePainter<T, D>>(scene, bins, image, saved); },
      [](auto& painter, int64_t tile) { painter->paint(tile); });
}

NP_MATH_END
