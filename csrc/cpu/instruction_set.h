// Which of the instruction sets that this library has kernels for is in use.
#pragma once

namespace neural_paint {

// The lowest is what every CPU of the architecture has.
enum class InstructionSet { kBaseline, kAvx2, kAvx512 };

// Those that this library was built for, by name and in that order.
#if defined(__x86_64__)
inline constexpr char kInstructionSets[] = "baseline,avx2,avx512";
#elif defined(__aarch64__)
inline constexpr char kInstructionSets[] = "neon";
#else
inline constexpr char kInstructionSets[] = "baseline";
#endif

// The best that this CPU has, unless another was asked for.
InstructionSet instruction_set();

}  // namespace neural_paint
