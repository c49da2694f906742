// Compositing of one stroke over one channel of one pixel.
#pragma once

#include "portable.h"

NP_MATH_BEGIN

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

// The greatest |T| of a closed pixel, under which nothing shows: 0, or by the caller's choice all that is below t_min.
template <typename T>
NP_HOST_DEVICE T closing_transmittance(T t_min) {
  return t_min > T(0) ? nextafter(t_min, T(0)) : T(0);
}

// |T|, because an opacity above 1, evaluated literally, makes T negative.
template <typename V, typename T>
NP_HOST_DEVICE auto is_closed(V transmittance, T closing) {
  return absolute(transmittance) <= V(closing);
}

// d_alpha of a stroke of colour `src` over `dst`, the colour below it; `weight` is the incoming gradient times the
// transmittance above. Nothing is divided by 1 - alpha, so opaque strokes have exact gradients.
template <typename V>
NP_HOST_DEVICE V over_d_alpha(V weight, V dst, V src) {
  return weight * (src - dst);
}

NP_MATH_END
