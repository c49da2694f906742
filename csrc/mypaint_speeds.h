// A brush's curves over the speed of the pen, for strokes of any scale.
#pragma once

#include <cmath>
#include <vector>

#include "mypaint_library.h"

namespace neural_paint::mypaint {

// libmypaint 1.6 has speeds in pixels a second, so that a stroke k times as large is k times as fast, and for most
// brushes thinner. Here its curves are moved along their axis by as much.
//
// A speed S is the input m ln(g + S) + q, where ln g is the brush's setting, and m and q follow from g. With k g in
// place of g, k S is the input m' (ln k + ln(g + S)) + q', an affine map of the one before.
class Speeds {
 public:
  Speeds(const Library& library, Brush* brush) {
    for (int i = 0; i < 2; ++i) {
      log_gamma_[i] = library.brush_get_base_value(brush, library.speed_gamma[i]);
      for (int setting = 0; setting < library.settings; ++setting) {
        const int points = library.brush_get_mapping_n(brush, setting, library.speed[i]);
        for (int index = 0; index < points; ++index) {
          float x, y;
          library.brush_get_mapping_point(brush, setting, library.speed[i], index, &x, &y);
          knots_.push_back({i, setting, index, x, y});
        }
      }
    }
  }

  // For strokes that are `scale` times as large as those that the brush was made for.
  void set(const Library& library, Brush* brush, double scale) const {
    for (int i = 0; i < 2; ++i) {
      library.brush_set_base_value(brush, library.speed_gamma[i], float(log_gamma_[i] + std::log(scale)));
    }
    for (const Knot& knot : knots_) {
      const Line before = line(std::exp(log_gamma_[knot.speed]));
      const Line after = line(scale * std::exp(log_gamma_[knot.speed]));
      const double log_speed = (knot.x - before.rise) / before.slope + std::log(scale);
      library.brush_set_mapping_point(brush, knot.setting, library.speed[knot.speed], knot.index,
                                      float(after.slope * log_speed + after.rise), knot.y);
    }
  }

 private:
  struct Knot {
    int speed, setting, index;
    float x, y;
  };
  struct Line {
    double slope, rise;
  };

  // The library's: at a speed of 45 the input is 0.5, and its slope there 0.015.
  static Line line(double gamma) {
    const double slope = 0.015 * (45 + gamma);
    return {slope, 0.5 - slope * std::log(45 + gamma)};
  }

  double log_gamma_[2];
  std::vector<Knot> knots_;
};

}  // namespace neural_paint::mypaint
