// A canvas in tiles: the surface that libmypaint paints on, in our memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "mypaint_library.h"
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

  // `look` is called after each kDabs dabs, and must not throw.
  void set_look(std::function<void()> look) { look_ = std::move(look); }

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
  static constexpr unsigned kDabs = 1024;

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

  // Paints the dabs that the library keeps in lists, which would grow.
  void pause() {
    Rectangle changed;
    library_.surface_end_atomic(surface(), &changed);
    library_.surface_begin_atomic(surface());
    look_();
  }

  // Dabs that do not touch the canvas are left out: the library would make room for those anywhere, and loop for ever
  // over one at NaN.
  static int draw_dab(Surface* surface, float x, float y, float radius, float red, float green, float blue,
                      float opaque, float hardness, float alpha_eraser, float aspect_ratio, float angle,
                      float lock_alpha, float colorize) {
    Tiles& self = *of(surface);
    if (++self.dabs_ % kDabs == 0) self.pause();
    const float reach = radius + 1;
    const bool touches = x > -reach && x < self.width_ + reach && y > -reach && y < self.height_ + reach;
    return touches ? self.tiled_draw_dab_(surface, x, y, radius, red, green, blue, opaque, hardness, alpha_eraser,
                                          aspect_ratio, angle, lock_alpha, colorize)
                   : 0;
  }

  alignas(std::max_align_t) unsigned char storage_[kSurfaceBytes] = {};
  const Library& library_;
  int height_, width_, rows_, columns_;
  std::function<void()> look_;
  unsigned dabs_ = 0;
  Surface::DrawDab* tiled_draw_dab_ = nullptr;
  Pixel paper_;
  std::vector<Pixel> pixels_, outside_;
};

}  // namespace neural_paint::mypaint
