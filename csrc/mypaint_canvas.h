// A canvas that libmypaint paints strokes on: its tiles in our memory, and the brush.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "mypaint_library.h"
#include "mypaint_speeds.h"
#include "mypaint_stroke.h"

namespace neural_paint::mypaint {

struct Pixel {
  uint16_t red, green, blue, alpha;
};
static_assert(sizeof(Pixel) == kChannels * sizeof(uint16_t));

// The library's own surface of tiles is `storage`, which it calls back with. Its requests for tiles come one at a time
// and in the same order always, as that surface is not declared safe for threads.
class Tiles {
 public:
  Tiles(const Library& library, int height, int width, const Color& background)
      : library_(library), height_(height), width_(width), rows_(tiles(height)), columns_(tiles(width)) {
    paper_ = {fixed(background.red), fixed(background.green), fixed(background.blue), kOne};
    pixels_.resize(std::size_t(rows_) * columns_ * kTile * kTile);
    outside_.resize(kTile * kTile);
    clear();
    library_.tiled_surface_init(tiled(), request, [](TiledSurface*, TileRequest*) {});
    tiled_draw_dab_ = surface()->draw_dab;
    surface()->draw_dab = draw_dab;
  }
  ~Tiles() { library_.tiled_surface_destroy(tiled()); }
  Tiles(const Tiles&) = delete;

  void clear() { std::fill(pixels_.begin(), pixels_.end(), paper_); }

  Surface* surface() { return reinterpret_cast<Surface*>(storage_); }

  // The canvas in 8 bits over its background, which shows where a brush has erased.
  void read(uint8_t* image) const {
    for (int y = 0; y < height_; ++y) {
      for (int x = 0; x < width_; ++x, image += 3) {
        const Pixel& pixel = pixels_[tile(x / kTile, y / kTile) + y % kTile * kTile + x % kTile];
        const int rest = kOne - pixel.alpha;
        image[0] = eight_bits(pixel.red + rest * paper_.red / kOne);
        image[1] = eight_bits(pixel.green + rest * paper_.green / kOne);
        image[2] = eight_bits(pixel.blue + rest * paper_.blue / kOne);
      }
    }
  }

 private:
  static int tiles(int pixels) { return (pixels + kTile - 1) / kTile; }
  static uint16_t fixed(double value) { return uint16_t(value * kOne + 0.5); }
  static uint8_t eight_bits(int value) { return uint8_t((value * 255 + kOne / 2) / kOne); }

  TiledSurface* tiled() { return reinterpret_cast<TiledSurface*>(storage_); }
  // `storage_` is the first member, and there is no base class.
  static Tiles* of(void* surface) { return static_cast<Tiles*>(surface); }

  // Index of its first pixel.
  std::size_t tile(int column, int row) const { return (std::size_t(row) * columns_ + column) * kTile * kTile; }

  static void request(TiledSurface* surface, TileRequest* request) {
    Tiles& self = *of(surface);
    if (request->tx >= 0 && request->tx < self.columns_ && request->ty >= 0 && request->ty < self.rows_) {
      request->buffer = &self.pixels_[self.tile(request->tx, request->ty)].red;
      return;
    }
    // Around the canvas there is paper, for brushes that smudge; what is drawn there is not kept.
    if (request->readonly) std::fill(self.outside_.begin(), self.outside_.end(), self.paper_);
    request->buffer = &self.outside_[0].red;
  }

  // Dabs that do not touch the canvas are left out: the library would make room for those anywhere, and loop for ever
  // over one at NaN.
  static int draw_dab(Surface* surface, float x, float y, float radius, float red, float green, float blue,
                      float opaque, float hardness, float alpha_eraser, float aspect_ratio, float angle,
                      float lock_alpha, float colorize) {
    const Tiles& self = *of(surface);
    const float reach = radius + 1;
    const bool touches = x > -reach && x < self.width_ + reach && y > -reach && y < self.height_ + reach;
    return touches ? self.tiled_draw_dab_(surface, x, y, radius, red, green, blue, opaque, hardness, alpha_eraser,
                                          aspect_ratio, angle, lock_alpha, colorize)
                   : 0;
  }

  alignas(std::max_align_t) unsigned char storage_[kSurfaceBytes] = {};
  const Library& library_;
  int height_, width_, rows_, columns_;
  Surface::DrawDab* tiled_draw_dab_ = nullptr;
  Pixel paper_;
  std::vector<Pixel> pixels_, outside_;
};

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

  void draw(const double* action, const Place& place) {
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
    pen_events(stroke, [&](const Point& point, double pressure, double seconds) { move(point, pressure, seconds); });
  }

  void read(uint8_t* image) const { tiles_.read(image); }

 private:
  static constexpr Point kFarAway{-1e5, -1e5};

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
  void move(const Point& point, double pressure, double seconds) {
    // What is between begin and end is kept as a list of dabs, which for a whole stroke may be long.
    library_->surface_begin_atomic(tiles_.surface());
    library_->brush_stroke_to(brush_.get(), tiles_.surface(), float(point.x), float(point.y), float(pressure), 0, 0,
                              seconds);
    Rectangle changed;
    library_->surface_end_atomic(tiles_.surface(), &changed);
  }

  // A new brush of libmypaint 1.6 first takes the scale of its pattern from memory that nobody has written. Far from
  // the canvas, the first event only puts it there, and in the second it works the scale out.
  void settle_pattern() {
    put_brush(kFarAway);
    for (int i = 0; i < 2; ++i) move(kFarAway, 0, kEventSeconds);
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
