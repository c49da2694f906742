// The pixels of one warp: a square of a tile, two pixels a lane.
#pragma once

#include "bins.cuh"

NP_MATH_BEGIN

struct SquareArea {
  int32_t batch, x, y;  // pixels of the corner

  template <typename Block>
  NP_KERNEL_BODY SquareArea(const Block& block, const Tile& tile)
      : batch(tile.batch),
        x(tile.x + block.warp() % 2 * kSquare),
        y(tile.y + block.warp() / 2 * kSquare),
        column_(block.lane() % kSquare),
        row_(block.lane() / kSquare) {}

  // Of the lane's pixel i, 0 or 1.
  NP_HOST_DEVICE int32_t column() const { return x + column_; }
  NP_HOST_DEVICE int32_t row(int i) const { return y + row_ + i * (kSquare / 2); }
  template <typename Prepared>
  NP_HOST_DEVICE bool holds(const Bins<Prepared>& in, int i) const {
    return column() < in.scene.width && row(i) < in.scene.height;
  }

 protected:
  int column_, row_;
};

// The lanes' entries that are wanted, side by side in the lanes' order; how many they are.
template <typename Block, typename Entry>
NP_KERNEL_BODY int side_by_side(Block& block, bool wanted, const Entry& entry, Entry* entries) {
  const uint32_t mask = block.ballot(wanted);
  block.sync_warp();  // the entries are read no more
  if (wanted) entries[count_bits(mask & ((1u << block.lane()) - 1))] = entry;
  block.sync_warp();
  return count_bits(mask);
}

// One of two values in registers, by an index that the compiler does not know.
template <typename T>
NP_HOST_DEVICE T pick(const T (&pair)[2], int i) {
  return i == 0 ? pair[0] : pair[1];
}

template <typename T>
NP_HOST_DEVICE void put(T (&pair)[2], int i, T value) {
  pair[0] = i == 0 ? value : pair[0];
  pair[1] = i == 0 ? pair[1] : value;
}

NP_MATH_END
