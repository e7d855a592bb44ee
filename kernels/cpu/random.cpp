#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/loops/loops.h"
#include "kernels/dispatch.h"
#include "kernels/parallel.h"

namespace understudy::cpu {
namespace {

constexpr std::int64_t uniform_grain = 8192;
constexpr std::int64_t normal_grain = 512;  // logarithm, root, sine and cosine in double

struct NormalPair {
  double first, second;
};

// Box–Muller: u in (0, 1] sets the radius, v in [0, 1) the angle.
NormalPair normal_pair(double u, double v) {
  const double radius = std::sqrt(-2 * std::log(u));
  const double angle = 2 * std::numbers::pi * v;
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

// Pair j of a draw: elements 2j and 2j + 1. A block holds two pairs of floats or one of doubles.
template <class T>
NormalPair drawn_pair(PhiloxKey key, std::uint64_t first, std::int64_t j) {
  if constexpr (sizeof(T) == 4) {
    const PhiloxBlock block = philox(key, first + static_cast<std::uint64_t>(j / 2));
    constexpr double unit = 1.0 / 4294967296.0;
    const std::uint32_t* const word = block.word + (j % 2) * 2;
    return normal_pair((word[0] + 1.0) * unit, word[1] * unit);
  } else {
    const PhiloxBlock block = philox(key, first + static_cast<std::uint64_t>(j));
    return normal_pair(1.0 - unit_double(block.word[0], block.word[1]),
                       unit_double(block.word[2], block.word[3]));
  }
}

}  // namespace

void CpuBackend::uniform(const View& out, PhiloxKey key, std::uint64_t first, double low,
                         double high) {
  with_float(out.dtype, [&]<class T>(Type<T>) {
    parallel_for(out.shape.count(), uniform_grain, [&](std::int64_t begin, std::int64_t end) {
      loops<T>().random->uniform(begin, end, out.as<T>(), key, first, low, high);
    });
  });
}

void CpuBackend::normal(const View& out, PhiloxKey key, std::uint64_t first, double mean,
                        double std) {
  const std::int64_t count = out.shape.count();
  with_float(out.dtype, [&]<class T>(Type<T>) {
    T* const to = out.as<T>();
    parallel_for((count + 1) / 2, normal_grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t j = begin; j < end; ++j) {
        const NormalPair pair = drawn_pair<T>(key, first, j);
        to[2 * j] = static_cast<T>(mean + std * pair.first);
        if (2 * j + 1 < count) to[2 * j + 1] = static_cast<T>(mean + std * pair.second);
      }
    });
  });
}

}  // namespace understudy::cpu
