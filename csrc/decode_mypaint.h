// MyPaint's twelve actions made into a stroke that looks like its brush's: value and gradient.
#pragma once

#include "decode.h"

NP_MATH_BEGIN

// Side of MyPaint's canvas, in pixels, and what an entry of 1 is: pen pressure, logarithm of the radius.
constexpr double kMyPaintCanvas = 64, kMaxPressure = 0.8, kMaxLogRadius = 2;
// Scatter of its dabs, in radii at pressure 1.
constexpr double kScatter = 1.4;

// What both ends of a stroke follow from.
template <typename T>
struct PenStroke {
  T radius;                         // of the brush, in pixels
  T mean, pressure[2];              // of the pen; at the start and the end of the ramp that stands for it
  Vec2<T> control, end[2], middle;  // the point on the curve, its start and end, its middle control point
  T squared_length;
};

template <typename T>
NP_HOST_DEVICE PenStroke<T> pen_stroke(const T* vector, const DecodeTarget<T>& to) {
  PenStroke<T> s;
  s.radius = to.side / T(kMyPaintCanvas) * exponential(T(kMaxLogRadius) * vector[1]);
  s.mean = T(kMaxPressure / 2) * (vector[11] + vector[0]);
  const T change = T(kMaxPressure / 2) * to.brush.spread * (vector[0] - vector[11]);
  s.pressure[0] = s.mean - change, s.pressure[1] = s.mean + change;
  s.control = {to.width * vector[2], to.height * vector[3]};
  s.end[0] = {to.width * vector[9], to.height * vector[10]};
  s.end[1] = {to.width * vector[4], to.height * vector[5]};
  s.middle = {T(2) * s.control.x - T(0.5) * (s.end[0].x + s.end[1].x),
              T(2) * s.control.y - T(0.5) * (s.end[0].y + s.end[1].y)};
  s.squared_length = T(0);
  for (const Vec2<T>& end : s.end) {
    const Vec2<T> way{end.x - s.control.x, end.y - s.control.y};
    s.squared_length += T(2) * dot(way, way);
  }
  return s;
}

// Standard deviation of the ink across a stroke, in the brush's radii.
template <typename T>
NP_HOST_DEVICE T ink_width(T pressure, const PenBrush<T>& brush) {
  const T scatter = T(kScatter) * pressure;
  return square_root(brush.width * brush.width + scatter * scatter);
}

template <typename T>
NP_HOST_DEVICE void ink_width_backward(T grad, T pressure, T width, T& d_pressure) {
  d_pressure += grad * T(kScatter * kScatter) * pressure / width;
}

// Optical density of the ink on the path: that of a long line, and the share of it that a short one reaches.
template <typename T>
struct Density {
  T line, share, value;
};

template <typename T>
NP_HOST_DEVICE Density<T> density(T pressure, T width, const PenStroke<T>& s, const PenBrush<T>& brush) {
  const T pixels = s.radius * width;
  const T line = brush.density * (T(0.8) + T(0.2) * pressure) * pressure / width;
  const T share = s.squared_length / (s.squared_length + brush.dot * pixels * pixels);
  return {line, share, line * share};
}

template <typename T>
NP_HOST_DEVICE void decode_mypaint(const T* vector, const DecodeTarget<T>& to, T* stroke) {
  const PenStroke<T> s = pen_stroke(vector, to);
  for (int i = 0; i < 2; ++i) {
    const T width = ink_width(s.pressure[i], to.brush), pixels = s.radius * width;
    const T pull = to.brush.pull * pixels;
    const Vec2<T> way{s.middle.x - s.end[i].x, s.middle.y - s.end[i].y};
    const T share = pull / square_root(dot(way, way) + T(4) * pull * pull);
    stroke[4 * i] = s.end[i].x + share * way.x;
    stroke[4 * i + 1] = s.end[i].y + share * way.y;
    stroke[kRadius + i] = to.brush.radius * pixels;
    stroke[kOpacity + i] = T(1) - exponential(-density(s.pressure[i], width, s, to.brush).value);
  }
  stroke[2] = s.middle.x, stroke[3] = s.middle.y;
  copy(vector + 6, 3, stroke + kColor);
  stroke[kFeather] = to.brush.feather * s.radius * ink_width(s.mean, to.brush);
}

// Sums of what both ends add to.
template <typename T>
struct PenStrokeGradient {
  T radius, mean, pressure[2];
  Vec2<T> control, end[2], middle;
  T squared_length;
};

// From the gradient of a pulled end to those of the end, the middle control point, and the pull.
template <typename T>
NP_HOST_DEVICE T pull_backward(Vec2<T> grad, Vec2<T> end, Vec2<T> middle, T pull, Vec2<T>& d_end, Vec2<T>& d_middle) {
  const Vec2<T> way{middle.x - end.x, middle.y - end.y};
  const T squared = dot(way, way), inverse = T(1) / square_root(squared + T(4) * pull * pull);
  const T slope = dot(grad, way) * inverse * inverse * inverse;
  const Vec2<T> d_way{pull * (inverse * grad.x - slope * way.x), pull * (inverse * grad.y - slope * way.y)};
  d_end = {d_end.x + grad.x - d_way.x, d_end.y + grad.y - d_way.y};
  d_middle = {d_middle.x + d_way.x, d_middle.y + d_way.y};
  return slope * squared;
}

template <typename T>
NP_HOST_DEVICE void pen_end_backward(const PenStroke<T>& s, const PenBrush<T>& brush, const T* grad, int i,
                                     PenStrokeGradient<T>& d) {
  const T pressure = s.pressure[i], width = ink_width(pressure, brush), pixels = s.radius * width;
  const Density<T> ink = density(pressure, width, s, brush);
  const T d_density = grad[kOpacity + i] * exponential(-ink.value);
  const T pull = brush.pull * pixels;
  const T d_pull = pull_backward({grad[4 * i], grad[4 * i + 1]}, s.end[i], s.middle, pull, d.end[i], d.middle);
  // share = L / (L + dot * pixels^2), whose parts add up to 1.
  const T d_share = d_density * ink.line * (T(1) - ink.share);
  const T whole = s.squared_length + brush.dot * pixels * pixels;
  d.squared_length += d_share / whole;
  const T d_pixels = brush.radius * grad[kRadius + i] + brush.pull * d_pull -
                     T(2) * brush.dot * pixels * (s.squared_length / whole) * (d_density * ink.line / whole);
  d.radius += width * d_pixels;
  d.pressure[i] += d_density * ink.share * brush.density * (T(0.8) + T(0.4) * pressure) / width;
  ink_width_backward(s.radius * d_pixels - d_density * ink.value / width, pressure, width, d.pressure[i]);
}

template <typename T>
NP_HOST_DEVICE void decode_mypaint_backward(const T* vector, const DecodeTarget<T>& to, const T* grad, T* d_vector) {
  const PenStroke<T> s = pen_stroke(vector, to);
  PenStrokeGradient<T> d{};
  d.middle = {grad[2], grad[3]};
  for (int i = 0; i < 2; ++i) pen_end_backward(s, to.brush, grad, i, d);
  const T width = ink_width(s.mean, to.brush), d_feather = to.brush.feather * grad[kFeather];
  d.radius += d_feather * width;
  ink_width_backward(d_feather * s.radius, s.mean, width, d.mean);

  d.control = {T(2) * d.middle.x, T(2) * d.middle.y};
  for (int i = 0; i < 2; ++i) {
    const T weight = T(4) * d.squared_length;
    const Vec2<T> d_way{weight * (s.end[i].x - s.control.x), weight * (s.end[i].y - s.control.y)};
    d.end[i] = {d.end[i].x - T(0.5) * d.middle.x + d_way.x, d.end[i].y - T(0.5) * d.middle.y + d_way.y};
    d.control = {d.control.x - d_way.x, d.control.y - d_way.y};
  }
  const T d_mean = T(kMaxPressure / 2) * (d.mean + d.pressure[0] + d.pressure[1]);
  const T d_change = T(kMaxPressure / 2) * to.brush.spread * (d.pressure[1] - d.pressure[0]);
  d_vector[0] = d_mean + d_change;
  d_vector[11] = d_mean - d_change;
  d_vector[1] = T(kMaxLogRadius) * s.radius * d.radius;
  const Vec2<T> places[3] = {d.control, d.end[1], d.end[0]};
  const int first[3] = {2, 4, 9};
  for (int i = 0; i < 3; ++i) {
    d_vector[first[i]] = to.width * places[i].x;
    d_vector[first[i] + 1] = to.height * places[i].y;
  }
  copy(grad + kColor, 3, d_vector + 6);
}

NP_MATH_END
