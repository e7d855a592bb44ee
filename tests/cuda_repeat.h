// The same call twice on a GPU must give the same bits, whatever others left in the working memory;
// and on the emulated GPU whatever the order of threads.
#pragma once

#include <vector>

#include "tests/cuda_arrays.h"

#ifdef UNDERSTUDY_EMULATED_CUDA
#include "emulated.h"
#endif

namespace understudy::testing {

// Reductions that leave NaN in what a call may find as its working memory.
inline void leave_nan_behind() {
  Array<double> x(Dims{2000, 320});
  for (std::int64_t i = 0; i < x.shape().count(); ++i) x[i] = NAN;
  const OnGpu<double> all_nan(x);
  OnGpu<double> out(Dims{1, 320});
  gpu_backend().reduce(Reduction::sum, out, all_nan);
}

// The arrays that compute() returns.
template <class Compute>
auto repeated(Compute&& compute) {
  const auto first = compute();
  leave_nan_behind();
#ifdef UNDERSTUDY_EMULATED_CUDA
  emulated::set_reversed(true);
#endif
  const auto second = compute();
#ifdef UNDERSTUDY_EMULATED_CUDA
  emulated::set_reversed(false);
#endif
  for (std::size_t i = 0; i < first.size(); ++i) {
    CAPTURE(i);
    CHECK(same_bits(first[i], second[i]));
    CHECK(first[i].guards_intact());
  }
  return first;
}

// The same values in double, for a reference on the CPU.
template <class T>
Array<double> in_double(const Array<T>& x, Layout layout = Layout::dense) {
  Array<double> wide(x.shape(), layout);
  for_each_index(x.shape(), [&](const Dims& i) { wide.at(i) = static_cast<double>(x.at(i)); });
  return wide;
}

// `shape`, dense, from element `by` of memory that is aligned at element 0.
template <class T>
View moved(OnGpu<T>& memory, const Dims& shape, std::int64_t by) {
  View view = memory;
  return {view.as<T>() + by, view.dtype, shape, contiguous_strides(shape)};
}

}  // namespace understudy::testing
