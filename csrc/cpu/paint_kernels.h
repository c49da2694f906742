// The kernels of `paint`, compiled by each instruction set's own file after it has chosen its instructions.
#pragma once

#include "../make_scene.h"
#include "paint_backward_tiles.h"
#include "paint_tiles.h"

NP_MATH_BEGIN

template <typename T>
void paint_forward(const PaintCall& call) {
  with_scene<T>(call.inputs, call.t_min, [&]<int D>(const Scene<T>& scene) {
    const bool saves = call.segments > 0;
    PaintOutputs& out = call.out;
    const Saved<T> saved{saves ? data<T>(out.transmittance) : nullptr, saves ? data<T>(out.checkpoints) : nullptr,
                         saves ? data<int32_t>(out.evaluated) : nullptr, std::max(call.segments, int64_t(1))};
    paint_tiles<T, D>(scene, data<T>(out.image), saved);
  });
}

template <typename T>
void paint_backward(const PaintBackwardCall& call) {
  with_scene<T>(call.inputs, call.t_min, [&]<int D>(const Scene<T>& scene) {
    const Incoming<T> incoming{view_of<T, 4>(call.grad), view_of<T, 3>(call.transmittance),
                               view_of<T, 4>(call.checkpoints), view_of<int32_t, 3>(call.evaluated),
                               call.checkpoints.size(1) + 1};
    PaintGradients& out = call.out;
    const StrokeOutputs<T, D> outputs{data<T>(out.points), data<T>(out.radius), data<T>(out.color),
                                      data<T>(out.opacity), data<T>(out.feather)};
    paint_backward_tiles<T, D>(scene, incoming, outputs, out.has_background ? data<T>(out.background) : nullptr,
                               out.has_texture ? data<T>(out.texture) : nullptr, out.texture.numel());
  });
}

NP_MATH_END
