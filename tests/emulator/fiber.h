// Fibers: stacks that take turns on one thread of the operating system. swapcontext would do, but it makes a system
// call each time; this saves the registers that a call preserves, and swaps stack pointers.
#pragma once

#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/tsan_interface.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#if defined(__SANITIZE_THREAD__)
// Of ThreadSanitizer, and in no header of its own.
extern "C" void AnnotateIgnoreReadsBegin(const char* file, int line);
extern "C" void AnnotateIgnoreReadsEnd(const char* file, int line);
extern "C" void AnnotateIgnoreWritesBegin(const char* file, int line);
extern "C" void AnnotateIgnoreWritesEnd(const char* file, int line);
#endif

// switch_stack(&of_this_one, of_the_other): weak, as every file that includes this holds a copy.
extern "C" void neural_paint_switch_stack(void** from, void* to);

#if defined(__x86_64__)
asm(R"(
  .text
  .weak neural_paint_switch_stack
  .type neural_paint_switch_stack, @function
neural_paint_switch_stack:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
  .size neural_paint_switch_stack, . - neural_paint_switch_stack
)");
#elif defined(__aarch64__)
asm(R"(
  .text
  .weak neural_paint_switch_stack
  .type neural_paint_switch_stack, %function
neural_paint_switch_stack:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
  .size neural_paint_switch_stack, . - neural_paint_switch_stack
)");
#else
#error "the emulator switches stacks on x86-64 and aarch64 only"
#endif

namespace emulator {

// One side of a switch: a fiber, or the thread that started them.
struct Context {
  void* stack_pointer = nullptr;
  void* fake_stack = nullptr;    // AddressSanitizer's
  const void* bottom = nullptr;  // of the stack; of the starting thread's AddressSanitizer tells
  size_t bytes = 0;
  void* racer = nullptr;  // what ThreadSanitizer takes the fiber for
};

// ThreadSanitizer disregards what its thread or fiber reads and writes between these: the emulator's own data.
inline void unwatch() {
#if defined(__SANITIZE_THREAD__)
  AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
  AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
#endif
}
inline void watch() {
#if defined(__SANITIZE_THREAD__)
  AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
  AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
#endif
}
struct Unwatched {
  Unwatched() { unwatch(); }
  Unwatched(const Unwatched&) = delete;
  ~Unwatched() { watch(); }
};

// For ThreadSanitizer: what one did before it gave to a token happens before what others do after they took from it.
inline void give([[maybe_unused]] char& token) {
#if defined(__SANITIZE_THREAD__)
  __tsan_release(&token);
#endif
}
inline void take([[maybe_unused]] char& token) {
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(&token);
#endif
}

inline Context* came_from = nullptr;

// First thing on arrival, whether in a new fiber or back in an old one.
inline void arrive([[maybe_unused]] Context& here) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(here.fake_stack, &came_from->bottom, &came_from->bytes);
#endif
}

// Goes on in `to`; returns when somebody switches back. The last switch out of a fiber never returns.
inline void switch_to(Context& from, Context& to, [[maybe_unused]] bool last = false) {
  came_from = &from;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(last ? nullptr : &from.fake_stack, to.bottom, to.bytes);
#endif
#if defined(__SANITIZE_THREAD__)
  if (!from.racer) from.racer = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(to.racer, __tsan_switch_to_fiber_no_sync);
#endif
  neural_paint_switch_stack(&from.stack_pointer, to.stack_pointer);
  arrive(from);
}

// Stacks for `count` fibers, each above a page that may not be touched.
class Fibers {
 public:
  explicit Fibers(int count) : count_(count), page_(sysconf(_SC_PAGESIZE)) { map(0); }
  Fibers(const Fibers&) = delete;
  ~Fibers() { munmap(memory_, count_ * stride()); }

  // Before the fibers start again.
  void renew() {
#if defined(__SANITIZE_THREAD__)
    map(MAP_FIXED);  // or the last fiber's accesses would be held against the next one
#endif
  }

  // Fiber i from the start: the first switch to it enters `entry`, which must not return.
  Context start(int i, void (*entry)(), [[maybe_unused]] int64_t block) {
    char* const bottom = memory_ + i * stride() + page_;
    // What entered and never returned left its marks at the top, and another mapping may have left them here.
    ASAN_UNPOISON_MEMORY_REGION(bottom + kStackBytes - kEntryBytes, kEntryBytes);
    constexpr size_t kSaved = kFrameWords * sizeof(void*);
    void* frame[kFrameWords] = {};
    frame[kReturnWord] = reinterpret_cast<void*>(entry);
    Context context = {bottom + kStackBytes - kSaved, nullptr, bottom, kStackBytes, nullptr};
    std::memcpy(context.stack_pointer, frame, kSaved);
#if defined(__SANITIZE_THREAD__)
    context.racer = __tsan_create_fiber(0);
    const std::string name = "block " + std::to_string(block) + " thread " + std::to_string(i);
    __tsan_set_fiber_name(context.racer, name.c_str());
#endif
    return context;
  }

  // After its last switch, which it made unwatched.
  static void end([[maybe_unused]] void* racer) {
#if defined(__SANITIZE_THREAD__)
    void* const here = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(racer, __tsan_switch_to_fiber_no_sync);
    watch();
    __tsan_switch_to_fiber(here, __tsan_switch_to_fiber_no_sync);
    __tsan_destroy_fiber(racer);
#endif
  }

 private:
  static constexpr size_t kStackBytes = 256 << 10;
  static constexpr size_t kEntryBytes = 8 << 10;
#if defined(__x86_64__)
  // Six registers, the return address, and one word more: a function starts 8 bytes off a multiple of 16.
  static constexpr size_t kFrameWords = 8, kReturnWord = 6;
#else
  static constexpr size_t kFrameWords = 20, kReturnWord = 11;
#endif
  size_t stride() const { return kStackBytes + page_; }

  void map(int flags) {
    void* memory = mmap(memory_, count_ * stride(), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
    if (memory == MAP_FAILED) {
      std::perror("emulator: no memory for the stacks of a block");
      std::abort();
    }
    memory_ = static_cast<char*>(memory);
    for (size_t i = 0; i < count_; ++i) mprotect(memory_ + i * stride(), page_, PROT_NONE);
  }

  size_t count_, page_;
  char* memory_ = nullptr;
};

}  // namespace emulator
