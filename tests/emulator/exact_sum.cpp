// The exact sums of the CUDA kernels: each row of numbers is added up by the threads of a block.
#include "cuda/exact_sum.cuh"

#include "arrays.h"
#include "emulator.h"

namespace {

using namespace neural_paint;
using namespace emulator;

template <typename T>
void sum_rows(const Arrays& in, Arrays& out) {
  const Array<T> terms = in.get<T>("terms");
  const int64_t rows = terms.shape[0], columns = terms.shape[1];
  std::vector<int64_t> digits(ExactSums<T>::kPlanes * rows);
  const ExactSums<T> sums{digits.data(), rows};
  run_blocks(rows, 64, 0, [&](HostBlock& block) {
    for (int64_t i = block.thread(); i < columns; i += block.threads())
      sums.add(block, block.index(), terms.data[block.index() * columns + i]);
  });
  const Array<T> made = out.make<T>("sums", {rows});
  for (int64_t row = 0; row < rows; ++row) made.data[row] = sums.sum(row);
}

}  // namespace

// Usage: exact_sum FILE_IN FILE_OUT
int main(int, char** arguments) {
  const Arrays in(arguments[1]);
  Arrays out;
  if (*in.get<uint8_t>("is_double").data)
    sum_rows<double>(in, out);
  else
    sum_rows<float>(in, out);
  out.save(arguments[2]);
}
