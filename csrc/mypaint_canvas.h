// A canvas that libmypaint paints strokes on: its tiles, and the brush.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "mypaint_library.h"
#include "mypaint_speeds.h"
#include "mypaint_stroke.h"
#include "mypaint_tiles.h"

namespace neural_paint::mypaint {

class Canvas {
 public:
  struct Mode {
    bool clear;    // the canvas before each stroke
    bool connect;  // each stroke to the end of the one before it
    bool fresh;    // brush for each stroke: what it draws is then a function of the action alone
  };

  // `brush` is the content of a .myb file. Throws std::invalid_argument where the library does not take it.
  Canvas(std::shared_ptr<const Library> library, std::string brush, int height, int width, const Color& background,
         const Mode& mode)
      : library_(std::move(library)),
        json_(std::move(brush)),
        mode_(mode),
        tiles_(*library_, height, width, background) {
    take_new_brush();
  }

  void reset() {
    tiles_.clear();
    take_new_brush();
    before_.reset();
  }

  // `check` is called now and then; where it throws, the stroke is left as it is then.
  void draw(const double* action, const Place& place, const std::function<void()>& check) {
    if (mode_.clear) tiles_.clear();
    Stroke stroke = stroke_of(action, place);
    if (mode_.connect && before_) {
      stroke.start = before_->end;
      stroke.first_pressure = before_->last_pressure;
    }
    before_ = stroke;
    if (mode_.fresh && !unused_) take_new_brush();
    // The first event makes a new brush slide from where it is to the place, by less than all the way.
    if (unused_) put_brush(place.corner);
    unused_ = false;
    if (stroke.scale != scale_) {
      scale_ = stroke.scale;
      speeds_->set(*library_, brush_.get(), scale_);
    }
    set(library_->log_radius, stroke.log_radius);
    const Hsv color = to_hsv(stroke.color);
    set(library_->hue, color.hue);
    set(library_->saturation, color.saturation);
    set(library_->value, color.value);
    pen_events(stroke,
               [&](const Point& point, double pressure, double seconds) { move(point, pressure, seconds, check); });
  }

  void read(uint8_t* image) const { tiles_.read(image); }

 private:
  static constexpr Point kFarAway{-1e5, -1e5};
  static constexpr Point kNowhere{std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN()};

  void take_new_brush() {
    brush_ = {library_->brush_new(kSmudgeBuckets), library_->brush_unref};
    if (!library_->brush_from_string(brush_.get(), json_.c_str()))
      throw std::invalid_argument("brush must have a setting of MyPaint's");
    unused_ = true;
    scale_ = 1;
    if (!speeds_) speeds_.emplace(*library_, brush_.get());
    if (library_->uses(brush_.get(), library_->pattern)) settle_pattern();
  }

  // One event.
  void move(const Point& point, double pressure, double seconds, const std::function<void()>& check) {
    std::exception_ptr stopped;
    // An exception cannot pass through the library, but its loop over dabs ends where the brush is nowhere.
    tiles_.set_look([&] {
      try {
        if (!stopped) check();
      } catch (...) {
        stopped = std::current_exception();
        put_brush(kNowhere);
      }
    });
    // What is between begin and end is kept as a list of dabs, which for a whole stroke may be long.
    library_->surface_begin_atomic(tiles_.surface());
    library_->brush_stroke_to(brush_.get(), tiles_.surface(), float(point.x), float(point.y), float(pressure), 0, 0,
                              seconds);
    Rectangle changed;
    library_->surface_end_atomic(tiles_.surface(), &changed);
    if (stopped) {
      take_new_brush();
      std::rethrow_exception(stopped);
    }
    check();
  }

  // A new brush of libmypaint 1.6 first takes the scale of its pattern from memory that nobody has written. Far from
  // the canvas, the first event only puts it there, and in the second it works the scale out.
  void settle_pattern() {
    put_brush(kFarAway);
    for (int i = 0; i < 2; ++i) move(kFarAway, 0, kEventSeconds, [] {});
    library_->brush_reset(brush_.get());
  }

  void put_brush(const Point& point) {
    library_->brush_set_state(brush_.get(), kStateX, float(point.x));
    library_->brush_set_state(brush_.get(), kStateY, float(point.y));
  }

  void set(int setting, double value) { library_->brush_set_base_value(brush_.get(), setting, float(value)); }

  std::shared_ptr<const Library> library_;
  std::string json_;
  Mode mode_;
  Tiles tiles_;
  std::unique_ptr<Brush, void (*)(Brush*)> brush_{nullptr, nullptr};
  std::optional<Speeds> speeds_;  // of the brush as it was made
  double scale_ = 1;              // that it is set to
  bool unused_ = true;
  std::optional<Stroke> before_;
};

}  // namespace neural_paint::mypaint
