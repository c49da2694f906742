// Compositing of one stroke over one channel of one pixel.
#pragma once

#include "portable.h"

namespace neural_paint {

// Exact at alpha 0 and 1; dst + alpha (src - dst) is not.
template <typename V>
NP_HOST_DEVICE V over(V dst, V src, V alpha) {
  return (V(1) - alpha) * dst + alpha * src;
}

// Transmittance of the strokes above, after one more of them. The image is final where this closes the pixel.
template <typename V>
NP_HOST_DEVICE V attenuate(V transmittance, V alpha) {
  return transmittance * (V(1) - alpha);
}

// A pixel is closed when nothing below shows: exactly at T = 0, and by the caller's choice below t_min. |T|, because an
// opacity above 1, evaluated literally, makes T negative.
template <typename V, typename T>
NP_HOST_DEVICE auto is_closed(V transmittance, T t_min) {
  return (absolute(transmittance) < V(t_min)) | (transmittance == V(0));
}

// d_alpha of a stroke of colour `src` over `dst`, the colour below it; `weight` is the incoming gradient times the
// transmittance above. Nothing is divided by 1 - alpha, so opaque strokes have exact gradients.
template <typename V>
NP_HOST_DEVICE V over_d_alpha(V weight, V dst, V src) {
  return weight * (src - dst);
}

}  // namespace neural_paint
