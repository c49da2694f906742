// What test_emulator.py runs: self_test CASE, or self_test ARRAYS_IN ARRAYS_OUT. Exits with 0 where the case holds;
// others abort, or are reported by a sanitizer.
#include <array>
#include <cstdio>
#include <functional>
#include <map>
#include <string>

#include "arrays.h"
#include "emulator.h"

namespace {

using emulator::HostBlock;
using emulator::run_blocks;

#define EXPECT(condition)                                                  \
  do {                                                                     \
    if (!(condition)) {                                                    \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      std::exit(1);                                                        \
    }                                                                      \
  } while (false)

// A kernel as the library has them: sums each block's share of the input, lanes first, then warps.
template <typename Block>
NP_KERNEL_BODY void sum_body(Block& block, const float* values, int64_t count, float* sums, int64_t* total) {
  float* const of_warps = reinterpret_cast<float*>(block.shared());
  const int64_t i = block.index() * block.threads() + block.thread();
  float sum = i < count ? values[i] : 0.0f;
  for (int mask = 16; mask > 0; mask /= 2) sum += block.shuffle_xor(sum, mask);
  if (block.lane() == 0) of_warps[block.warp()] = sum;
  block.sync();
  if (block.thread() == 0) {
    float all = 0.0f;
    for (int w = 0; w < block.threads() / 32; ++w) all += of_warps[w];
    sums[block.index()] = all;
    Block::atomic_add(total, static_cast<int64_t>(all));
  }
}

void sums() {
  std::vector<float> values(1000), sums(8, -1.0f);
  for (int i = 0; i < 1000; ++i) values[i] = static_cast<float>(i);
  int64_t total = 0;
  run_blocks(8, 128, 4 * sizeof(float),
             [&](HostBlock& block) { sum_body(block, values.data(), 1000, sums.data(), &total); });
  EXPECT(total == 499500);
  EXPECT(sums[0] == 8128.0f && sums[7] == 103 * (896.0f + 999.0f) / 2 + (896.0f + 999.0f) / 2);
}

void collectives() {
  std::array<int, 2 * 96> visits{};
  run_blocks(2, 96, 0, [&](HostBlock& block) {
    const int lane = block.lane(), thread = block.thread();
    EXPECT(block.threads() == 96 && thread == 32 * block.warp() + lane);
    ++visits[block.index() * 96 + thread];
    EXPECT(block.ballot(lane % 3 == 0) == 0x49249249u);
    EXPECT(block.ballot(false) == 0u);
    EXPECT(block.ballot(thread >= 64) == (thread >= 64 ? 0xffffffffu : 0u));
    for (int step = 0; step < 40; ++step) {
      EXPECT(block.shuffle(1000 * step + thread, step % 32) == 1000 * step + thread - lane + step % 32);
      EXPECT(block.shuffle_xor(0.5 * thread, step % 32) == 0.5 * (thread ^ step % 32));
    }
    EXPECT(block.shuffle(int64_t{1} << lane, 31 - lane) == int64_t{1} << (31 - lane));
    EXPECT(block.shuffle(static_cast<float>(lane), (lane + 1) % 32) == static_cast<float>((lane + 1) % 32));
    block.sync_warp();
  });
  for (const int count : visits) EXPECT(count == 1);
}

// Whole warps may take part in different collectives, and any number of them, between two barriers of the block.
void warps_apart() {
  run_blocks(1, 128, 0, [](HostBlock& block) {
    for (int i = 0; i < block.warp(); ++i) EXPECT(block.ballot(true) == 0xffffffffu);
    if (block.warp() == 2) EXPECT(block.shuffle(block.thread(), 5) == 69);
    block.sync();
    if (block.warp() == 3) block.sync_warp();
  });
}

void barriers() {
  run_blocks(3, 160, 160 * sizeof(int), [](HostBlock& block) {
    int* const shared = reinterpret_cast<int*>(block.shared());
    EXPECT(reinterpret_cast<uintptr_t>(shared) % 16 == 0 && shared[block.thread()] == -1);
    for (int round = 0; round < 20; ++round) {
      shared[block.thread()] = round + block.thread();
      block.sync();
      EXPECT(shared[(block.thread() + round) % 160] == round + (block.thread() + round) % 160);
      EXPECT(block.sync_or(block.thread() == 7 * round) == (7 * round < 160));
    }
  });
}

void atomics() {
  float single = 0;
  double twice = 0;
  int64_t whole = 0;
  run_blocks(4, 64, sizeof(double), [&](HostBlock& block) {
    double* const shared = reinterpret_cast<double*>(block.shared());
    if (block.thread() == 0) *shared = 0;
    block.sync();
    HostBlock::atomic_add(shared, 0.25);
    HostBlock::atomic_add(&single, 1.0f);
    HostBlock::atomic_add(&whole, int64_t{-1} << 40);
    block.sync();
    if (block.thread() == 0) HostBlock::atomic_add(&twice, *shared);
  });
  EXPECT(single == 256.0f && twice == 64.0 && whole == -256 * (int64_t{1} << 40));
}

// A barrier is missing between writing and reading, which threads in order do not show.
void missing_barrier() {
  run_blocks(1, 64, 64 * sizeof(int), [](HostBlock& block) {
    int* const shared = reinterpret_cast<int*>(block.shared());
    shared[block.thread()] = block.thread();
    EXPECT(block.thread() == 0 || shared[block.thread() - 1] == block.thread() - 1);
  });
}

void ballot_for_barrier() {
  run_blocks(1, 32, 32 * sizeof(int), [](HostBlock& block) {
    int* const shared = reinterpret_cast<int*>(block.shared());
    shared[block.lane()] = block.lane();
    block.ballot(true);  // waits for all lanes, and yet promises nothing of memory
    EXPECT(shared[block.lane() ^ 1] == (block.lane() ^ 1));
  });
}

void early_overwrite() {
  run_blocks(1, 64, 64 * sizeof(int), [](HostBlock& block) {
    int* const shared = reinterpret_cast<int*>(block.shared());
    for (int round = 0; round < 2; ++round) {
      shared[block.thread()] = round;
      block.sync();
      EXPECT(shared[(block.thread() + 63) % 64] >= 0);
    }
  });
}

void blocks_in_one_place() {
  std::vector<int> counts(32);
  run_blocks(2, 32, 0, [&](HostBlock& block) { ++counts[block.thread()]; });
}

void atomic_and_not() {
  int64_t count = 0;
  run_blocks(1, 32, 0, [&](HostBlock& block) {
    if (block.thread() == 3) ++count;
    HostBlock::atomic_add(&count, int64_t{1});
  });
}

void diverged_lanes() {
  run_blocks(1, 32, 0, [](HostBlock& block) {
    if (block.lane() < 5) {
      block.ballot(true);
    } else {
      block.shuffle(1.0f, 0);
    }
  });
}

void diverged_lines() {
  run_blocks(1, 32, 0, [](HostBlock& block) {
    if (block.lane() == 9) block.ballot(true);
    block.ballot(true);
  });
}

void diverged_warps() {
  run_blocks(2, 64, 0, [](HostBlock& block) {
    if (block.warp() == 1) {
      block.sync();
    } else {
      block.sync_or(true);
    }
  });
}

void barrier_in_one_lane() {
  run_blocks(1, 64, 0, [](HostBlock& block) {
    if (block.thread() == 40) block.sync();
    block.ballot(true);
  });
}

void returned_lane() {
  run_blocks(1, 32, 0, [](HostBlock& block) {
    if (block.lane() == 17) return;
    block.sync_warp();
  });
}

void returned_warp() {
  run_blocks(1, 96, 0, [](HostBlock& block) {
    if (block.warp() == 1) return;
    block.sync();
  });
}

void shared_overrun() {
  run_blocks(1, 32, 31 * sizeof(float),
             [](HostBlock& block) { reinterpret_cast<float*>(block.shared())[block.thread()] = 1.0f; });
}

// Not inlined: the compiler, which would see the array's size, leaves the check to AddressSanitizer.
[[gnu::noinline]] void write(int* values, int index) { values[index] = index; }

void stack_overrun() {
  run_blocks(1, 32, 0, [](HostBlock& block) {
    int local[8];
    for (int i = 0; block.ballot(i < 9); ++i) write(local, i);
  });
}

void overflow() {
  int64_t sum = INT64_MAX;
  run_blocks(1, 32, 0, [&](HostBlock&) { HostBlock::atomic_add(&sum, int64_t{1}); });
}

void bad_lane() {
  run_blocks(1, 32, 0, [](HostBlock& block) { block.shuffle(1.0f, block.lane() + 1); });
}

void bad_threads() {
  run_blocks(1, 33, 0, [](HostBlock&) {});
}

const std::map<std::string, std::function<void()>> kCases = {
    {"sums", sums},
    {"collectives", collectives},
    {"warps_apart", warps_apart},
    {"barriers", barriers},
    {"atomics", atomics},
    {"missing_barrier", missing_barrier},
    {"ballot_for_barrier", ballot_for_barrier},
    {"early_overwrite", early_overwrite},
    {"blocks_in_one_place", blocks_in_one_place},
    {"atomic_and_not", atomic_and_not},
    {"diverged_lanes", diverged_lanes},
    {"diverged_lines", diverged_lines},
    {"diverged_warps", diverged_warps},
    {"barrier_in_one_lane", barrier_in_one_lane},
    {"returned_lane", returned_lane},
    {"returned_warp", returned_warp},
    {"shared_overrun", shared_overrun},
    {"stack_overrun", stack_overrun},
    {"overflow", overflow},
    {"bad_lane", bad_lane},
    {"bad_threads", bad_threads},
};

// Hands every array on under its name, times two where it is float32.
void copy_arrays(const char* from, const char* to) {
  const emulator::Arrays in(from);
  emulator::Arrays out;
  EXPECT(!in.get<float>("missing") && in.get<float>("missing").shape.empty());
  const auto points = in.get<float>("points");
  const auto doubled = out.make<float>("points", points.shape);
  for (int64_t i = 0; i < points.size(); ++i) doubled.data[i] = 2 * points.data[i];
  const auto ids = in.get<int64_t>("ids");
  out.put("ids", ids.shape, ids.data);
  const auto scale = in.get<double>("scale");
  out.put("scale", scale.shape, scale.data);
  const auto empty = in.get<uint8_t>("empty");
  EXPECT(empty.size() == 0 && empty.data);
  out.put("empty", empty.shape, empty.data);
  out.make<int32_t>("unwritten", {2});
  out.save(to);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3) {
    copy_arrays(argv[1], argv[2]);
  } else {
    kCases.at(argc > 1 ? argv[1] : "")();
  }
}
