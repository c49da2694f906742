// The kernels of `stroke_mask`, compiled by each instruction set's own file after it has chosen its instructions.
#pragma once

#include "../make_scene.h"
#include "../sigmoid.h"
#include "interleave.h"
#include "scene.h"

NP_MATH_BEGIN

// Least darkness that is stretched to a whole mask: DARKNESS_FLOOR of neural_paint/reference/patches.py.
constexpr double kDarknessFloor = 1e-4;

template <typename V>
struct Darkness {
  V value, fall;  // fall: by how much it falls as the number rises
};

// Of one channel's number: a stroke's value, or what sigmoid makes it of.
template <typename T, bool kLogits, typename V>
NP_HOST_DEVICE Darkness<V> darkness(V x) {
  if constexpr (kLogits) {
    const Sigmoid<V> paint = sigmoid<T>(V(0) - x);
    return {paint.value, paint.slope};
  } else {
    return {V(1) - x, V(1)};
  }
}

// W numbers `step` apart, of which the last are `past` where there are but `count`.
template <typename V, typename T>
NP_HOST_DEVICE V load_some(const T* from, int64_t step, int count, T past) {
  if (step == 1 && count == Lanes<V>::count) return V::load(from);
  alignas(64) T lanes[Lanes<V>::count];
  for (int i = 0; i < Lanes<V>::count; ++i) lanes[i] = i < count ? from[i * step] : past;
  return V::load(lanes);
}

template <typename V, typename T>
NP_HOST_DEVICE void store_some(V value, T* to, int64_t step, int count) {
  if (step == 1 && count == Lanes<V>::count) return value.store(to);
  alignas(64) T lanes[Lanes<V>::count];
  value.store(lanes);
  for (int i = 0; i < count; ++i) to[i * step] = lanes[i];
}

// Calls visit(row, column, count) for the pixels of a picture, W at a time, or as many as are left of a row.
template <int W, typename Visit>
NP_HOST_DEVICE void for_each_pack(int64_t rows, int64_t columns, Visit&& visit) {
  for (int64_t row = 0; row < rows; ++row) {
    int64_t column = 0;
    for (; column + W <= columns; column += W) visit(row, column, W);
    if (column < columns) visit(row, column, int(columns - column));
  }
}

// Strokes (N, C, h, w), and beside them (N, h, w): alpha, or its gradient.
template <typename T, bool kLogits>
class StrokeMasks {
  static constexpr int W = kLanes<T>;
  using V = Pack<T, W>;

 public:
  StrokeMasks(const torch::stable::Tensor& strokes, const torch::stable::Tensor& plane)
      : channels_(strokes.size(1)),
        rows_(strokes.size(2)),
        columns_(strokes.size(3)),
        strokes_(view_of<T, 4>(strokes)),
        plane_(view_of<T, 3>(plane)),
        interleaved_(channels_ == 3 && strokes_.strides[1] == 1 && strokes_.strides[3] == 3) {
    // Rows that lie behind each other are one long row.
    if (strokes_.row_step() != columns_ * strokes_.column_step()) return;
    if (plane_.row_step() != columns_ * plane_.column_step()) return;
    columns_ *= rows_;
    rows_ = 1;
  }

  // Of stroke n; `alpha` is contiguous.
  void forward(int64_t n, T* alpha, T& darkest, int64_t& place) const {
    const T* const stroke = &strokes_(n, 0, 0, 0);
    alpha += n * rows_ * columns_;
    V best(-std::numeric_limits<T>::infinity());
    auto is_number = best <= best;
    for_each_pack<W>(rows_, columns_, [&](int64_t row, int64_t column, int count) {
      const V total = total_darkness(stroke + row * strokes_.row_step() + column * strokes_.column_step(), count);
      best = maximum(total, best);
      is_number = is_number & (total <= total);
      store_some(total, alpha + row * columns_ + column, 1, count);
    });
    T most = best[0];
    for (int i = 1; i < W; ++i) most = std::max(most, best[i]);
    if (!all(is_number)) most = std::numeric_limits<T>::quiet_NaN();
    const T floor = T(kDarknessFloor * double(channels_));
    darkest = most < floor ? floor : most;
    divide(alpha, darkest, place);
  }

  // `channel_step` and `column_step` are those of `d_strokes`, whose rows and strokes lie behind each other.
  void backward(int64_t n, T darkest, int64_t place, T* d_strokes, int64_t channel_step, int64_t column_step) const {
    const T *const stroke = &strokes_(n, 0, 0, 0), *const grads = &plane_(n, 0, 0);
    d_strokes += n * channels_ * rows_ * columns_;
    V sum(0);  // of gradients times darkness
    for_each_pack<W>(rows_, columns_, [&](int64_t row, int64_t column, int count) {
      const T* const from = stroke + row * strokes_.row_step() + column * strokes_.column_step();
      T* const to = d_strokes + (row * columns_ + column) * column_step;
      const V grad = load_some<V>(grads + row * plane_.row_step() + column * plane_.column_step(), plane_.column_step(),
                                  count, T(0));
      sum += grad * pixels_backward(from, count, V(0) - grad / V(darkest), to, channel_step, column_step);
    });
    if (place < 0 || place >= rows_ * columns_) return;
    // What all pixels were divided by: the darkest pixel alone.
    const T d_darkest = sum.sum() / (darkest * darkest);
    const T* const from = stroke + place / columns_ * strokes_.row_step() + place % columns_ * strokes_.column_step();
    for (int64_t c = 0; c < channels_; ++c)
      d_strokes[place * column_step + c * channel_step] +=
          d_darkest * darkness<T, kLogits>(from[c * strokes_.strides[1]]).fall;
  }

 private:
  // From darkness to alpha, and the first pixel that is as dark as any; a white stroke has none.
  void divide(T* alpha, T darkest, int64_t& place) const {
    place = -1;
    for_each_pack<W>(1, rows_ * columns_, [&](int64_t, int64_t pixel, int count) {
      const V total = load_some<V>(alpha + pixel, 1, count, T(0));
      const auto is_darkest = V(darkest) <= total;
      if (place < 0 && any(is_darkest)) place = pixel + lowest_bit(bits(is_darkest));
      store_some(total / V(darkest), alpha + pixel, 1, count);
    });
  }

  // Darkness summed over the channels, of pixels in a row. Of those past the last, it is that of the last.
  NP_HOST_DEVICE V total_darkness(const T* from, int count) const {
    V total(0);
    if (interleaved_ && count == W) {
      V channels[3];
      load_interleaved(from, channels);
      for (int c = 0; c < 3; ++c) total += darkness<T, kLogits>(channels[c]).value;
      return total;
    }
    for (int64_t c = 0; c < channels_; ++c) total += darkness<T, kLogits>(load_channel(from, c, count)).value;
    return total;
  }

  // `d_numbers` would be the gradient of each channel's number if its darkness fell by 1 for 1. Returns the total.
  NP_HOST_DEVICE V pixels_backward(const T* from, int count, V d_numbers, T* to, int64_t channel_step,
                                   int64_t column_step) const {
    V total(0);
    if (interleaved_ && channel_step == 1 && count == W) {
      V channels[3];
      load_interleaved(from, channels);
      for (int c = 0; c < 3; ++c) {
        const Darkness<V> of = darkness<T, kLogits>(channels[c]);
        total += of.value;
        channels[c] = d_numbers * of.fall;
      }
      store_interleaved(channels, to);
      return total;
    }
    for (int64_t c = 0; c < channels_; ++c) {
      const Darkness<V> of = darkness<T, kLogits>(load_channel(from, c, count));
      total += of.value;
      store_some(d_numbers * of.fall, to + c * channel_step, column_step, count);
    }
    return total;
  }

  NP_HOST_DEVICE V load_channel(const T* from, int64_t c, int count) const {
    const T* const channel = from + c * strokes_.strides[1];
    const int64_t step = strokes_.column_step();
    return load_some<V>(channel, step, count, channel[(count - 1) * step]);
  }

  int64_t channels_, rows_, columns_;
  View<T, 4> strokes_;
  View<T, 3> plane_;
  bool interleaved_;
};

// Calls run(masks) with the kernels for logits, or for strokes as they are.
template <typename T, typename Run>
void with_masks(bool logits, const torch::stable::Tensor& strokes, const torch::stable::Tensor& plane, Run&& run) {
  logits ? run(StrokeMasks<T, true>(strokes, plane)) : run(StrokeMasks<T, false>(strokes, plane));
}

template <typename T>
void stroke_mask_forward(const MaskCall& call) {
  T *const alpha = data<T>(call.alpha), *const darkest = data<T>(call.darkest);
  int64_t* const place = data<int64_t>(call.place);
  with_masks<T>(call.logits, call.strokes, call.alpha, [&](const auto& masks) {
    for_each_unit(
        call.strokes.size(0), [] { return nullptr; },
        [&](std::nullptr_t, int64_t n) { masks.forward(n, alpha, darkest[n], place[n]); });
  });
}

template <typename T>
void stroke_mask_backward(const MaskBackwardCall& call) {
  const View<T, 1> darkest = view_of<T, 1>(call.darkest);
  const View<int64_t, 1> place = view_of<int64_t, 1>(call.place);
  T* const d_strokes = data<T>(call.d_strokes);
  const int64_t channel_step = call.d_strokes.stride(1), column_step = call.d_strokes.stride(3);
  with_masks<T>(call.logits, call.strokes, call.grad, [&](const auto& masks) {
    for_each_unit(
        call.strokes.size(0), [] { return nullptr; },
        [&](std::nullptr_t, int64_t n) {
          masks.backward(n, darkest(n), place(n), d_strokes, channel_step, column_step);
        });
  });
}

NP_MATH_END
