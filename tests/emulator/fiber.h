// Fibers: stacks that take turns on one thread of the operating system. swapcontext would do, but it makes a system
// call each time; this saves the registers that a call preserves, and swaps stack pointers.
#pragma once

#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

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
};

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
  neural_paint_switch_stack(&from.stack_pointer, to.stack_pointer);
  arrive(from);
}

// Stacks for `count` fibers, each above a page that may not be touched.
class Fibers {
 public:
  explicit Fibers(int count) : count_(count), page_(sysconf(_SC_PAGESIZE)) {
    void* memory =
        mmap(nullptr, count_ * stride(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
      std::perror("emulator: no memory for the stacks of a block");
      std::abort();
    }
    memory_ = static_cast<char*>(memory);
    for (size_t i = 0; i < count_; ++i) mprotect(memory_ + i * stride(), page_, PROT_NONE);
  }
  Fibers(const Fibers&) = delete;
  ~Fibers() { munmap(memory_, count_ * stride()); }

  // Fiber i from the start: the first switch to it enters `entry`, which must not return.
  Context start(int i, void (*entry)()) {
    char* const bottom = memory_ + i * stride() + page_;
    // What entered and never returned left its marks at the top, and another mapping may have left them here.
    ASAN_UNPOISON_MEMORY_REGION(bottom + kStackBytes - kEntryBytes, kEntryBytes);
    constexpr size_t kSaved = kFrameWords * sizeof(void*);
    void* frame[kFrameWords] = {};
    frame[kReturnWord] = reinterpret_cast<void*>(entry);
    char* const stack_pointer = bottom + kStackBytes - kSaved;
    std::memcpy(stack_pointer, frame, kSaved);
    return {stack_pointer, nullptr, bottom, kStackBytes};
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

  size_t count_, page_;
  char* memory_;
};

}  // namespace emulator
