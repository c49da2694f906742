// Runs kernel bodies (csrc/cuda/block.cuh) on the CPU, under the sanitizers: run_blocks stands in for a launch, and
// HostBlock for DeviceBlock.
//
// It is stricter than a GPU: all 32 lanes of a warp must meet in the same operation on the same line, so must all
// threads of a block in its barriers, and none may return while others wait. Anything else is reported, and the program
// aborted. A thread that waits for another one in a loop of its own hangs.
//
// With seed 0 threads run in order; else in an order drawn anew at every barrier of the block, and blocks in any order.
// A result that depends on the seed tells of a missing barrier.
//
// Compiled with -fsanitize=thread, ThreadSanitizer sees every thread of a launch as one, and reports accesses to the
// same place that no barrier keeps apart, in any memory and between blocks too. As on a GPU, sync, sync_or and
// sync_warp order memory, ballots and shuffles do not.
#pragma once

#include <atomic>
#include <type_traits>

#include "cuda/block.cuh"
#include "team.h"

namespace emulator {

class HostBlock {
 public:
  HostBlock(Team& team, int thread) : team_(team), thread_(thread) {}

  // Where an operation is called.
  using Where = std::source_location;

  int thread() const { return thread_; }
  int threads() const { return team_.threads(); }
  int64_t index() const { return team_.block(); }
  int lane() const { return thread_ % kLanes; }
  int warp() const { return thread_ / kLanes; }

  void sync(Where where = Where::current()) {
    const Unwatched unwatched;
    team_.meet_block(thread_, {"sync", where}, false);
  }
  bool sync_or(bool value, Where where = Where::current()) {
    const Unwatched unwatched;
    return team_.meet_block(thread_, {"sync_or", where}, value);
  }

  void sync_warp(Where where = Where::current()) {
    const Unwatched unwatched;
    team_.meet_warp(thread_, {"sync_warp", where}, true);
  }

  uint32_t ballot(bool value, Where where = Where::current()) {
    const Unwatched unwatched;
    uint32_t& votes = team_.warp_of(thread_).votes[team_.warp_of(thread_).turn];
    votes |= uint32_t{value} << lane();
    team_.meet_warp(thread_, {"ballot", where}, false);
    return votes;
  }

  template <typename T>
  T shuffle(T value, int lane, Where where = Where::current()) {
    return exchange("shuffle", value, lane, lane, where);
  }

  template <typename T>
  T shuffle_xor(T value, int mask, Where where = Where::current()) {
    return exchange("shuffle_xor", value, mask, lane() ^ mask, where);
  }

  template <typename T>
  static void atomic_add(T* to, T value) {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, int64_t>);
#if defined(__SANITIZE_THREAD__)
    std::atomic_ref<T>(*to).fetch_add(value, std::memory_order_relaxed);
#else
    *to += value;  // where UBSan sees an overflow
#endif
  }

  char* shared() { return team_.shared(); }

 private:
  template <typename T>
  T exchange(const char* operation, T value, int argument, int from, Where where) {
    static_assert(std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8));
    if (argument < 0 || argument >= kLanes) {
      fail(Site{operation, where}.text() + ": the lane or mask must be in [0, 32), got " + std::to_string(argument));
    }
    const Unwatched unwatched;
    Warp& warp = team_.warp_of(thread_);
    const auto& values = warp.values[warp.turn];
    std::memcpy(warp.values[warp.turn][lane()], &value, sizeof(T));
    team_.meet_warp(thread_, {operation, where}, false);
    std::memcpy(&value, values[from], sizeof(T));
    return value;
  }

  Team& team_;
  int thread_;
};

// EMULATOR_SEED, or 0.
inline uint64_t default_seed() {
  const char* text = std::getenv("EMULATOR_SEED");
  return text ? std::strtoull(text, nullptr, 10) : 0;
}

// Calls body(block) for every thread of blocks 0 to `blocks` - 1, one block after the other. Their shared memory starts
// with all bits set: NaN, or -1.
template <typename Body>
void run_blocks(int64_t blocks, int threads, size_t shared_bytes, Body body, uint64_t seed = default_seed()) {
  if (threads <= 0 || threads % kLanes != 0) {
    fail("threads must be a positive multiple of 32, got " + std::to_string(threads));
  }
  const Unwatched unwatched;
  Team team(threads, shared_bytes, seed, [&](Team& team, int thread) {
    HostBlock block(team, thread);
    body(block);
  });
  std::vector<int64_t> order(blocks);
  std::iota(order.begin(), order.end(), 0);
  if (seed) Random(seed).permute(order);
  for (const int64_t block : order) team.run(block);
  team.end();
}

}  // namespace emulator
