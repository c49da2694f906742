// Few tiles do not keep a GPU busy. There the strokes of a tile are shared out among several blocks: each paints its
// part of them by itself, over nothing, and a layer is what comes of it.
#pragma once

#include "paint_strokes.cuh"

NP_MATH_BEGIN

// Outputs, contiguous; all but the image are null where no gradient is wanted.
template <typename T>
struct Painted {
  T* image;            // (B, C, H, W)
  T* transmittance;    // (B, H, W): of all strokes
  T* checkpoints;      // (B, segments - 1, H, W): above each segment but the first
  int32_t* evaluated;  // (B, H, W): strokes of the canvas, from the top, that matter to the pixel
  int64_t segments;
};

// Strokes between two saved transmittances, counted from the top: whole words of the mask.
NP_HOST_DEVICE int64_t segment_length(int64_t strokes, int64_t segments) {
  // 32 bits hold the numerator, and are divided several times as fast.
  const uint32_t words = uint32_t(segments) * 32;
  return int64_t((uint32_t(strokes > 0 ? strokes : 1) + words - 1) / words) * 32;
}

// Blocks that keep any GPU busy, and parts that a tile's strokes are shared out into at most.
constexpr int64_t kBusyBlocks = 1024;
constexpr int64_t kMaxParts = 16;
// Strokes on a tile that are worth a part, and tiles that a stroke is taken to reach.
constexpr int64_t kPartStrokes = 16;
constexpr int64_t kTilesPerStroke = 32;

// Into how many parts: for full blocks, by the shapes alone. A threshold on the transmittance of all that is above
// cannot be applied to a part.
template <typename T, int D>
int64_t choose_parts(const Binned<T, D>& in) {
  const Scene<T>& scene = in.scene;
  if (in.tiles() == 0 || scene.closing > 0) return 1;
  const int64_t of_canvas = in.rows() * in.columns();
  const int64_t on_tile = of_canvas > kTilesPerStroke ? scene.strokes * kTilesPerStroke / of_canvas : scene.strokes;
  int64_t parts = kBusyBlocks / in.tiles();
  for (const int64_t most : {kMaxParts, on_tile / kPartStrokes}) parts = parts < most ? parts : most;
  return parts > 1 ? parts : 1;
}

template <typename T>
struct Layers {
  int32_t count = 1;    // blocks of a tile; 1: each does the whole, and there are no layers
  int32_t length = 0;   // strokes of a part
  T* values = nullptr;  // (count, B, C + 2, H, W): colour, transmittance, and that below the stroke that closed a pixel
  int32_t* evaluated = nullptr;  // (count, B, H, W): see Painted. This and the last are for `merge_layers`.

  // Strokes, counted from the top.
  NP_HOST_DEVICE int64_t begin(int part) const { return int64_t(part) * length; }
  NP_HOST_DEVICE int64_t end(int part, int64_t strokes) const { return part + 1 < count ? begin(part + 1) : strokes; }

  template <int D>
  NP_HOST_DEVICE T& at(const Binned<T, D>& in, int part, int64_t b, int64_t plane, int64_t y, int64_t x) const {
    const Scene<T>& scene = in.scene;
    const int64_t planes = (part * scene.batch + b) * (scene.channels + 2) + plane;
    return values[(planes * scene.height + y) * scene.width + x];
  }

  template <int D>
  NP_HOST_DEVICE int32_t& evaluated_at(const Binned<T, D>& in, int part, int64_t b, int64_t y, int64_t x) const {
    return evaluated[((part * in.scene.batch + b) * in.scene.height + y) * in.scene.width + x];
  }

  // Transmittance of the parts above.
  template <int D>
  NP_HOST_DEVICE T above(const Binned<T, D>& in, int part, int64_t b, int64_t y, int64_t x) const {
    T out(1);
    NP_ROLL
    for (int p = 0; p < part; ++p) out *= at(in, p, b, in.scene.channels, y, x);
    return out;
  }

  // Colour of the parts below, over the background.
  template <int D>
  NP_HOST_DEVICE T below(const Binned<T, D>& in, int part, int64_t b, int64_t c, int64_t y, int64_t x) const {
    T out = in.scene.background(b, c, y, x);
    NP_ROLL
    for (int p = count - 1; p > part; --p) out = at(in, p, b, c, y, x) + at(in, p, b, in.scene.channels, y, x) * out;
    return out;
  }
};

template <typename T>
Layers<T> make_layers(int64_t strokes, int64_t parts) {
  Layers<T> out;
  if (parts <= 1) return out;
  out.length = int32_t(segment_length(strokes, parts));
  out.count = int32_t(ceil_div(strokes, out.length));
  return out;
}

// One pixel of all canvases: the layers over each other and over the background, and what is saved of the parts by
// themselves as it is under those above.
template <typename T, int D>
NP_HOST_DEVICE void merge_layers(const Binned<T, D>& in, const Layers<T>& layers, const Painted<T>& out,
                                 int64_t pixel) {
  const Scene<T>& scene = in.scene;
  const int64_t x = pixel % scene.width, y = pixel / scene.width % scene.height;
  const int64_t b = pixel / scene.width / scene.height, area = scene.height * scene.width, place = y * scene.width + x;
  for (int64_t c = 0; c < scene.channels; ++c)
    out.image[(b * scene.channels + c) * area + place] =
        layers.at(in, 0, b, c, y, x) + layers.at(in, 0, b, scene.channels, y, x) * layers.below(in, 0, b, c, y, x);
  if (out.evaluated == nullptr) return;

  const int64_t length = segment_length(scene.strokes, out.segments);
  int64_t segment = 1;
  T above(1), below(1);  // `below` counts from where `above` is 0
  int64_t evaluated = scene.strokes;
  for (int part = 0; part < layers.count; ++part) {
    const int64_t end = layers.end(part, scene.strokes);
    const bool is_last = part + 1 == layers.count;
    for (; segment < out.segments && (is_last || segment * length < end); ++segment)
      out.checkpoints[(b * (out.segments - 1) + segment - 1) * area + place] *= above;
    const T transmittance = layers.at(in, part, b, scene.channels, y, x);
    if (above != T(0)) {
      above *= transmittance;
      // Where a stroke of the part closed the pixel, the part knows how far to go on. A product too small for T goes on
      // with the next part.
      if (transmittance == T(0)) {
        below = layers.at(in, part, b, scene.channels + 1, y, x);
        evaluated = layers.evaluated_at(in, part, b, y, x);
      }
    } else if (below != T(0)) {
      below *= transmittance;
      evaluated = below == T(0) ? end : scene.strokes;
    }
  }
  out.transmittance[b * area + place] = above;
  out.evaluated[b * area + place] = int32_t(evaluated);
}

NP_MATH_END
