// One tile while it is being painted: its pixels block by block, the strokes that reach it, and one stroke evaluated at
// a pack of pixels.
#pragma once

#include "../over.h"
#include "../stroke.h"
#include "pack.h"
#include "scene.h"

NP_MATH_BEGIN

// A tile whose pixels are kept block after block and row after row in each, so that a pack is one load; blocks are kept
// quarter after quarter of the tile.
struct Tile : TileArea {
  using TileArea::TileArea;

  static int block_x(int block) { return block / 16 % 2 * kQuarter + block % 4 * kBlock; }
  static int block_y(int block) { return block / 32 * kQuarter + block / 4 % 4 * kBlock; }

  bool is_whole() const { return width == kTile && height == kTile; }
  bool contains(int block, int pixel) const {
    return block_x(block) + pixel % kBlock < width && block_y(block) + pixel / kBlock < height;
  }

  // Copies the tile's part of the plane at `index` of this canvas into blocks `stride` apart. What is off the canvas is
  // left alone.
  template <typename T, int R, typename... Index>
  void read(const View<T, R>& view, T* blocks, int64_t stride, Index... index) const {
    const T* from = &view(batch, index..., y, x);
    const int64_t row_step = view.row_step(), column_step = view.column_step();
    if (column_step == 1)
      for_each_run([=](int block, int row, int column, auto count) {
        std::memcpy(blocks + block * stride + row % kBlock * kBlock, from + row * row_step + column, count * sizeof(T));
      });
    else
      for_each_run([=](int block, int row, int column, auto count) {
        T* to = blocks + block * stride + row % kBlock * kBlock;
        for (int i = 0; i < count; ++i) to[i] = from[row * row_step + (column + i) * column_step];
      });
  }

  // The way back, to a plane whose columns are side by side.
  template <typename T>
  void write(const T* blocks, int64_t stride, T* to, int64_t row_step) const {
    for_each_run([=](int block, int row, int column, auto count) {
      std::memcpy(to + row * row_step + column, blocks + block * stride + row % kBlock * kBlock, count * sizeof(T));
    });
  }

 private:
  // Calls visit(block, row, column, count) for every row of a block that is on the canvas: `count` pixels side by side.
  // Row after row of the tile: rows of a canvas tend to be a power of two apart, where a cache holds only a few.
  template <typename F>
  NP_HOST_DEVICE void for_each_run(F&& visit) const {
    constexpr std::integral_constant<int, kBlock> whole;
    for (int row = 0; row < height; ++row) {
      const int first = row / kQuarter * 32 + row / kBlock % 4 * 4;
      if (width == kTile) {
        // Unrolled, so that the lines of several rows are on their way at a time.
#pragma GCC unroll 8
        for (int i = 0; i < kBlocksPerSide; ++i) visit(first + i / 4 * 16 + i % 4, row, i * kBlock, whole);
        continue;
      }
      for (int column = 0; column < width; column += kBlock) {
        const int block = first + column / kQuarter * 16 + column / kBlock % 4;
        if (column + kBlock <= width)
          visit(block, row, column, whole);
        else
          visit(block, row, column, width - column);
      }
    }
  }
};

// Lanes of a pack in rows of four: (column, row) of lane i is (i % 4, i / 4).
template <typename T, int W = kLanes<T>>
struct Grid {
  using V = Pack<T, W>;
  alignas(64) T x[W], y[W];

  constexpr Grid() : x(), y() {
    for (int i = 0; i < W; ++i) x[i] = T(i % 4), y[i] = T(i / 4);
  }

  // Points x0 + step column, y0 + step row.
  static NP_HOST_DEVICE Vec2<V> at(T x0, T y0, T step) {
    static constexpr Grid grid;
    return {V(x0) + V(step) * V::load(grid.x), V(y0) + V(step) * V::load(grid.y)};
  }
};

// Centres of a pack of pixels of a block, from its pixel `first` on, relative to the tile's corner.
template <typename T>
NP_HOST_DEVICE auto centers(int block, int first) {
  return Grid<T>::at(T(Tile::block_x(block)) + T(0.5), T(Tile::block_y(block) + first / kBlock) + T(0.5), T(1));
}

template <typename F>
NP_HOST_DEVICE void for_each_block(uint64_t blocks, F&& visit) {
  for (; blocks != 0; blocks &= blocks - 1) visit(__builtin_ctzll(blocks));
}

// One stroke relative to the corner of one tile.
template <typename T, int D>
struct TileStroke : Stroke<T, D> {
  T color[2][kMaxChannels];

  void load(const Scene<T>& scene, const Tile& tile, int64_t n) {
    set_stroke<Pack<T, Register<T>::lanes>>(*this, scene, tile.batch, n, T(tile.x), T(tile.y), kBlock);
    for (int e = 0; e < scene.color_ends; ++e) {
      const T* row = &scene.color(tile.batch, n, e, 0);
      for (int64_t c = 0; c < scene.channels; ++c) color[e][c] = row[c * scene.color.strides[3]];
    }
  }
};

template <typename T, typename V>
NP_HOST_DEVICE V color_at(const Scene<T>& scene, const T (&color)[2][kMaxChannels], int64_t channel, V t) {
  const V start(color[0][channel]);
  return scene.color_ends == 1 ? start : ramp(start, V(color[1][channel]), t);
}

NP_MATH_END
