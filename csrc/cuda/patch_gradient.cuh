// The gradient of one patch: from what the two pixels of a lane make of it to the sum over a square, added to its
// place.
#pragma once

#include "gradient_sums.cuh"
#include "patch_square.cuh"

NP_MATH_BEGIN

// Gradients of the patches' fields, contiguous. The numbers of a patch's are counted one after the other: transform,
// opacity, color. Null where there is none.
template <typename T>
struct PatchFields {
  T *transform = nullptr, *opacity = nullptr, *color = nullptr;
  int channels = 0;  // of `color`

  static constexpr int opacity_at = 6, color_at = 7;
  NP_HOST_DEVICE int size() const { return color_at + channels; }
  NP_HOST_DEVICE T* at(int64_t n, int i) const {
    if (i < opacity_at) return transform + n * opacity_at + i;
    if (i < color_at) return opacity == nullptr ? nullptr : opacity + n;
    return color + n * channels + i - color_at;
  }
};

template <typename T>
using PatchSums = GradientSums<T, PatchFields<T>>;

// The gradient of one patch from the lane's two pixels, and then from all of the square.
template <typename Block, typename T>
class PatchGradient {
  using Out = PatchSums<T>;
  static constexpr int kValues = 8;

 public:
  PlaceGradient<T> place = {};
  T opacity = T(0);

  // d is the gradient of the sample's place.
  NP_HOST_DEVICE void add_place(Vec2<T> d, Vec2<T> at) {
    place.sum.x += d.x;
    place.sum.y += d.y;
    place.x_by_place.x += d.x * at.x;
    place.x_by_place.y += d.x * at.y;
    place.y_by_place.x += d.y * at.x;
    place.y_by_place.y += d.y * at.y;
  }

  // `grad` and `shown`, the transmittance above times alpha, are those of the lane's first pixel; of the other, 32 on.
  NP_KERNEL_BODY void write(Block& block, const Out& out, int64_t n, const Placed<T>& placed, const T* grad,
                            const T* shown) const {
    const Affine<T> map = place_backward(placed, place);
    const T own[Out::color_at] = {map.xx, map.xy, map.x, map.yx, map.yy, map.y, opacity};
    NP_ROLL
    for (int first = 0; first < out.size(); first += kValues) {
      T values[kValues];
      NP_UNROLL
      for (int i = 0; i < kValues; ++i) values[i] = value(out, own, first, i, grad, shown);
      const T sum = sum_transposed<kValues>(block, values);
      const int i = first + block.lane() * kValues / 32;
      if (block.lane() % (32 / kValues) == 0 && i < out.size()) out.add(block, n, i, sum);
    }
  }

 private:
  // Number first + i of the lane's gradient. Indices into `own` are known to the compiler: all of it is in registers.
  NP_HOST_DEVICE static T value(const Out& out, const T (&own)[Out::color_at], int first, int i, const T* grad,
                                const T* shown) {
    if (first == 0 && i < Out::color_at) return own[i < Out::color_at ? i : 0];
    const int c = first + i - Out::color_at;
    return c < out.channels ? grad[c * kTilePixels] * shown[0] + grad[c * kTilePixels + 32] * shown[32] : T(0);
  }
};

NP_MATH_END
