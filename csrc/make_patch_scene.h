// From guarded tensors to a PatchScene.
#pragma once

#include "make_scene.h"
#include "patch_inputs.h"
#include "patch_scene.h"

NP_MATH_BEGIN

template <typename T>
PatchScene<T> make_patch_scene(const PatchInputs& in) {
  PatchScene<T> scene;
  scene.batch = in.batch();
  scene.count = in.count();
  scene.channels = in.channels();
  scene.height = in.background.size(2);
  scene.width = in.background.size(3);
  scene.planes = in.planes();
  scene.patch_height = int32_t(in.patches.size(-2));
  scene.patch_width = int32_t(in.patches.size(-1));
  scene.background = view_of<T, 4>(in.background);
  if (in.background.size(0) != in.batch()) scene.background.strides[0] = 0;
  scene.transform = view_of<T, 4>(in.transform);
  scene.shared = -1;
  if (in.is_shared()) {
    const View<T, 4> patches = view_of<T, 4>(in.patches);
    scene.shared = in.patches.size(0);
    scene.patches.data = patches.data;
    for (int i = 0; i < 4; ++i) scene.patches.strides[i + 1] = patches.strides[i];
    scene.patch_id = view_of<int64_t, 2>(*in.patch_id);
  } else {
    scene.patches = view_of<T, 5>(in.patches);
  }
  if (in.color.has_value()) scene.color = view_of<T, 3>(*in.color);
  scene.has_opacity = in.opacity.has_value();
  if (scene.has_opacity) scene.opacity = view_of<T, 2>(*in.opacity);
  return scene;
}

NP_MATH_END
