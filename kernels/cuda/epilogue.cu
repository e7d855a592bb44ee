#include "kernels/cuda/epilogue.h"

#include "kernels/cuda/launch.h"
#include "kernels/cuda/quad.h"

namespace understudy::cuda {
namespace {

// Bound by memory: each sum is read and written once, a residual read once.
template <class T, class From, bool quads>
__global__ void finish_kernel(T* out, const From* sums, std::int64_t count, std::int64_t K,
                              Finish<T> finish) {
  constexpr int width = quads ? quad_size : 1;
  for_each_step(count / width, [&](std::int64_t step) {
    const std::int64_t at = step * width, k = at % K;
    if constexpr (quads) {
      Quad<From> sum = {};
      if (sums != nullptr) sum = *reinterpret_cast<const Quad<From>*>(sums + at);
      Quad<T> result;
      for (int i = 0; i < width; ++i)
        result.v[i] = finish(Convert<T, From>::from(sum.v[i]), k + i, at + i);
      *reinterpret_cast<Quad<T>*>(out + at) = result;
    } else {
      const From sum = sums == nullptr ? From{} : sums[at];
      out[at] = finish(Convert<T, From>::from(sum), k, at);
    }
  });
}

}  // namespace

template <class T, class From>
void finish_rows(const Stream& stream, T* out, const From* sums, std::int64_t rows, std::int64_t K,
                 const Finish<T>& finish) {
  const std::int64_t count = rows * K;
  if (count == 0) return;
  if (takes_quads(out, K) && (sums == nullptr || takes_quads(sums, K)))
    launch(stream, grid_for(count / quad_size), finish_kernel<T, From, true>, out, sums, count, K,
           finish);
  else
    launch(stream, grid_for(count), finish_kernel<T, From, false>, out, sums, count, K, finish);
}

template void finish_rows(const Stream&, float*, const float*, std::int64_t, std::int64_t,
                          const Finish<float>&);
template void finish_rows(const Stream&, double*, const double*, std::int64_t, std::int64_t,
                          const Finish<double>&);
template void finish_rows(const Stream&, float*, const Bf16*, std::int64_t, std::int64_t,
                          const Finish<float>&);

}  // namespace understudy::cuda
