// Uniform random numbers. Blocks are independent, so the ten rounds of Philox run on vectors.
#include "kernels/cpu/loops/loops.h"

namespace understudy::cpu::UNDERSTUDY_ISA {
namespace {

// Elements of one block.
template <class T>
constexpr Index E = sizeof(T) == 4 ? 4 : 2;

template <class T>
[[gnu::always_inline]] inline double unit(const std::uint32_t (&word)[4], Index i) {
  if constexpr (sizeof(T) == 4)
    return static_cast<double>(unit_float(word[i]));
  else
    return unit_double(word[2 * i], word[2 * i + 1]);
}

template <class T>
void uniform(Index begin, Index end, T* out, PhiloxKey key, std::uint64_t first, double low,
             double high) {
  const double span = high - low;
  const auto value = [&](const PhiloxBlock& block, Index i) __attribute__((always_inline)) {
    return static_cast<T>(low + span * unit<T>(block.word, i));
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
