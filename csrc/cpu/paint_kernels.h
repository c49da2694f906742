// The kernels of `paint`, compiled by each instruction set's own file after it has chosen its instructions.
#pragma once

#include "../make_scene.h"
#include "paint_backward_tiles.h"
#include "paint_tiles.h"

NP_MATH_BEGIN

template <typename T>
void paint_forward(const ForwardCall& call) {
  with_scene<T>(call.inputs, call.t_min, [&]<int D>(const Scene<T>& scene) {
    const bool save = call.segments > 0;
    const Saved<T> saved{save ? data<T>(call.transmittance) : nullptr, save ? data<T>(call.checkpoints) : nullptr,
                         save ? data<int32_t>(call.evaluated) : nullptr, std::max(call.segments, int64_t(1))};
    paint_tiles<T, D>(scene, data<T>(call.image), saved);
  });
}

template <typename T>
void paint_backward(const BackwardCall& call) {
  with_scene<T>(call.inputs, call.t_min, [&]<int D>(const Scene<T>& scene) {
    const Incoming<T> incoming{view_of<T, 4>(call.grad), view_of<T, 3>(call.transmittance),
                               view_of<T, 4>(call.checkpoints), view_of<int32_t, 3>(call.evaluated),
                               call.checkpoints.size(1) + 1};
    const StrokeOutputs<T, D> outputs{data<T>(call.d_points), data<T>(call.d_radius), data<T>(call.d_color),
                                      data<T>(call.d_opacity), data<T>(call.d_feather)};
    T* d_texture = call.d_texture == nullptr ? nullptr : data<T>(*call.d_texture);
    T* d_background = call.d_background == nullptr ? nullptr : data<T>(*call.d_background);
    paint_backward_tiles<T, D>(scene, incoming, outputs, d_background, d_texture,
                               call.d_texture == nullptr ? 0 : call.d_texture->numel());
  });
}

NP_MATH_END
