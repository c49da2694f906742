// A published stroke vector made into the numbers of one stroke, and its gradient: constants, and what kinds share.
//
// Unlike the math of a pixel this runs once a stroke, and may call exp, sin and cos. docs/decode_strokes.md says what
// each entry means; neural_paint/stroke_vectors.py has the same kinds.
#pragma once

#include "portable.h"

NP_MATH_BEGIN

enum VectorKind { kMyPaint, kLearningToPaint, kSnpMarker, kSnpOil, kPaintTransformer, kVectorKinds };
// Entries of a vector, and numbers of a stroke, by kind.
constexpr int kVectorEntries[kVectorKinds] = {12, 13, 12, 12, 8};
constexpr int kStrokeNumbers[kVectorKinds] = {14, 14, 14, 12, 9};

// Where the fields of a curve begin, after three points; and the colours of a bitmap, after its map (A, t) by rows.
constexpr int kRadius = 6, kColor = 8, kOpacity = 11, kFeather = 13;
constexpr int kBitmapColor = 6;

// Side of the canvas on which Learning to Paint draws discs, in pixels.
constexpr double kDiscCanvas = 256;
// Largest radius of it and of Stylized Neural Painting's marker, as a share of the canvas's side.
constexpr double kMaxRadius = 0.25;
// Width of a soft edge whose profile has the variance of a pixel's box, in pixels: the square root of 5/3.
constexpr double kPixelEdge = 1.2909944487358056;
constexpr double kPi = 3.14159265358979323846;

// Constants of MyPaint's brush in the order of MyPaintBrush in neural_paint/stroke_vectors.py, which explains them.
template <typename T>
struct PenBrush {
  T spread, width, density, radius, feather, pull, dot;
};
constexpr int64_t kBrushConstants = 7;

// What vectors are decoded for; `side` is the square root of the area. Lengths are in pixels.
template <typename T>
struct DecodeTarget {
  T width, height, side;
  PenBrush<T> brush;
};

// place -> gain * place + offset, along one axis.
template <typename T>
struct Axis {
  T gain, offset;
};

template <typename T>
NP_HOST_DEVICE void copy(const T* from, int count, T* to) {
  for (int i = 0; i < count; ++i) to[i] = from[i];
}

// One axis of a curve whose middle control point is given from its start to its end. `entry` has the three of them two
// apart, as `point` has.
template <typename T>
NP_HOST_DEVICE void relative_curve(const T* entry, Axis<T> axis, T* point) {
  const T start = entry[0], middle = entry[2], end = entry[4];
  point[0] = axis.gain * start + axis.offset;
  point[2] = axis.gain * (start + (end - start) * middle) + axis.offset;
  point[4] = axis.gain * end + axis.offset;
}

template <typename T>
NP_HOST_DEVICE void relative_curve_backward(const T* entry, Axis<T> axis, const T* grad, T* d_entry) {
  const T start = entry[0], middle = entry[2], end = entry[4];
  d_entry[0] = axis.gain * (grad[0] + grad[2] * (T(1) - middle));
  d_entry[2] = axis.gain * grad[2] * (end - start);
  d_entry[4] = axis.gain * (grad[4] + grad[2] * middle);
}

template <typename T>
NP_HOST_DEVICE Axis<T> disc_axis(T pixels) {
  return {pixels * T((kDiscCanvas - 1) / kDiscCanvas), pixels * T(0.5 / kDiscCanvas)};
}

// Its x is the row, and its first entry.
template <typename T>
NP_HOST_DEVICE void decode_learning_to_paint(const T* vector, const DecodeTarget<T>& to, T* stroke) {
  relative_curve(vector, disc_axis(to.height), stroke + 1);
  relative_curve(vector + 1, disc_axis(to.width), stroke);
  for (int end = 0; end < 2; ++end) {
    stroke[kRadius + end] = to.side * (T(1 / kDiscCanvas) + T(kMaxRadius) * vector[6 + end]);
    stroke[kOpacity + end] = vector[8 + end];
  }
  copy(vector + 10, 3, stroke + kColor);
  stroke[kFeather] = T(kPixelEdge);
}

template <typename T>
NP_HOST_DEVICE void decode_learning_to_paint_backward(const T* vector, const DecodeTarget<T>& to, const T* grad,
                                                      T* d_vector) {
  relative_curve_backward(vector, disc_axis(to.height), grad + 1, d_vector);
  relative_curve_backward(vector + 1, disc_axis(to.width), grad, d_vector + 1);
  for (int end = 0; end < 2; ++end) {
    d_vector[6 + end] = to.side * T(kMaxRadius) * grad[kRadius + end];
    d_vector[8 + end] = grad[kOpacity + end];
  }
  copy(grad + kColor, 3, d_vector + 10);
}

// Entry 7, a second radius, is not used by its renderer.
template <typename T>
NP_HOST_DEVICE void decode_snp_marker(const T* vector, const DecodeTarget<T>& to, T* stroke) {
  relative_curve(vector, {to.width - T(1), T(0.5)}, stroke);
  relative_curve(vector + 1, {to.height - T(1), T(0.5)}, stroke + 1);
  for (int end = 0; end < 2; ++end) {
    stroke[kRadius + end] = T(1) + T(kMaxRadius) * to.side * vector[6];
    stroke[kOpacity + end] = vector[11];
  }
  copy(vector + 8, 3, stroke + kColor);
  stroke[kFeather] = T(kPixelEdge);
}

template <typename T>
NP_HOST_DEVICE void decode_snp_marker_backward(const T* vector, const DecodeTarget<T>& to, const T* grad, T* d_vector) {
  relative_curve_backward(vector, {to.width - T(1), T(0.5)}, grad, d_vector);
  relative_curve_backward(vector + 1, {to.height - T(1), T(0.5)}, grad + 1, d_vector + 1);
  d_vector[6] = T(kMaxRadius) * to.side * (grad[kRadius] + grad[kRadius + 1]);
  d_vector[7] = T(0);
  copy(grad + kColor, 3, d_vector + 8);
  d_vector[11] = grad[kOpacity] + grad[kOpacity + 1];
}

// A rectangle of a bitmap brush: its centre and its sides, entries 0 .. 3, in pixels along x and y; entry 4 turns it.
template <typename T>
struct Rectangle {
  Axis<T> center[2], side[2];
};

template <typename T>
NP_HOST_DEVICE Rectangle<T> snp_rectangle(const DecodeTarget<T>& to) {
  return {{{to.width - T(1), T(0.5)}, {to.height - T(1), T(0.5)}}, {{to.width, T(1)}, {to.height, T(1)}}};
}

template <typename T>
NP_HOST_DEVICE Rectangle<T> transformer_rectangle(const DecodeTarget<T>& to) {
  return {{{to.width, T(0)}, {to.height, T(0)}}, {{to.width, T(0)}, {to.height, T(0)}}};
}

// The map (A, t) of the unit square to the rectangle, turned clockwise by pi times its entry.
template <typename T>
NP_HOST_DEVICE void rectangle_map(const T* vector, const Rectangle<T>& of, T* map) {
  const T cos = cosine(T(kPi) * vector[4]), sin = sine(T(kPi) * vector[4]);
  const T across = of.side[0].gain * vector[2] + of.side[0].offset;
  const T down = of.side[1].gain * vector[3] + of.side[1].offset;
  map[0] = cos * across, map[1] = -sin * down;
  map[3] = sin * across, map[4] = cos * down;
  map[2] = of.center[0].gain * vector[0] + of.center[0].offset - T(0.5) * (map[0] + map[1]);
  map[5] = of.center[1].gain * vector[1] + of.center[1].offset - T(0.5) * (map[3] + map[4]);
}

template <typename T>
NP_HOST_DEVICE void rectangle_map_backward(const T* vector, const Rectangle<T>& of, const T* grad, T* d_vector) {
  const T cos = cosine(T(kPi) * vector[4]), sin = sine(T(kPi) * vector[4]);
  const T across = of.side[0].gain * vector[2] + of.side[0].offset;
  const T down = of.side[1].gain * vector[3] + of.side[1].offset;
  // A moves t too, so that the centre stays.
  const T xx = grad[0] - T(0.5) * grad[2], xy = grad[1] - T(0.5) * grad[2];
  const T yx = grad[3] - T(0.5) * grad[5], yy = grad[4] - T(0.5) * grad[5];
  d_vector[0] = of.center[0].gain * grad[2];
  d_vector[1] = of.center[1].gain * grad[5];
  d_vector[2] = of.side[0].gain * (cos * xx + sin * yx);
  d_vector[3] = of.side[1].gain * (cos * yy - sin * xy);
  d_vector[4] = T(kPi) * (across * (cos * yx - sin * xx) - down * (cos * xy + sin * yy));
}

// Entry 11, an opacity, is not used by its renderer.
template <typename T>
NP_HOST_DEVICE void decode_snp_oil(const T* vector, const DecodeTarget<T>& to, T* stroke) {
  rectangle_map(vector, snp_rectangle(to), stroke);
  copy(vector + 5, 6, stroke + kBitmapColor);
}

template <typename T>
NP_HOST_DEVICE void decode_snp_oil_backward(const T* vector, const DecodeTarget<T>& to, const T* grad, T* d_vector) {
  rectangle_map_backward(vector, snp_rectangle(to), grad, d_vector);
  copy(grad + kBitmapColor, 6, d_vector + 5);
  d_vector[11] = T(0);
}

template <typename T>
NP_HOST_DEVICE void decode_paint_transformer(const T* vector, const DecodeTarget<T>& to, T* stroke) {
  rectangle_map(vector, transformer_rectangle(to), stroke);
  copy(vector + 5, 3, stroke + kBitmapColor);
}

template <typename T>
NP_HOST_DEVICE void decode_paint_transformer_backward(const T* vector, const DecodeTarget<T>& to, const T* grad,
                                                      T* d_vector) {
  rectangle_map_backward(vector, transformer_rectangle(to), grad, d_vector);
  copy(grad + kBitmapColor, 3, d_vector + 5);
}

NP_MATH_END
