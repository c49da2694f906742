// The backward pass of one tile: front to back in chunks for alpha, t* and the transmittance above, then back to front
// with the colour below. Nothing is divided by 1 - alpha.
#pragma once

#include "survey.h"

NP_MATH_BEGIN

// What the forward pass saved, and the incoming gradient.
template <typename T>
struct Incoming {
  View<T, 4> grad;  // (B, C, H, W)
  View<T, 3> transmittance;
  View<T, 4> checkpoints;  // (B, segments - 1, H, W)
  View<int32_t, 3> evaluated;
  int64_t segments;
};

// Gradients of one stroke, in one tile (V a pack of pixels) or in all (V a number).
template <typename V, int D>
struct StrokeGradient {
  Vec2<V> points[D];
  V radius[2];
  V feather;
  V opacity[2];
  V color[2][kMaxChannels];
};

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
    int64_t index, first_entry, end_entry;
  };

 public:
  TileGradient(const Scene<T>& scene, const Bins& bins, const Incoming<T>& incoming, T* partials, T* d_background)
      : scene_(scene),
        bins_(bins),
        incoming_(incoming),
        layout_{scene.channels, scene.color_ends, scene.opacity_ends},
        partials_(partials),
        d_background_(d_background) {}

  // `d_texture` is this group's sum, or null.
  void run(int64_t index, T* d_texture) {
    const Tile tile(scene_, index);
    d_texture_ = d_texture;
    load(tile);
    listed_ = bins_.offsets[index + 1] - bins_.offsets[index];
    last_ = bins_.strokes.data() + bins_.offsets[index] + listed_ - 1;
    for (int block = 0; block < 64; ++block) {
      const int32_t* evaluated = evaluated_ + block * kBlockPixels;
      shallowest_[block] = *std::min_element(evaluated, evaluated + kBlockPixels);
      deepest_[block] = *std::max_element(evaluated, evaluated + kBlockPixels);
    }
    const int64_t deepest = *std::max_element(deepest_, deepest_ + 64);
    const int64_t segment = segment_length(listed_, incoming_.segments);
    for (int64_t s = ceil_div(deepest, segment) - 1; s >= 0; --s) run_segment(tile, s, segment, deepest);
  }

 private:
  void load(const Tile& tile) {
    std::fill_n(evaluated_, kTilePixels, 0);
    for (int64_t c = 0; c < scene_.channels; ++c) {
      std::fill_n(grad_[c], kTilePixels, T(0));
      std::fill_n(below_[c], kTilePixels, T(0));
    }
    const int64_t plane = scene_.height * scene_.width, step = incoming_.grad.strides[3];
    const int64_t background_step = scene_.background.strides[3];
    tile.for_each_run(scene_, [&](int pixel, int64_t row, int64_t column, int count) {
      T transmittance[kBlock];
      for (int i = 0; i < count; ++i) {
        evaluated_[pixel + i] = incoming_.evaluated(tile.batch, row, column + i);
        transmittance[i] = incoming_.transmittance(tile.batch, row, column + i);
      }
      for (int64_t c = 0; c < scene_.channels; ++c) {
        const T* grad = &incoming_.grad(tile.batch, c, row, column);
        const T* background = &scene_.background(tile.batch, c, row, column);
        T* d_background = d_background_ + (tile.batch * scene_.channels + c) * plane + row * scene_.width + column;
        for (int i = 0; i < count; ++i) {
          grad_[c][pixel + i] = grad[i * step];
          below_[c][pixel + i] = background[i * background_step];
          d_background[i] = transmittance[i] * grad[i * step];
        }
      }
    });
  }

  // Chunks of the segment from the last to the first, each from the transmittance above it: the first chunk's was
  // saved, the others' are replayed.
  void run_segment(const Tile& tile, int64_t s, int64_t length, int64_t deepest) {
    const int64_t begin = s * length, end = std::min(begin + length, deepest);
    const int64_t chunks = ceil_div(end - begin, kChunk);
    load_checkpoint(tile, s);
    above_chunk_.resize(chunks * kTilePixels);
    for (int64_t c = 0; c < chunks; ++c) {
      std::copy_n(above_, kTilePixels, above_chunk_.data() + c * kTilePixels);
      if (c + 1 < chunks) evaluate(tile, begin + c * kChunk, begin + (c + 1) * kChunk);
    }
    for (int64_t c = chunks - 1; c >= 0; --c) {
      std::copy_n(above_chunk_.data() + c * kTilePixels, kTilePixels, above_);
      evaluate(tile, begin + c * kChunk, std::min(begin + (c + 1) * kChunk, end));
      for (auto it = chunk_.rbegin(); it != chunk_.rend(); ++it) composite(tile, *it);
    }
  }

  void load_checkpoint(const Tile& tile, int64_t s) {
    std::fill_n(above_, kTilePixels, T(0));
    tile.for_each_run(scene_, [&](int pixel, int64_t row, int64_t column, int count) {
      for (int i = 0; i < count; ++i)
        above_[pixel + i] = s == 0 ? T(1) : incoming_.checkpoints(tile.batch, s - 1, row, column + i);
    });
  }

  // First sweep: strokes [begin, end) of the list, from the top, into chunk_ and entries_.
  void evaluate(const Tile& tile, int64_t begin, int64_t end) {
    chunk_.clear();
    entries_.clear();
    for (int64_t k = begin; k < end; ++k) {
      Evaluated& evaluated = chunk_.emplace_back();
      evaluated.stroke.load(scene_, tile, last_[-k]);
      evaluated.index = last_[-k];
      evaluated.first_entry = int64_t(entries_.size());
      survey_.run(evaluated.stroke);
      for_each_block(survey_.reached, [&](int block) { evaluate_block(evaluated.stroke, block, k); });
      evaluated.end_entry = int64_t(entries_.size());
      if (evaluated.end_entry == evaluated.first_entry) chunk_.pop_back();
    }
  }

  void evaluate_block(const TileStroke<T, D>& stroke, int block, int64_t k) {
    if (deepest_[block] <= k) return;
    const uint32_t chords = survey_.smooth >> block & 1 ? 0 : candidate_chords(stroke, block);
    Entry& entry = entries_.emplace_back();
    entry.block = block;
    bool touched = false;
    for (int first = 0; first < kBlockPixels; first += kLanes<T>)
      touched = evaluate_pack(stroke, entry, first, chords, k) || touched;
    if (!touched) entries_.pop_back();
  }

  NP_HOST_DEVICE bool evaluate_pack(const TileStroke<T, D>& stroke, Entry& entry, int first, uint32_t chords,
                                    int64_t k) {
    const int pixel = entry.block * kBlockPixels + first;
    const Touch<V> touched = touch(scene_, stroke, survey_, entry.block, first, chords);
    V alpha = touched.alpha;
    V above = V::load(above_ + pixel);
    if (k >= shallowest_[pixel / kBlockPixels]) {
      // The forward pass was done with some of these pixels before it came to this stroke.
      T counts[kLanes<T>];
      for (int i = 0; i < kLanes<T>; ++i) counts[i] = k < evaluated_[pixel + i] ? T(1) : T(0);
      const auto counted = V::load(counts) > V(0);
      alpha = select(counted, alpha, V(0));
      above = select(counted, above, V(0));
    }
    const V after = attenuate(above, alpha);
    select(is_closed(after, scene_.closing), V(0), after).store(above_ + pixel);
    touched.t.store(entry.t + first);
    touched.f.store(entry.f + first);
    alpha.store(entry.alpha + first);
    above.store(entry.above + first);
    return touched.any;
  }

  // Second sweep: one stroke, and the colour below moves up to include it.
  void composite(const Tile& tile, const Evaluated& evaluated) {
    StrokeGradient<V, D> gradient{};
    for (int64_t i = evaluated.first_entry; i < evaluated.end_entry; ++i)
      for (int first = 0; first < kBlockPixels; first += kLanes<T>)
        composite_pack(evaluated.stroke, entries_[i], first, gradient);
    write_partial(tile, evaluated.index, gradient);
  }

  NP_HOST_DEVICE void composite_pack(const TileStroke<T, D>& stroke, const Entry& entry, int first,
                                     StrokeGradient<V, D>& sum) {
    const int pixel = entry.block * kBlockPixels + first;
    const V t = V::load(entry.t + first), f = V::load(entry.f + first);
    const V alpha = V::load(entry.alpha + first), above = V::load(entry.above + first);
    V d_alpha(0), d_t(0);
    for (int64_t c = 0; c < scene_.channels; ++c) {
      T* below = below_[c] + pixel;
      const V color = color_at(scene_, stroke.color, c, t), under = V::load(below);
      const V weight = above * V::load(grad_[c] + pixel);
      d_alpha += over_d_alpha(weight, under, color);
      add_ramp(weight * alpha, t, scene_.color_ends, stroke.color[0][c], stroke.color[1][c], sum.color[0][c],
               sum.color[1][c], d_t);
      over(under, color, alpha).store(below);
    }
    shape_backward(stroke, centers<T>(entry.block, first), t, f, d_alpha, d_t, sum);
  }

  // Gradient of ramp(): both ends, and t where there are two.
  static NP_HOST_DEVICE void add_ramp(V grad, V t, int ends, T start, T end, V& d_start, V& d_end, V& d_t) {
    if (ends == 1) {
      d_start += grad;
      return;
    }
    const V at_end = t * grad;
    d_start += grad - at_end;
    d_end += at_end;
    d_t += V(end - start) * grad;
  }

  // From alpha and what hangs on t* down to opacity, feather, texture, radius and control points.
  NP_HOST_DEVICE void shape_backward(const TileStroke<T, D>& stroke, Vec2<V> p, V t, V f, V d_alpha, V d_t,
                                     StrokeGradient<V, D>& sum) {
    const V inverse_feather(stroke.inverse_feather);
    const V covered = coverage(f, inverse_feather);
    const V opacity = opacity_at(scene_, stroke.opacity, t);
    SpineGradient<V> spine{};
    V texture(1);
    if (stroke.texture != nullptr) texture = texture_backward(stroke, p, t, d_alpha * opacity * covered, d_t, spine);
    add_ramp(d_alpha * covered * texture, t, scene_.opacity_ends, stroke.opacity[0], stroke.opacity[1], sum.opacity[0],
             sum.opacity[1], d_t);
    const auto d_coverage = coverage_backward(d_alpha * opacity * texture, f, inverse_feather);
    sum.feather += d_coverage.feather;
    // Inside a stroke nothing but what varies along it feels its shape.
    if (!stroke.varies && !any((d_coverage.f < V(0)) | (d_coverage.f > V(0)))) return;
    const Frame<V> frame = frame_at(stroke.search.spine, p, t);
    distance_backward(frame, t, d_coverage.f, spine);
    if (stroke.varies && D > 1) parameter_backward(frame, t, d_t, spine);
    add_to_points<D>(spine, t, sum.points);
    for (int e = 0; e < 2; ++e) sum.radius[e] += spine.radius[e];
  }

  // Texels and brush position, pixel by pixel: neighbours may share a texel. Returns the texture's factor in alpha.
  V texture_backward(const TileStroke<T, D>& stroke, Vec2<V> p, V t, V grad, V& d_t, SpineGradient<V>& sum) {
    // As numbers, lane by lane: factor, d_t, and the gradients of q, q' and both radii.
    T factor[kLanes<T>], values[7][kLanes<T>] = {};
    for (int i = 0; i < kLanes<T>; ++i) {
      BrushPosition<T> where;
      const Bilinear<T> texel = sample_stroke(stroke, Vec2<T>{p.x[i], p.y[i]}, t[i], where);
      factor[i] = texel.value;
      if (grad[i] == T(0)) continue;
      for (int k = 0; d_texture_ != nullptr && k < 4; ++k)
        d_texture_[stroke.texture_index * stroke.texture->height * stroke.texture->width + texel.index[k]] +=
            texel.weight[k] * grad[i];
      const T d_u = grad[i] * texel.d_column * T(stroke.texture->width);
      const T d_v = grad[i] * texel.d_row * T(stroke.texture->height) / 2;
      SpineGradient<T> lane{};
      brush_position_backward(where, t[i], d_u, d_v, lane);
      const T row[7] = {d_u * where.u_t + d_v * where.v_t,
                        lane.position.x,
                        lane.position.y,
                        lane.velocity.x,
                        lane.velocity.y,
                        lane.radius[0],
                        lane.radius[1]};
      for (int k = 0; k < 7; ++k) values[k][i] = row[k];
    }
    V* const into[7] = {&d_t,           &sum.position.x, &sum.position.y, &sum.velocity.x, &sum.velocity.y,
                        &sum.radius[0], &sum.radius[1]};
    for (int k = 0; k < 7; ++k) *into[k] += V::load(values[k]);
    return V::load(factor);
  }

  void write_partial(const Tile& tile, int64_t n, const StrokeGradient<V, D>& gradient) {
    const TileRange& range = bins_.ranges[tile.batch * scene_.strokes + n];
    T* partial = partials_ + range.slot(tile.x / kTile, tile.y / kTile) * layout_.size();
    for (int i = 0; i < D; ++i) {
      partial[2 * i] = gradient.points[i].x.sum();
      partial[2 * i + 1] = gradient.points[i].y.sum();
    }
    for (int e = 0; e < 2; ++e) partial[layout_.radius + e] = gradient.radius[e].sum();
    partial[layout_.feather] = gradient.feather.sum();
    for (int e = 0; e < scene_.opacity_ends; ++e) partial[layout_.opacity + e] = gradient.opacity[e].sum();
    for (int e = 0; e < scene_.color_ends; ++e)
      for (int64_t c = 0; c < scene_.channels; ++c)
        partial[layout_.color() + e * scene_.channels + c] = gradient.color[e][c].sum();
  }

  const Scene<T>& scene_;
  const Bins& bins_;
  const Incoming<T>& incoming_;
  const Layout<D> layout_;
  T* partials_;
  T* d_background_;
  T* d_texture_ = nullptr;

  int64_t listed_ = 0;
  const int32_t* last_ = nullptr;  // the top stroke; the list goes down from it
  Survey<T, D> survey_;            // of the stroke at hand
  std::vector<Evaluated> chunk_;
  std::vector<Entry> entries_;
  std::vector<T> above_chunk_;  // transmittance above each chunk of the segment
  int32_t evaluated_[kTilePixels];
  int32_t shallowest_[64], deepest_[64];  // least and greatest of evaluated_ in each block
  alignas(64) T above_[kTilePixels];      // transmittance of the strokes above; 0 once the pixel is closed
  alignas(64) T grad_[kMaxChannels][kTilePixels];
  alignas(64) T below_[kMaxChannels][kTilePixels];  // colour below the stroke at hand
};

NP_MATH_END
