#include "instruction_set.h"

#include "calls.h"

namespace neural_paint {
namespace {

InstructionSet best() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw"))
    return InstructionSet::kAvx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return InstructionSet::kAvx2;
#endif
  return InstructionSet::kBaseline;
}

std::atomic<InstructionSet>& current() {
  static std::atomic<InstructionSet> value{best()};
  return value;
}

// Takes one that this CPU does not have for the best that it has; a negative one asks only. For tests and benchmarks.
int64_t use_instruction_set(int64_t wanted) {
  if (wanted >= 0) current() = static_cast<InstructionSet>(std::min(wanted, static_cast<int64_t>(best())));
  return static_cast<int64_t>(current().load());
}

}  // namespace

InstructionSet instruction_set() { return current(); }

const Kernels& kernels(const torch::stable::Tensor& geometry) {
#if defined(__x86_64__)
  if (geometry.scalar_type() == torch::headeronly::ScalarType::Float) {
    if (instruction_set() == InstructionSet::kAvx512) return kAvx512Kernels;
    if (instruction_set() == InstructionSet::kAvx2) return kAvx2Kernels;
  }
#endif
  return kBaselineKernels;
}

}  // namespace neural_paint

STABLE_TORCH_LIBRARY_IMPL(neural_paint, CompositeExplicitAutograd, m) {
  m.impl("use_instruction_set", TORCH_BOX(&neural_paint::use_instruction_set));
}
