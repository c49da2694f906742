// The threads of one block: fibers that run until they have to wait for others, and what they wait in.
#pragma once

#include <bit>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

#include "fiber.h"

namespace emulator {

constexpr int kLanes = 32;
constexpr uint32_t kAllLanes = 0xffffffffu;

[[noreturn]] inline void fail(const std::string& what) {
  std::fflush(stdout);
  std::fprintf(stderr, "emulator: %s\n", what.c_str());
  std::abort();
}

// Knuth's generator: always the same numbers for a seed.
struct Random {
  uint64_t state;
  explicit Random(uint64_t seed) : state(seed * 0x9e3779b97f4a7c15u) {}
  uint64_t below(uint64_t limit) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % limit;
  }
  template <typename T>
  void permute(std::vector<T>& items) {
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }
};

// An operation that threads meet in.
struct Site {
  const char* operation;
  std::source_location where;

  bool operator==(const Site& other) const {
    return where.line() == other.where.line() && std::strcmp(operation, other.operation) == 0 &&
           std::strcmp(where.file_name(), other.where.file_name()) == 0;
  }
  std::string text() const {
    return std::string(operation) + " at " + where.file_name() + ":" + std::to_string(where.line());
  }
};

struct Warp {
  int first;                   // number of its first thread
  uint32_t ready = kAllLanes;  // lanes that can go on
  uint32_t waiting = 0;        // lanes that wait, all at `site`
  uint32_t returned = 0;
  Site site = {};
  char tokens[2] = {};  // of sync_warp, by turns as below
  // What lanes hand to each other, by turns: a fast lane writes to one half while a slow one reads the other.
  int turn = 0;
  uint32_t votes[2] = {};
  alignas(8) char values[2][kLanes][8] = {};

  explicit Warp(int first_thread) : first(first_thread) {}
  int first_of(uint32_t lanes) const { return first + std::countr_zero(lanes); }
  void release() {
    ready = kAllLanes;
    waiting = 0;
    turn ^= 1;
    votes[turn] = 0;
  }
};

class Team {
 public:
  // `thread_body(team, i)` is what thread i of every block does.
  Team(int threads, size_t shared_bytes, uint64_t seed, std::function<void(Team&, int)> thread_body)
      : thread_body_(std::move(thread_body)),
        seed_(seed),
        random_(seed),
        shared_bytes_(shared_bytes),
        stacks_(threads),
        fibers_(threads),
        order_(threads / kLanes) {
    std::iota(order_.begin(), order_.end(), 0);
  }

  void run(int64_t block) {
    block_ = block;
    shared_.reset(new char[shared_bytes_]);
    std::memset(shared_.get(), 0xff, shared_bytes_);
    warps_.clear();
    stacks_.renew();
    for (int i = 0; i < threads(); ++i) {
      if (i % kLanes == 0) warps_.emplace_back(i);
      fibers_[i] = stacks_.start(i, enter, block);
    }
    waiting_warps_ = 0;
    unfinished_ = threads();
    draw_order();
    running_ = this;
    current_ = next();
    switch_to(starter_, fibers_[current_]);
    for (Context& fiber : fibers_) Fibers::end(fiber.racer);
  }

  // After the last block, which ends the launch: what follows happens after all that its threads did.
  void end() { take(end_token_); }

  int threads() const { return static_cast<int>(fibers_.size()); }
  int64_t block() const { return block_; }
  char* shared() const { return shared_.get(); }
  Warp& warp_of(int thread) { return warps_[thread / kLanes]; }

  // Returns when all lanes of the warp have come here. Only with `fence` does it order what they do to memory.
  void meet_warp(int thread, const Site& site, bool fence) {
    char& token = warp_of(thread).tokens[warp_of(thread).turn];
    if (fence) give(token);
    if (join_warp(thread, site)) warp_of(thread).release();
    leave(thread);
    if (fence) take(token);
  }

  // Returns when all threads of the block have come here: whether `value` holds for any of them.
  bool meet_block(int thread, const Site& site, bool value) {
    any_so_far_ |= value;
    char& token = tokens_[turn_];
    give(token);
    if (join_warp(thread, site) && join_block(thread, site)) {
      any_ = std::exchange(any_so_far_, false);
      waiting_warps_ = 0;
      turn_ ^= 1;
      for (Warp& warp : warps_) warp.release();
      draw_order();
    }
    leave(thread);
    take(token);
    return any_;  // of this barrier: the next one cannot end before all have read it
  }

 private:
  static void enter() {
    Team& team = *running_;
    const int thread = team.current_;
    arrive(team.fibers_[thread]);
    team.thread_body_(team, thread);
    unwatch();
    team.finish(thread);
  }

  // Notes that the thread waits. True for the last lane of a warp.
  bool join_warp(int thread, const Site& site) {
    Warp& warp = warp_of(thread);
    if (warp.returned) fail_returned(warp.first_of(warp.returned), thread, site);
    if (!warp.waiting) {
      warp.site = site;
    } else if (!(warp.site == site)) {
      fail_different("lanes of a warp", warp.first_of(warp.waiting), warp.site, thread, site);
    }
    warp.waiting |= 1u << thread % kLanes;
    return warp.waiting == kAllLanes;
  }

  // Notes that a whole warp waits. True for the last one.
  bool join_block(int thread, const Site& site) {
    for (const Warp& warp : warps_) {
      if (warp.returned) fail_returned(warp.first_of(warp.returned), thread, site);
    }
    if (waiting_warps_ == 0) {
      block_site_ = site;
      block_thread_ = thread;
    } else if (!(block_site_ == site)) {
      fail_different("warps of a block", block_thread_, block_site_, thread, site);
    }
    return ++waiting_warps_ == static_cast<int>(warps_.size());
  }

  void finish(int thread) {
    Warp& warp = warp_of(thread);
    if (warp.waiting) fail_returned(thread, warp.first_of(warp.waiting), warp.site);
    if (waiting_warps_) fail_returned(thread, block_thread_, block_site_);
    warp.returned |= 1u << thread % kLanes;
    --unfinished_;
    give(end_token_);
    leave(thread);
  }

  [[noreturn]] void fail_returned(int returned, int waiting, const Site& site) {
    fail(block_text() + "deadlock, thread " + std::to_string(returned) + " returned while thread " +
         std::to_string(waiting) + " waits in " + site.text());
  }

  [[noreturn]] void fail_different(const char* who, int a, const Site& at_a, int b, const Site& at_b) {
    fail(block_text() + "divergence, " + who + " wait in different operations: thread " + std::to_string(a) + " in " +
         at_a.text() + ", thread " + std::to_string(b) + " in " + at_b.text());
  }

  std::string block_text() const { return "block " + std::to_string(block_) + ": "; }

  // To the thread whose turn it is, maybe this one; to the starter after the last one.
  void leave(int thread) {
    current_ = next();
    if (current_ == thread) return;
    if (current_ < 0 && unfinished_) fail(block_text() + "deadlock, no thread can go on");
    const bool last = warp_of(thread).returned >> thread % kLanes & 1;
    switch_to(fibers_[thread], current_ < 0 ? starter_ : fibers_[current_], last);
  }

  // A thread that can go on, or -1: of the first such warp, so that warps run ahead as far as they can, or of any.
  int next() {
    const size_t start = scattered_ ? random_.below(order_.size()) : 0;
    for (size_t i = 0; i < order_.size(); ++i) {
      Warp& warp = warps_[order_[(start + i) % order_.size()]];
      if (!warp.ready) continue;
      const int skip = seed_ ? static_cast<int>(random_.below(kLanes)) : 0;
      const int lane = (std::countr_zero(std::rotr(warp.ready, skip)) + skip) % kLanes;
      warp.ready &= ~(1u << lane);
      return warp.first + lane;
    }
    return -1;
  }

  void draw_order() {
    if (seed_ == 0) return;
    random_.permute(order_);
    scattered_ = random_.below(2) == 1;
  }

  static inline Team* running_ = nullptr;

  std::function<void(Team&, int)> thread_body_;
  uint64_t seed_;
  Random random_;
  size_t shared_bytes_;
  Fibers stacks_;
  std::vector<Context> fibers_;
  Context starter_;

  int64_t block_ = 0;
  std::unique_ptr<char[]> shared_;  // of exactly the size asked for: one byte more is an error
  std::vector<Warp> warps_;
  int current_ = 0, unfinished_ = 0;

  std::vector<int> order_;  // of warps
  bool scattered_ = false;

  Site block_site_ = {};
  int block_thread_ = 0, waiting_warps_ = 0;
  bool any_ = false, any_so_far_ = false;

  // Of the block's barriers, by turns: who is early at the next one must not give to who is late at this one.
  char tokens_[2] = {}, end_token_ = 0;
  int turn_ = 0;
};

}  // namespace emulator
