// Uniform random numbers. Blocks are independent, so the ten rounds of Philox run on vectors.
#include "kernels/cpu/loops/loops.h"
#include "kernels/draws.h"

namespace understudy::cpu::UNDERSTUDY_ISA {
namespace {

template <class T>
constexpr Index E = draws_of_block<T>;

template <class T>
void uniform(Index begin, Index end, T* out, PhiloxKey key, std::uint64_t first, double low,
             double high) {
  const double span = high - low;
  const auto value = [&](const PhiloxBlock& block, Index i) __attribute__((always_inline)) {
    return uniform_draw<T>(block, i, low, span);
  };
  Index i = begin;
  for (; i < end && i % E<T> != 0; ++i)
    out[i] = value(philox(key, first + static_cast<std::uint64_t>(i / E<T>)), i % E<T>);
  const Index blocks = (end - i) / E<T>;
  const std::uint64_t base = first + static_cast<std::uint64_t>(i / E<T>);
#pragma omp simd
  for (Index b = 0; b < blocks; ++b) {
    const PhiloxBlock block = philox(key, base + static_cast<std::uint64_t>(b));
    for (Index j = 0; j < E<T>; ++j) out[i + b * E<T> + j] = value(block, j);
  }
  i += blocks * E<T>;
  for (; i < end; ++i)
    out[i] = value(philox(key, first + static_cast<std::uint64_t>(i / E<T>)), i % E<T>);
}

template <class T>
inline constexpr RandomLoops<T> table = {uniform<T>};

}  // namespace

const RandomLoops<float> random_f32 = table<float>;
const RandomLoops<double> random_f64 = table<double>;

}  // namespace understudy::cpu::UNDERSTUDY_ISA
