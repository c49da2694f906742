// The backward pass of one tile: front to back in chunks for alpha, t* and the transmittance above, then back to front
// with the colour below. Nothing is divided by 1 - alpha.
#pragma once

#include "survey.h"

NP_MATH_BEGIN

// Places of a stroke's gradients in a flat row of numbers.
template <int D>
struct Layout {
  int64_t channels;
  int color_ends, opacity_ends;

  static constexpr int64_t radius = 2 * D, feather = radius + 2, opacity = feather + 1;
  int64_t color() const { return opacity + opacity_ends; }
  int64_t size() const { return color() + color_ends * channels; }
};

template <typename T, int D>
class TileGradient {
  using V = Pack<T, kLanes<T>>;

  // One stroke on one block, kept between the two sweeps of a chunk.
  struct Entry {
    int block;
    alignas(64) T t[kBlockPixels], f[kBlockPixels], alpha[kBlockPixels], above[kBlockPixels];
  };
  struct Evaluated {
    TileStroke<T, D> stroke;
    int64_t place, first_entry, end_entry;  // place in the tile's list
  };

 public:
  // `d_background` is null where it is not wanted.
  TileGradient(const Scene<T>& scene, const Bins& bins, const Incoming<T>& incoming, T* d_background)
      : scene_(scene),
        bins_(bins),
        incoming_(incoming),
        layout_{scene.channels, scene.color_ends, scene.opacity_ends},
        d_background_(d_background),
        texels_(scene.first_texture.height * scene.first_texture.width) {}

  // `partials` are those of the strokes in the tile's list, `d_texture` is this group's sum, or null.
  void run(int64_t index, T* partials, T* d_texture) {
    const Tile tile(scene_, index);
    partials_ = partials;
    d_texture_ = d_texture;
    list_ = bins_.strokes.data() + bins_.offsets[index];
    listed_ = bins_.offsets[index + 1] - bins_.offsets[index];
    std::fill_n(partials, listed_ * layout_.size(), T(0));
    load(tile);
    for (int block = 0; block < 64; ++block) {
      const int32_t* evaluated = evaluated_ + block * kBlockPixels;
      int32_t least = evaluated[0], greatest = evaluated[0];
      for (int i = 1; i < kBlockPixels; ++i) {
        least = std::min(least, evaluated[i]);
        greatest = std::max(greatest, evaluated[i]);
      }
      shallowest_[block] = least;
      deepest_[block] = greatest;
    }
    const int64_t deepest = *std::max_element(deepest_, deepest_ + 64);
    const int64_t segment = segment_length(listed_, incoming_.segments);
    for (int64_t s = ceil_div(deepest, segment) - 1; s >= 0; --s) run_segment(tile, s, segment, deepest);
  }

 private:
  void load(const Tile& tile) {
    if (!tile.is_whole()) {
      std::fill_n(state_, 64 * stride(), T(0));
      std::fill_n(evaluated_, kTilePixels, 0);
    }
    tile.read(incoming_.evaluated, evaluated_, kBlockPixels);
    for (int64_t c = 0; c < scene_.channels; ++c) {
      tile.read(incoming_.grad, grad(0, c), stride(), c);
      tile.read(scene_.background, below(0, c), stride(), c);
    }
    if (d_background_ == nullptr) return;
    tile.read(incoming_.transmittance, above(0), stride());
    for (int64_t c = 0; c < scene_.channels; ++c) {
      for (int pixel = 0; pixel < kTilePixels; pixel += kLanes<T>) {
        const int block = pixel / kBlockPixels, first = pixel % kBlockPixels;
        (V::load(above(block) + first) * V::load(grad(block, c) + first)).store(plane_ + pixel);
      }
      tile.write(plane_, kBlockPixels, d_background_ + corner(tile, c), scene_.width);
    }
  }

  // Where the tile begins in a channel of d_background_.
  int64_t corner(const Tile& tile, int64_t channel) const {
    return ((tile.batch * scene_.channels + channel) * scene_.height + tile.y) * scene_.width + tile.x;
  }

  // What is kept of a block's pixels, side by side: transmittance of the strokes above, 0 once the pixel is closed;
  // then, channel by channel, the incoming gradient and the colour below the stroke at hand.
  int64_t stride() const { return (2 * scene_.channels + 1) * kBlockPixels; }
  T* above(int block) { return state_ + block * stride(); }
  T* grad(int block, int64_t channel) { return above(block) + (2 * channel + 1) * kBlockPixels; }
  T* below(int block, int64_t channel) { return grad(block, channel) + kBlockPixels; }

  // Chunks of the segment from the last to the first, each from the transmittance above it: the first chunk's was
  // saved, the others' are replayed.
  void run_segment(const Tile& tile, int64_t s, int64_t length, int64_t deepest) {
    const int64_t begin = s * length, end = std::min(begin + length, deepest);
    const int64_t chunks = ceil_div(end - begin, kChunk);
    load_checkpoint(tile, s);
    above_chunk_.resize(chunks * kTilePixels);
    for (int64_t c = 0; c < chunks; ++c) {
      for (int block = 0; block < 64; ++block)
        std::copy_n(above(block), kBlockPixels, &above_chunk_[c * kTilePixels + block * kBlockPixels]);
      if (c + 1 < chunks) evaluate(tile, begin + c * kChunk, begin + (c + 1) * kChunk);
    }
    for (int64_t c = chunks - 1; c >= 0; --c) {
      for (int block = 0; block < 64; ++block)
        std::copy_n(&above_chunk_[c * kTilePixels + block * kBlockPixels], kBlockPixels, above(block));
      evaluate(tile, begin + c * kChunk, std::min(begin + (c + 1) * kChunk, end));
      for (auto it = chunk_.rbegin(); it != chunk_.rend(); ++it) composite(*it);
    }
  }

  void load_checkpoint(const Tile& tile, int64_t s) {
    for (int block = 0; block < 64; ++block) std::fill_n(above(block), kBlockPixels, T(s == 0 ? 1 : 0));
    if (s == 0) return;
    tile.read(incoming_.checkpoints, above(0), stride(), s - 1);
  }

  // First sweep: strokes [begin, end) of the list, from the top, into chunk_ and entries_.
  void evaluate(const Tile& tile, int64_t begin, int64_t end) {
    chunk_.clear();
    entries_end_ = 0;
    for (int64_t k = begin; k < end; ++k) {
      Evaluated& evaluated = chunk_.emplace_back();
      evaluated.place = listed_ - 1 - k;
      evaluated.stroke.load(scene_, tile, list_[evaluated.place]);
      evaluated.first_entry = entries_end_;
      survey_.run(evaluated.stroke);
      for_each_block(survey_.reached, [&](int block) { evaluate_block(evaluated.stroke, block, k); });
      evaluated.end_entry = entries_end_;
      if (evaluated.end_entry == evaluated.first_entry) chunk_.pop_back();
    }
  }

  void evaluate_block(const TileStroke<T, D>& stroke, int block, int64_t k) {
    if (deepest_[block] <= k) return;
    const uint32_t chords = survey_.smooth >> block & 1 ? 0 : candidate_chords(stroke, block);
    Entry& entry = entries_[entries_end_];
    entry.block = block;
    bool touched = false;
    for (int first = 0; first < kBlockPixels; first += kLanes<T>)
      touched = evaluate_pack(stroke, entry, first, chords, k) || touched;
    if (touched) ++entries_end_;
  }

  NP_HOST_DEVICE bool evaluate_pack(const TileStroke<T, D>& stroke, Entry& entry, int first, uint32_t chords,
                                    int64_t k) {
    const int pixel = entry.block * kBlockPixels + first;
    const Touch<V> touched = touch(scene_, stroke, survey_, entry.block, first, chords);
    V alpha = touched.alpha;
    T* const kept = above(entry.block) + first;
    V above = V::load(kept);
    if (k >= shallowest_[entry.block]) {
      // The forward pass was done with some of these pixels before it came to this stroke.
      T counts[kLanes<T>];
      for (int i = 0; i < kLanes<T>; ++i) counts[i] = k < evaluated_[pixel + i] ? T(1) : T(0);
      const auto counted = V::load(counts) > V(0);
      alpha = select(counted, alpha, V(0));
      above = select(counted, above, V(0));
    }
    const V after = attenuate(above, alpha);
    select(is_closed(after, scene_.closing), V(0), after).store(kept);
    touched.t.store(entry.t + first);
    touched.f.store(entry.f + first);
    alpha.store(entry.alpha + first);
    above.store(entry.above + first);
    return touched.any;
  }

  // Second sweep: one stroke, and the colour below moves up to include it.
  void composite(const Evaluated& evaluated) {
    ShapeGradient<V, D> sums;
    for (int64_t c = 0; c < scene_.channels; ++c) d_color_[c] = {V(0), V(0)};
    for (int64_t i = evaluated.first_entry; i < evaluated.end_entry; ++i)
      for (int first = 0; first < kBlockPixels; first += kLanes<T>)
        composite_pack(evaluated.stroke, entries_[i], first, sums);
    write_partial(evaluated, sums);
  }

  NP_HOST_DEVICE void composite_pack(const TileStroke<T, D>& stroke, const Entry& entry, int first,
                                     ShapeGradient<V, D>& sums) {
    const V t = V::load(entry.t + first), f = V::load(entry.f + first);
    const V alpha = V::load(entry.alpha + first), above = V::load(entry.above + first);
    const V shown = above * alpha;
    V towards(0), d_t(0);  // how much more of this stroke would do: d_alpha over the transmittance above
    for (int64_t c = 0; c < scene_.channels; ++c) {
      T* const below = this->below(entry.block, c) + first;
      const V color = color_at(scene_, stroke.color, c, t), under = V::load(below);
      const V grad = V::load(this->grad(entry.block, c) + first);
      towards += over_d_alpha(grad, under, color);
      d_color_[c].add(grad * shown, t, scene_.color_ends == 2);
      if (scene_.color_ends == 2) d_t += V(stroke.color[1][c] - stroke.color[0][c]) * (grad * shown);
      over(under, color, alpha).store(below);
    }
    shape_backward(scene_, stroke, centers<T>(entry.block, first), t, f, above * towards, d_t, sums,
                   [&](int64_t texel, T value) {
                     if (d_texture_ != nullptr) d_texture_[stroke.texture_index * texels_ + texel] += value;
                   });
  }

  void write_partial(const Evaluated& evaluated, const ShapeGradient<V, D>& sums) {
    T* partial = partials_ + evaluated.place * layout_.size();
    SpineGradient<T, D> d_spine;
    for (int k = 0; k < D; ++k)
      d_spine.coefficient[k] = {sums.spine.coefficient[k].x.sum(), sums.spine.coefficient[k].y.sum()};
    d_spine.radius = sums.spine.radius.sum();
    d_spine.radius_increase = sums.spine.radius_increase.sum();
    Vec2<T> d_points[D];
    T d_radius[2];
    make_spine_backward(d_spine, d_points, d_radius);
    for (int i = 0; i < D; ++i) partial[2 * i] = d_points[i].x, partial[2 * i + 1] = d_points[i].y;
    std::copy_n(d_radius, 2, partial + layout_.radius);
    partial[layout_.feather] = -evaluated.stroke.inverse_feather * sums.feather.sum();
    const auto write_ramp = [](const RampGradient<V>& gradient, int ends, T* to, int64_t step) {
      to[0] = gradient.whole.sum();
      if (ends == 1) return;
      to[step] = gradient.end.sum();
      to[0] -= to[step];
    };
    write_ramp(sums.opacity, scene_.opacity_ends, partial + layout_.opacity, 1);
    for (int64_t c = 0; c < scene_.channels; ++c)
      write_ramp(d_color_[c], scene_.color_ends, partial + layout_.color() + c, scene_.channels);
  }

  const Scene<T>& scene_;
  const Bins& bins_;
  const Incoming<T>& incoming_;
  const Layout<D> layout_;
  T* d_background_;
  T* partials_ = nullptr;
  T* d_texture_ = nullptr;
  const int64_t texels_;  // of each texture

  int64_t listed_ = 0;
  const int32_t* list_ = nullptr;  // the top stroke is the last
  Survey<T, D> survey_;            // of the stroke at hand
  std::vector<Evaluated> chunk_;
  std::unique_ptr<Entry[]> entries_{new Entry[kChunk * 64]};  // not a vector: it would fill each with zeros first
  int64_t entries_end_ = 0;
  std::vector<T> above_chunk_;             // transmittance above each chunk of the segment
  RampGradient<V> d_color_[kMaxChannels];  // of the stroke at hand, in this tile
  int32_t evaluated_[kTilePixels];
  int32_t shallowest_[64], deepest_[64];  // least and greatest of evaluated_ in each block
  alignas(64) T state_[(2 * kMaxChannels + 1) * kTilePixels];
  alignas(64) T plane_[kTilePixels];
};

NP_MATH_END
