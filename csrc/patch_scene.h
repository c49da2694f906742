// The inputs of `composite_patches` as every kernel sees them.
#pragma once

#include "patch.h"
#include "scene.h"

NP_MATH_BEGIN

template <typename T>
struct PatchScene {
  int64_t batch, count, channels, height, width;  // canvases, patches on each
  int64_t planes;                                 // of a patch: 1, alpha; or C + 1, colour and alpha
  int32_t patch_height, patch_width;
  int64_t shared;  // patches that all canvases share, by id; negative: each has its own
  View<T, 4> background;
  View<T, 5> patches;  // (B, N, planes, h, w), or (1, K, planes, h, w)
  View<int64_t, 2> patch_id;
  View<T, 4> transform;  // (B, N, 2, 3)
  View<T, 3> color;      // where planes == 1
  bool has_opacity;
  View<T, 2> opacity;

  NP_HOST_DEVICE Affine<T> map(int64_t b, int64_t n) const {
    return {transform(b, n, 0, 0), transform(b, n, 0, 1), transform(b, n, 0, 2),
            transform(b, n, 1, 0), transform(b, n, 1, 1), transform(b, n, 1, 2)};
  }
};

// One patch, as seen from an origin of whole pixels.
template <typename T>
struct Patch {
  Placed<T> placed;
  T opacity;
  int64_t index;              // of its texels: of all patches of all canvases, or of the shared ones
  const T* texels = nullptr;  // of the first plane
  Vec2<T> shift;              // of its map

  NP_HOST_DEVICE bool is_shown() const { return texels != nullptr; }

  // False if it is culled.
  NP_HOST_DEVICE bool load(const PatchScene<T>& scene, int64_t b, int64_t n, T x, T y) {
    const Affine<T> map = scene.map(b, n);
    shift = {map.x, map.y};
    if (!place(placed, map, x, y)) return false;
    opacity = scene.has_opacity ? scene.opacity(b, n) : T(1);
    T poison = T(0) * opacity;  // 0 * x is 0 for finite x and NaN otherwise
    if (scene.planes == 1)
      for (int64_t c = 0; c < scene.channels; ++c) poison += T(0) * scene.color(b, n, c);
    if (!(poison == T(0))) return false;
    if (scene.shared < 0) {
      index = b * scene.count + n;
      texels = &scene.patches(b, n, 0, 0, 0);
      return true;
    }
    index = scene.patch_id(b, n);
    if (index < 0 || index >= scene.shared) return false;
    texels = &scene.patches(0, index, 0, 0, 0);
    return true;
  }
};

NP_MATH_END
