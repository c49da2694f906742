// A neural painter's action as what the pen does: the events that a painting program is told of.
//
// The order of an action's entries and their units are in neural_paint/painters/actions.py.
#pragma once

#include <algorithm>
#include <cmath>

namespace neural_paint::mypaint {

struct Point {
  double x, y;
};

inline Point operator+(Point a, Point b) { return {a.x + b.x, a.y + b.y}; }
inline Point operator-(Point a, Point b) { return {a.x - b.x, a.y - b.y}; }
inline Point operator*(double s, Point a) { return {s * a.x, s * a.y}; }

// The square that an action's coordinates refer to, in pixels.
struct Place {
  Point corner;
  double side;
};

struct Color {
  double red, green, blue;
};

// One stroke in pixels of the canvas.
struct Stroke {
  Point start, control, end;
  double first_pressure, last_pressure, log_radius;
  Color color;
  double scale;  // 1 where a stroke is as large as those that were published
};

constexpr int kActionSize = 12;
constexpr double kStrokeSize = 64;
constexpr double kMaxPressure = 0.8;
constexpr double kMaxLogRadius = 2;

inline Stroke stroke_of(const double* action, const Place& place) {
  auto point = [&](int i) { return place.corner + place.side * Point{action[i], action[i + 1]}; };
  const double scale = place.side / kStrokeSize;
  return {point(9),
          point(2),
          point(4),
          kMaxPressure * action[11],
          kMaxPressure * action[0],
          kMaxLogRadius * action[1] + std::log(scale),
          {action[6], action[7], action[8]},
          scale};
}

// The pen is told of the curve at so many points; its pressure changes over the first and the last quarter of them.
constexpr int kSamples = 100;
constexpr int kQuarter = kSamples / 4;
constexpr double kEventSeconds = 0.1;
// Length of the step with which the pen goes down, in pixels of a published stroke.
constexpr double kFirstStep = 0.25;

inline Point point_at(const Stroke& stroke, double t) {
  const Point middle = 0.5 * (stroke.start + stroke.end);
  // The curve passes the action's control point half way.
  const Point bent = middle + 2 * (stroke.control - middle);
  return (1 - t) * (1 - t) * stroke.start + 2 * t * (1 - t) * bent + t * t * stroke.end;
}

inline double pressure_at(const Stroke& stroke, int sample) {
  const double mean = (stroke.first_pressure + stroke.last_pressure) / 2;
  const double rise = std::min(1.0, double(sample) / kQuarter);
  const double fall = std::max(0.0, double(sample - (kSamples - kQuarter)) / kQuarter);
  return fall > 0 ? mean + fall * (stroke.last_pressure - mean)
                  : stroke.first_pressure + rise * (mean - stroke.first_pressure);
}

// emit(point, pressure, seconds) for each event.
template <typename Emit>
void pen_events(const Stroke& stroke, Emit emit) {
  // In the published strokes no pressure at the end means that the pen is lifted before the stroke.
  if (stroke.last_pressure == 0) {
    emit(stroke.end, 0.0, 1.0);
    return;
  }
  emit(stroke.start, 0.0, kEventSeconds);
  const Point way = point_at(stroke, 1.0 / kSamples) - stroke.start;
  const double length = std::hypot(way.x, way.y);
  const double step = length > 0 ? kFirstStep * stroke.scale / length : 0;
  emit(stroke.start + step * way, stroke.first_pressure, kEventSeconds);
  for (int i = 1; i <= kSamples; ++i) {
    emit(point_at(stroke, double(i) / kSamples), pressure_at(stroke, i), kEventSeconds);
  }
  emit(stroke.end, 0.0, kEventSeconds);
}

struct Hsv {
  double hue, saturation, value;
};

inline Hsv to_hsv(const Color& color) {
  const auto [red, green, blue] = color;
  const double value = std::max({red, green, blue}), chroma = value - std::min({red, green, blue});
  if (chroma == 0) return {0, 0, value};
  const double sixths = value == red     ? (green - blue) / chroma + (green < blue ? 6 : 0)
                        : value == green ? (blue - red) / chroma + 2
                                         : (red - green) / chroma + 4;
  return {sixths / 6, chroma / value, value};
}

}  // namespace neural_paint::mypaint
