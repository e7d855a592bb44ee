#include "tools/bench_kernels/peak.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>

#include "engine/storage.h"
#include "engine/tensor.h"
#include "kernels/backend.h"
#include "kernels/cpu/isa.h"
#include "kernels/parallel.h"
#include "tools/bench_kernels/measurement.h"

namespace understudy::bench {
namespace {

// Twelve sums, each waiting for its own last multiply-add: one takes 4 or 5 cycles and two start in
// a cycle. Rounding keeps the compiler from shortening it.
#define UNDERSTUDY_PEAK_LOOP(name, attribute, bytes)                                        \
  attribute float name(std::int64_t steps, float x, float y) {                              \
    typedef float Vector __attribute__((vector_size(bytes)));                               \
    Vector sums[12];                                                                        \
    const Vector factor = Vector{} + y;                                                     \
    _Pragma("GCC unroll 12") for (int i = 0; i < 12; ++i) sums[i] = factor + x * float(i);  \
    for (std::int64_t step = 0; step < steps; ++step)                                       \
      _Pragma("GCC unroll 12") for (int i = 0; i < 12; ++i) sums[i] = sums[i] * factor + y; \
    Vector sum = {};                                                                        \
    _Pragma("GCC unroll 12") for (int i = 0; i < 12; ++i) sum += sums[i];                   \
    return sum[0];                                                                          \
  }
UNDERSTUDY_PEAK_LOOP(peak_baseline, , 16)
#ifdef __x86_64__
UNDERSTUDY_PEAK_LOOP(peak_avx2, __attribute__((target("avx2,fma"))), 32)
UNDERSTUDY_PEAK_LOOP(peak_avx512, __attribute__((target("avx512f"))), 64)
#endif

struct Loop {
  float (*run)(std::int64_t steps, float x, float y);
  int lanes;
};
Loop widest_loop() {
#ifdef __x86_64__
  if (cpu::is_available(cpu::InstructionSet::avx512)) return {peak_avx512, 16};
  if (cpu::is_available(cpu::InstructionSet::avx2)) return {peak_avx2, 8};
#endif
  return {peak_baseline, 4};
}

// The least of many, because whatever else the machine does can only add.
double least_seconds(const std::function<void()>& body) {
  using Clock = std::chrono::steady_clock;
  double least = 1e30, total = 0;
  while (total < 0.4) {
    const auto start = Clock::now();
    body();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    least = std::min(least, seconds);
    total += seconds;
  }
  return least;
}

// Of a device whose innermost loops are not ours to write: what its library makes of a large product,
// and a copy of an array much larger than caches. Both grow to what keeps the device busy for a while,
// or to 256 MB and 1 GB for each array.
Peak measure_with_kernels(Device device) {
  constexpr double long_enough = 5e-3;
  constexpr std::int64_t most_rows = 8192, most_count = std::int64_t{1} << 28;
  Backend& kernels = backend(device);
  const auto timed = [&](const std::function<void()>& call) {
    return least_seconds([&] {
      call();
      kernels.synchronize();
    });
  };
  Peak peak;
  double seconds = 0;
  for (std::int64_t n = 256; n <= most_rows && seconds < long_enough; n *= 2) {
    const Tensor a = random({n, n}, 1, device), b = random({n, n}, 2, device);
    Tensor out = Tensor::empty({n, n}, DType::f32, device);
    seconds = timed([&] { kernels.matmul(out.mutable_view(), a.view(), b.view(), {}); });
    peak.flops = 2.0 * std::pow(static_cast<double>(n), 3) / seconds;
  }
  seconds = 0;
  for (std::int64_t count = 1 << 20; count <= most_count && seconds < long_enough; count *= 4) {
    const Tensor from = random({count}, 3, device);
    Tensor to = Tensor::empty({count}, DType::f32, device);
    seconds = timed([&] { kernels.copy(to.mutable_view(), from.view()); });
    peak.bytes = 2.0 * sizeof(float) * static_cast<double>(count) / seconds;
  }
  release_cached_memory(device);
  return peak;
}

}  // namespace

Peak measure_peak(Device device) {
  if (device.kind != DeviceKind::cpu) return measure_with_kernels(device);
  const int threads = num_threads();
  const Loop loop = widest_loop();
  constexpr std::int64_t steps = 200000;
  std::vector<float> sums(static_cast<std::size_t>(threads));
  const double compute = least_seconds([&] {
    run_chunks(threads,
               [&](int t) { sums[static_cast<std::size_t>(t)] = loop.run(steps, 1.0f, 0.5f); });
  });

  constexpr std::int64_t count = 1 << 25;  // 128 MB each
  Tensor a = Tensor::zeros({count}), b = Tensor::ones({count}), c = Tensor::ones({count});
  float* const to = a.mutable_data<float>().data();
  const float *const from = b.data<float>().data(), *const other = c.data<float>().data();
  const double stream = least_seconds([&] {
    parallel_for(count, 1 << 16, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) to[i] = from[i] + 0.5f * other[i];
    });
  });
  return {2.0 * 12 * loop.lanes * static_cast<double>(steps) * threads / compute,
          3.0 * sizeof(float) * static_cast<double>(count) / stream};
}

}  // namespace understudy::bench
