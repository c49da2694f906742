// The forward pass of one tile: the top stroke first, each pixel until nothing below it shows.
#pragma once

#include "paint_layers.cuh"
#include "paint_square.cuh"

NP_MATH_BEGIN

constexpr int kForwardRoom = 256;

template <typename Block, typename T, int D>
struct ForwardShared {
  typename StrokeList<Block, Prepared<T, D>, kForwardRoom>::Shared list;
  SquareEntry<T> entries[kWarps][32];

  // Painted colours, channel by channel, lie behind it.
  NP_HOST_DEVICE T* painted() { return reinterpret_cast<T*>(this + 1); }
  static size_t bytes(int64_t channels) { return sizeof(ForwardShared) + channels * kTilePixels * sizeof(T); }
};

// The lane's two pixels of the square while the strokes of one part are painted.
template <typename Block, typename T, int D>
class ForwardPixels {
 public:
  NP_KERNEL_BODY ForwardPixels(Block& block, const Binned<T, D>& in, const Painted<T>& out, const Layers<T>& layers,
                               int part, const Square<T>& square, T* painted)
      : in_(in),
        out_(out),
        layers_(layers),
        part_(part),
        square_(square),
        painted_(painted + block.warp() * kSquarePixels + block.lane()) {
    if (out.evaluated != nullptr) {
      segment_ = segment_length(in.scene.strokes, out.segments);
      if (part > 0) saved_ = int32_t((uint32_t(layers.begin(part)) + uint32_t(segment_) - 1) / uint32_t(segment_)) - 1;
      next_ = saved_ < out.segments - 1 ? (saved_ + 1) * segment_ : kNever;
    }
    NP_UNROLL
    for (int i = 0; i < 2; ++i) {
      transmittance_[i] = below_[i] = T(square.holds(in, i));
      evaluated_[i] = static_cast<int32_t>(in.scene.strokes);
      NP_ROLL
      for (int64_t c = 0; c < in.scene.channels; ++c) painted_[c * kTilePixels + 32 * i] = T(0);
    }
  }

  NP_HOST_DEVICE bool is_finished(int i) const {
    const T closing = in_.scene.closing;
    return is_closed(pick(transmittance_, i), closing) &&
           (out_.evaluated == nullptr || is_closed(pick(below_, i), closing));
  }

  NP_HOST_DEVICE void paint(const SquareEntry<T>& entry) {
    const Scene<T>& scene = in_.scene;
    const Prepared<T, D>& prepared = in_.strokes[square_.batch * scene.strokes + entry.stroke];
    const int64_t k = scene.strokes - 1 - entry.stroke;  // counted from the top
    if (k >= next_) save_until(k);
    T weight[2] = {}, t[2] = {};
    NP_ROLL
    for (int i = 0; i < 2; ++i) {
      if (is_finished(i)) continue;
      const Touch<T> touched = square_.touch(in_, prepared, entry, i);
      if (!touched.any) continue;
      const T above = pick(transmittance_, i);
      if (!is_closed(above, scene.closing)) {
        put(weight, i, above * touched.alpha);
        put(t, i, touched.t);
        put(transmittance_, i, attenuate(above, touched.alpha));
      } else {
        const T below = attenuate(pick(below_, i), touched.alpha);
        put(below_, i, below);
        if (is_closed(below, scene.closing)) put(evaluated_, i, static_cast<int32_t>(k + 1));
      }
    }
    if (weight[0] == T(0) && weight[1] == T(0)) return;
    StrokeColor<T> color(scene, square_.batch, entry.stroke);
    T* painted = painted_;
    NP_ROLL
    for (int64_t c = 0; c < scene.channels; ++c, color.next(), painted += kTilePixels) {
      painted[0] += weight[0] * color.at(t[0]);
      painted[32] += weight[1] * color.at(t[1]);
    }
  }

  NP_HOST_DEVICE void write() {
    const Scene<T>& scene = in_.scene;
    save_until(part_ + 1 < layers_.count ? layers_.begin(part_ + 1) - 1 : kNever - 1);
    NP_UNROLL
    for (int i = 0; i < 2; ++i) {
      if (!square_.holds(in_, i)) continue;
      if (layers_.count > 1) {
        write_layer(i);
        continue;
      }
      NP_ROLL
      for (int64_t c = 0; c < scene.channels; ++c)
        out_.image[place(square_.batch * scene.channels + c, i)] =
            painted_[c * kTilePixels + 32 * i] +
            transmittance_[i] * scene.background(square_.batch, c, square_.row(i), square_.column());
      if (out_.evaluated == nullptr) continue;
      out_.transmittance[place(square_.batch, i)] = transmittance_[i];
      out_.evaluated[place(square_.batch, i)] = evaluated_[i];
    }
  }

 private:
  NP_HOST_DEVICE void write_layer(int i) {
    const int64_t channels = in_.scene.channels, y = square_.row(i), x = square_.column();
    NP_ROLL
    for (int64_t c = 0; c < channels; ++c)
      layers_.at(in_, part_, square_.batch, c, y, x) = painted_[c * kTilePixels + 32 * i];
    layers_.at(in_, part_, square_.batch, channels, y, x) = transmittance_[i];
    if (out_.evaluated == nullptr) return;
    layers_.at(in_, part_, square_.batch, channels + 1, y, x) = below_[i];
    layers_.evaluated_at(in_, part_, square_.batch, y, x) = evaluated_[i];
  }

  // Checkpoints of the segments that begin before stroke k.
  NP_HOST_DEVICE void save_until(int64_t k) {
    while (k >= next_) {
      NP_ROLL
      for (int i = 0; i < 2; ++i) {
        const T above = pick(transmittance_, i);
        if (square_.holds(in_, i))
          out_.checkpoints[place(square_.batch * (out_.segments - 1) + saved_, i)] =
              is_closed(above, in_.scene.closing) ? T(0) : above;
      }
      ++saved_;
      next_ = saved_ < out_.segments - 1 ? next_ + segment_ : kNever;
    }
  }

  NP_HOST_DEVICE int64_t place(int64_t plane, int i) const {
    return (plane * in_.scene.height + square_.row(i)) * in_.scene.width + square_.column();
  }

  const Binned<T, D>& in_;
  const Painted<T>& out_;
  const Layers<T>& layers_;
  const int part_;
  const Square<T>& square_;
  T* const painted_;  // of the lane's first pixel; of the other, 32 on
  T transmittance_[2];
  T below_[2];  // transmittance of the strokes below the one that closed the pixel
  int32_t evaluated_[2];
  // Checkpoints that are saved, the stroke that the next one is due before, and from one to the next.
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
  int32_t saved_ = 0;
  int64_t next_ = kNever, segment_ = 0;
};

// One block a part of a tile.
template <typename Block, typename T, int D>
NP_KERNEL_BODY void forward_body(Block& block, const Binned<T, D>& in, const Painted<T>& out, const Layers<T>& layers) {
  using List = StrokeList<Block, Prepared<T, D>, kForwardRoom>;
  auto& shared = *reinterpret_cast<ForwardShared<Block, T, D>*>(block.shared());
  const uint32_t index = uint32_t(block.index()), parts = uint32_t(layers.count);
  const Tile tile(in, index / parts);
  const int part = int(index % parts);
  const Square<T> square(block, tile);
  SquareEntry<T>* const entries = shared.entries[block.warp()];
  ForwardPixels<Block, T, D> pixels(block, in, out, layers, part, square, shared.painted());
  List list(in, tile, shared.list);
  const int64_t strokes = in.scene.strokes;
  list.restart(int32_t(strokes - layers.end(part, strokes)), int32_t(strokes - layers.begin(part)));
  bool finished = false;  // alike for all lanes of the warp
  while (const int hits = list.next(block)) {
    for (int first = 0; first < hits && !finished; first += 32) {
      const int i = first + block.lane();
      const int32_t stroke = i < hits ? shared.list.hits[i] : 0;
      const int touching = square.survey(block, in, stroke, i < hits, entries);
      for (int k = 0; k < touching; ++k) pixels.paint(entries[k]);
      finished = block.ballot(pixels.is_finished(0) && pixels.is_finished(1)) == ~0u;
    }
    if (!block.sync_or(!finished)) break;
  }
  pixels.write();
}

NP_MATH_END
