// libmypaint, opened at run time: the few of its functions that painting takes, with declarations of our own.
#pragma once

#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace neural_paint::mypaint {

struct Brush;         // MyPaintBrush
struct TiledSurface;  // MyPaintTiledSurface: begins with a Surface

// MyPaintSurface, as far as it is touched here.
struct Surface {
  using DrawDab = int(Surface* self, float x, float y, float radius, float red, float green, float blue, float opaque,
                      float hardness, float alpha_eraser, float aspect_ratio, float angle, float lock_alpha,
                      float colorize);
  DrawDab* draw_dab;
};

// MyPaintTileRequest.
struct TileRequest {
  int tx, ty, readonly;
  uint16_t* buffer;
  void* context;
  int thread_id, mipmap_level;
};
using TileFunction = void(TiledSurface*, TileRequest*);

// MyPaintBrushSettingInfo, as far as it is read here.
struct SettingInfo {
  const char *cname, *name;
  int constant;
  float min, initial, max;
};

// MyPaintRectangle: what has changed.
struct Rectangle {
  int x, y, width, height;
};

// The library's tiles are so wide and high.
constexpr int kTile = 64;
// Channels of a tile's pixel: red, green and blue times alpha, and alpha. 1.0 is kOne.
constexpr int kChannels = 4;
constexpr int kOne = 1 << 15;
// A TiledSurface has 112 bytes in libmypaint 1.6.
constexpr std::size_t kSurfaceBytes = 1024;
// MyPaintBrushState: where the brush is.
enum State { kStateX = 0, kStateY = 1 };
// Places in which a brush keeps smudged paint: as many as its setting can name, and one more, since the library leaves
// the last one as malloc gave it.
constexpr int kSmudgeBuckets = 256 + 1;

class Library {
 public:
  // `name` is a path, or a file name for the loader to find. Throws std::runtime_error.
  explicit Library(const std::string& name) { open(name); }
  Library(const Library&) = delete;

  Brush* (*brush_new)(int smudge_buckets);
  void (*brush_unref)(Brush*);
  int (*brush_from_string)(Brush*, const char*);
  void (*brush_reset)(Brush*);
  void (*brush_set_base_value)(Brush*, int setting, float);
  void (*brush_set_state)(Brush*, int state, float);
  float (*brush_get_base_value)(Brush*, int setting);
  int (*brush_get_mapping_n)(Brush*, int setting, int input);
  void (*brush_get_mapping_point)(Brush*, int setting, int input, int index, float* x, float* y);
  void (*brush_set_mapping_point)(Brush*, int setting, int input, int index, float x, float y);
  int (*brush_stroke_to)(Brush*, Surface*, float x, float y, float pressure, float xtilt, float ytilt, double seconds);
  void (*surface_begin_atomic)(Surface*);
  void (*surface_end_atomic)(Surface*, Rectangle*);
  void (*tiled_surface_init)(TiledSurface*, TileFunction* start, TileFunction* end);
  void (*tiled_surface_destroy)(TiledSurface*);

  // Numbers of the settings that an action gives, of those that say what a speed is, and of all.
  int log_radius, hue, saturation, value, speed_gamma[2], settings;
  // Numbers of the inputs that are speeds, and places in a pattern.
  int speed[2], pattern[2];
  // The file.
  std::string path;

  // The least and the greatest value that MyPaint offers for a setting; none where it does not know the setting.
  std::optional<std::pair<float, float>> range(const std::string& setting) const {
    const int number = setting_number_(setting.c_str());
    if (number < 0) return std::nullopt;
    const SettingInfo* info = setting_info_(number);
    return std::pair(info->min, info->max);
  }

  bool uses(Brush* brush, const int (&inputs)[2]) const {
    for (int setting = 0; setting < settings; ++setting) {
      for (int input : inputs) {
        if (brush_get_mapping_n(brush, setting, input) > 0) return true;
      }
    }
    return false;
  }

 private:
  void open(const std::string& name);

  template <typename Function>
  void find(Function*& function, const char* name) {
    function = reinterpret_cast<Function*>(symbol(name));
  }

  void* symbol(const char* name);

  int setting(const char* name) {
    const int number = setting_number_(name);
    if (number < 0) throw std::runtime_error(path + " has no setting " + name);
    return number;
  }

  int (*setting_number_)(const char*);
  const SettingInfo* (*setting_info_)(int setting);
  int (*input_number_)(const char*);
  // Never closed: its OpenMP runtime would be unloaded with it.
  void* handle_ = nullptr;
};

inline void* Library::symbol(const char* name) {
  void* found = dlsym(handle_, name);
  if (!found) throw std::runtime_error(dlerror());
  return found;
}

inline void Library::open(const std::string& name) {
  // Not RTLD_GLOBAL: it exports names such as hsv_to_rgb_float.
  handle_ = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle_) throw std::runtime_error(dlerror());
  find(brush_new, "mypaint_brush_new_with_buckets");
  find(brush_unref, "mypaint_brush_unref");
  find(brush_from_string, "mypaint_brush_from_string");
  find(brush_reset, "mypaint_brush_reset");
  find(brush_set_base_value, "mypaint_brush_set_base_value");
  find(brush_set_state, "mypaint_brush_set_state");
  find(brush_get_base_value, "mypaint_brush_get_base_value");
  find(brush_get_mapping_n, "mypaint_brush_get_mapping_n");
  find(brush_get_mapping_point, "mypaint_brush_get_mapping_point");
  find(brush_set_mapping_point, "mypaint_brush_set_mapping_point");
  find(brush_stroke_to, "mypaint_brush_stroke_to");
  find(surface_begin_atomic, "mypaint_surface_begin_atomic");
  find(surface_end_atomic, "mypaint_surface_end_atomic");
  find(tiled_surface_init, "mypaint_tiled_surface_init");
  find(tiled_surface_destroy, "mypaint_tiled_surface_destroy");
  Dl_info info;
  path = dladdr(reinterpret_cast<void*>(brush_new), &info) ? info.dli_fname : name;
  find(setting_number_, "mypaint_brush_setting_from_cname");
  find(setting_info_, "mypaint_brush_setting_info");
  find(input_number_, "mypaint_brush_input_from_cname");
  log_radius = setting("radius_logarithmic");
  hue = setting("color_h");
  saturation = setting("color_s");
  value = setting("color_v");
  settings = setting("paint_mode") + 1;  // the last
  speed_gamma[0] = setting("speed1_gamma");
  speed_gamma[1] = setting("speed2_gamma");
  speed[0] = input_number_("speed1");
  speed[1] = input_number_("speed2");
  pattern[0] = input_number_("gridmap_x");
  pattern[1] = input_number_("gridmap_y");
}

}  // namespace neural_paint::mypaint
