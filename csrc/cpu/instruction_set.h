// Which of the instruction sets that this library has kernels for is in use.
#pragma once

namespace neural_paint {

enum class InstructionSet { kBaseline, kAvx2, kAvx512 };

// The best that this CPU has, unless another was asked for.
InstructionSet instruction_set();

}  // namespace neural_paint
