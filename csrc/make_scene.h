// From guarded tensors to a Scene.
#pragma once

#include "inputs.h"
#include "over.h"
#include "scene.h"

NP_MATH_BEGIN

template <typename T, int R>
View<T, R> view_of(const torch::stable::Tensor& tensor) {
  View<T, R> view;
  view.data = static_cast<const T*>(tensor.const_data_ptr());
  for (int i = 0; i < R; ++i) view.strides[i] = tensor.stride(i);
  return view;
}

// Calls body.operator()<D>(scene) for the number of control points at hand.
template <typename T, typename F>
void with_scene(const PaintInputs& in, double t_min, F&& body) {
  Scene<T> scene;
  scene.batch = in.batch();
  scene.strokes = in.strokes();
  scene.channels = in.channels();
  scene.height = in.height();
  scene.width = in.width();
  scene.color_ends = int(in.color.size(2));
  scene.opacity_ends = int(in.opacity.size(2));
  scene.closing = closing_transmittance(T(t_min));
  scene.points = view_of<T, 4>(in.points);
  scene.radius = view_of<T, 3>(in.radius);
  scene.color = view_of<T, 4>(in.color);
  scene.opacity = view_of<T, 3>(in.opacity);
  scene.feather = view_of<T, 2>(in.feather);
  scene.background = view_of<T, 4>(in.background);
  std::optional<torch::stable::Tensor> texture;  // outlives the call
  if (in.texture.has_value()) {
    texture = torch::stable::contiguous(*in.texture);
    scene.textures = texture->size(0);
    scene.first_texture = {static_cast<const T*>(texture->const_data_ptr()), texture->size(1), texture->size(2)};
    scene.texture_id = view_of<int64_t, 2>(*in.texture_id);
  }
  switch (in.points.size(2)) {
    case 1:
      return body.template operator()<1>(scene);
    case 2:
      return body.template operator()<2>(scene);
    case 3:
      return body.template operator()<3>(scene);
    default:
      return body.template operator()<4>(scene);
  }
}

NP_MATH_END
