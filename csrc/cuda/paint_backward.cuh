// The backward pass of one tile: segments from the last to the first; in each a warp goes down through its strokes for
// t* and the transmittance above, a chunk of them at a time, and up again with the colour below. Nothing is divided by
// 1 - alpha.
#pragma once

#include "paint_forward.cuh"
#include "paint_gradient.cuh"

NP_MATH_BEGIN

// Strokes of a tile that are in hand at a time, strokes of a square that are kept evaluated, and as many chunks as
// these may be. So, a block takes 46 KB of shared memory (float, 3 channels): two of them go on a multiprocessor with
// 100 KB, four on one with 228 KB.
constexpr int kBackwardRoom = 64;
constexpr int kChunk = 8;
constexpr int kChunks = kBackwardRoom / kChunk;

// Values of t of a stroke at a pixel that are none: it is covered whole by a stroke that does not vary, or not at all.
constexpr int kInside = 2, kUntouched = 3;

template <typename T>
struct SquareShared {
  SquareEntry<T> entries[kBackwardRoom];  // of the strokes in the tile's list those that may touch the square
  T above_chunk[kChunks][kSquarePixels];
  T t[kChunk][kSquarePixels], alpha[kChunk][kSquarePixels], above[kChunk][kSquarePixels];
};

template <typename Block, typename T, int D>
struct BackwardShared {
  typename StrokeList<Block, Prepared<T, D>, kBackwardRoom>::Shared list;
  SquareShared<T> squares[kWarps];
  int32_t deepest[kWarps];

  // Channel by channel: the incoming gradient, and behind it the colour below the stroke at hand.
  NP_HOST_DEVICE T* colors() { return reinterpret_cast<T*>(this + 1); }
  static size_t bytes(int64_t channels) { return sizeof(BackwardShared) + 2 * channels * kTilePixels * sizeof(T); }
};

// What the backward pass makes.
template <typename T, int D>
struct Gradients {
  FieldGradients<T, D> fields;
  T* background;  // (B, C, H, W); null: not wanted
};

// A warp's square in the backward pass.
template <typename Block, typename T, int D>
class SquareBackward {
 public:
  NP_KERNEL_BODY SquareBackward(Block& block, const Binned<T, D>& in, const Incoming<T>& incoming,
                                const Layers<T>& layers, int part, const Gradients<T, D>& out, const Tile& tile,
                                const int32_t* hits, SquareShared<T>& shared, T* colors)
      : block_(block),
        in_(in),
        incoming_(incoming),
        layers_(layers),
        part_(part),
        out_(out),
        square_(block, tile),
        hits_(hits),
        shared_(shared),
        grad_(colors + block.warp() * kSquarePixels + block.lane()) {
    NP_ROLL
    for (int i = 0; i < 2; ++i) {
      const bool holds = square_.holds(in_, i);
      const int64_t b = square_.batch, y = square_.row(i), x = square_.column();
      put(evaluated_, i, holds ? incoming.evaluated(b, y, x) : 0);
      const bool writes = holds && part == 0 && out.background != nullptr;
      const T shown = writes ? incoming.transmittance(b, y, x) : T(0);
      NP_ROLL
      for (int64_t c = 0; c < in.scene.channels; ++c) {
        const T grad = holds ? incoming.grad(b, c, y, x) : T(0);
        grad_[c * kTilePixels + 32 * i] = grad;
        below(c, i) = holds ? layers.below(in, part, b, c, y, x) : T(0);
        if (writes)
          out.background[((b * in.scene.channels + c) * in.scene.height + y) * in.scene.width + x] = shown * grad;
      }
    }
  }

  // Strokes, from the top, that matter to some pixel of the square.
  NP_KERNEL_BODY int32_t deepest() {
    int32_t most = evaluated_[0] > evaluated_[1] ? evaluated_[0] : evaluated_[1];
    for (int mask = 16; mask >= 1; mask /= 2) {
      const int32_t other = block_.shuffle_xor(most, mask);
      most = most > other ? most : other;
    }
    return most;
  }

  // The transmittance above stroke `begin`, counted from the top, which begins a segment or the part.
  NP_HOST_DEVICE void load_checkpoint(int64_t begin, int segment) {
    NP_ROLL
    for (int i = 0; i < 2; ++i) {
      T above(0);
      const int64_t b = square_.batch, y = square_.row(i), x = square_.column();
      if (square_.holds(in_, i))
        above = begin == layers_.begin(part_) ? layers_.above(in_, part_, b, y, x)
                                              : incoming_.checkpoints(b, segment - 1, y, x);
      put(above_, i, above);
    }
  }

  // Down through the first `hits` of the tile's list, those that may touch the square; and, if asked for, `up` again.
  // The lowest chunk is still in hand then, the others are evaluated once more.
  NP_KERNEL_BODY void pass(int hits, bool up) {
    list_mine(hits);
    const int chunks = (mine_ + kChunk - 1) / kChunk, steps = up ? 2 * chunks - 1 : chunks;
    for (int step = 0; step < steps; ++step) {
      const bool down = step < chunks;
      const int chunk = down ? step : 2 * chunks - 2 - step;
      NP_UNROLL
      for (int i = 0; i < 2; ++i) {
        T& above = shared_.above_chunk[chunk][block_.lane() + 32 * i];
        if (down) above = above_[i];
        above_[i] = above;
      }
      evaluate(chunk);
      if (!up || step < chunks - 1) continue;
      for (int slot = size_of(chunk) - 1; slot >= 0; --slot)
        composite(slot, shared_.entries[chunk * kChunk + slot].stroke);
    }
  }

 private:
  NP_KERNEL_BODY void list_mine(int hits) {
    mine_ = 0;
    for (int first = 0; first < hits; first += 32) {
      const int i = first + block_.lane();
      mine_ += square_.survey(block_, in_, i < hits ? hits_[i] : 0, i < hits, shared_.entries + mine_);
    }
  }

  NP_HOST_DEVICE int size_of(int chunk) const {
    const int left = mine_ - chunk * kChunk;
    return left < kChunk ? left : kChunk;
  }

  NP_KERNEL_BODY void evaluate(int chunk) {
    const int size = size_of(chunk), lane = block_.lane();
    NP_ROLL
    for (int slot = 0; slot < size; ++slot) {
      const SquareEntry<T>& entry = shared_.entries[chunk * kChunk + slot];
      const Prepared<T, D>& prepared = stroke(entry.stroke);
      const int64_t k = in_.scene.strokes - 1 - entry.stroke;
      NP_ROLL
      for (int i = 0; i < 2; ++i) {
        const int place = lane + 32 * i;
        T t(kUntouched);
        if (k < pick(evaluated_, i)) {
          const Touch<T> touched = square_.touch(in_, prepared, entry, i);
          if (touched.any) {
            t = entry.inside && !prepared.stroke.varies ? T(kInside) : touched.t;
            const T above = pick(above_, i), after = attenuate(above, touched.alpha);
            shared_.alpha[slot][place] = touched.alpha;
            shared_.above[slot][place] = above;
            put(above_, i, is_closed(after, in_.scene.closing) ? T(0) : after);
          }
        }
        shared_.t[slot][place] = t;
      }
    }
  }

  NP_KERNEL_BODY void composite(int slot, int32_t n) {
    const Prepared<T, D>& prepared = stroke(n);
    SquareGradient<Block, T, D> sums;
    bool touched = false;
    NP_ROLL
    for (int i = 0; i < 2; ++i) {
      const int place = block_.lane() + 32 * i;
      T& above = shared_.above[slot][place];  // and then what is shown
      if (shared_.t[slot][place] == T(kUntouched)) {
        above = T(0);
      } else {
        above = composite_pixel(prepared, n, i, shared_.t[slot][place], shared_.alpha[slot][place], above, sums);
        touched = true;
      }
    }
    if (block_.ballot(touched) != 0)
      sums.write(block_, out_.fields, square_.batch * in_.scene.strokes + n, prepared.stroke.inverse_feather, grad_,
                 &shared_.t[slot][block_.lane()], &shared_.above[slot][block_.lane()]);
  }

  // One stroke less; how much of it shows.
  NP_HOST_DEVICE T composite_pixel(const Prepared<T, D>& prepared, int32_t n, int i, T kept, T alpha, T above,
                                   SquareGradient<Block, T, D>& sums) {
    const Scene<T>& scene = in_.scene;
    const Stroke<T, D>& stroke = prepared.stroke;
    const Vec2<T> p = square_.center(prepared, i);
    const bool inside = kept == T(kInside);
    const T t = inside ? T(0) : kept;
    const T shown = above * alpha;
    T towards(0), d_t(0);  // how much more of this stroke would do: d_alpha over the transmittance above
    StrokeColor<T> stroke_color(scene, square_.batch, n);
    NP_ROLL
    for (int64_t c = 0; c < scene.channels; ++c, stroke_color.next()) {
      T& below = this->below(c, i);
      const T color = stroke_color.at(t), grad = grad_[c * kTilePixels + 32 * i];
      towards += over_d_alpha(grad, below, color);
      d_t += stroke_color.increase() * (grad * shown);
      below = over(below, color, alpha);
    }
    const T f = inside ? T(-1) / stroke.inverse_feather : f_at(stroke, p, t);
    shape_backward(scene, stroke, p, t, f, above * towards, d_t, sums.shape, [&](int64_t texel, T value) {
      out_.fields.add_texel(block_, stroke.texture_index * stroke.texture.height * stroke.texture.width + texel, value);
    });
    return shown;
  }

  // F at t*.
  NP_HOST_DEVICE static T f_at(const Stroke<T, D>& stroke, Vec2<T> p, T t) {
    const Spine<T, D>& spine = stroke.search.spine;
    const Vec2<T> q = position(spine, t), w{q.x - p.x, q.y - p.y};
    return square_root(dot(w, w) + T(kDistanceEpsilon * kDistanceEpsilon)) - (spine.radius + t * spine.radius_increase);
  }

  NP_HOST_DEVICE T& below(int64_t c, int i) const { return grad_[(in_.scene.channels + c) * kTilePixels + 32 * i]; }

  NP_HOST_DEVICE const Prepared<T, D>& stroke(int32_t n) const {
    return in_.strokes[square_.batch * in_.scene.strokes + n];
  }

  Block& block_;
  const Binned<T, D>& in_;
  const Incoming<T>& incoming_;
  const Layers<T>& layers_;
  const int part_;
  const Gradients<T, D>& out_;
  const Square<T> square_;
  const int32_t* const hits_;
  SquareShared<T>& shared_;
  T* const grad_;  // of the lane's first pixel; of the other, 32 on
  int32_t evaluated_[2] = {};
  T above_[2] = {};  // transmittance above the stroke at hand, 0 once the pixel is closed
  int mine_ = 0;
};

// One block a part of a tile.
template <typename Block, typename T, int D>
NP_KERNEL_BODY void backward_body(Block& block, const Binned<T, D>& in, const Incoming<T>& incoming,
                                  const Layers<T>& layers, const Gradients<T, D>& out) {
  using List = StrokeList<Block, Prepared<T, D>, kBackwardRoom>;
  auto& shared = *reinterpret_cast<BackwardShared<Block, T, D>*>(block.shared());
  const uint32_t index = uint32_t(block.index()), parts = uint32_t(layers.count);
  const Tile tile(in, index / parts);
  const int part = int(index % parts);
  SquareBackward<Block, T, D> square(block, in, incoming, layers, part, out, tile, shared.list.hits,
                                     shared.squares[block.warp()], shared.colors());
  const int32_t of_square = square.deepest();
  if (block.lane() == 0) shared.deepest[block.warp()] = of_square;
  block.sync();
  int32_t deepest = 0;
  for (int warp = 0; warp < kWarps; ++warp) deepest = shared.deepest[warp] > deepest ? shared.deepest[warp] : deepest;

  const int32_t strokes = int32_t(in.scene.strokes);
  const int32_t length = int32_t(segment_length(strokes, incoming.segments));
  const int32_t part_begin = int32_t(layers.begin(part));
  const int32_t part_end = int32_t(minimum(layers.end(part, strokes), int64_t(deepest)));
  List list(in, tile, shared.list);
  for (int32_t end = part_end, begin; end > part_begin; end = begin) {
    const int segment = (end - 1) / length;
    begin = segment * length > part_begin ? segment * length : part_begin;
    // The list of the segment's strokes may come in several pieces: the lowest is done first, after a way down through
    // those above it. How many there are is known when the first is the only one, or after they have been counted.
    int piece = 0;
    bool counted = false;
    do {
      list.restart(strokes - end, strokes - begin);
      square.load_checkpoint(begin, segment);
      int i = 0;
      for (;; ++i) {
        const int hits = list.next(block);
        const bool done = list.is_done();
        counted |= i == 0 && done;
        if (counted) square.pass(hits, i == piece);
        if (counted ? i == piece : done) break;
      }
      piece = counted ? piece - 1 : i;
      counted = true;
    } while (piece >= 0);
  }
}

NP_MATH_END
