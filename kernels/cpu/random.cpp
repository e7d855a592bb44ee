#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/loops/loops.h"
#include "kernels/dispatch.h"
#include "kernels/draws.h"
#include "kernels/parallel.h"

namespace understudy::cpu {
namespace {

constexpr std::int64_t uniform_grain = 8192;
constexpr std::int64_t normal_grain = 512;  // logarithm, root, sine and cosine in double

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
    constexpr std::int64_t pairs = draws_of_block<T> / 2;
    T* const to = out.as<T>();
    parallel_for((count + 1) / 2, normal_grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t j = begin; j < end; ++j) {
        const PhiloxBlock block = philox(key, first + static_cast<std::uint64_t>(j / pairs));
        const NormalPair pair = normal_draw<T>(block, j % pairs);
        to[2 * j] = static_cast<T>(mean + std * pair.first);
        if (2 * j + 1 < count) to[2 * j + 1] = static_cast<T>(mean + std * pair.second);
      }
    });
  });
}

}  // namespace understudy::cpu
