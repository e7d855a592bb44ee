// What the programs of this folder share: their arguments, arrays, the machine's peak, and time.
// None of it is a step of a ladder.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#define STUDY_X86 1
#define STUDY_AVX2 __attribute__((target("avx2,fma")))
#define STUDY_AVX512 __attribute__((target("avx512f")))
#else  // whatever has vectors of 16 bytes computes wider ones in pieces
#define STUDY_AVX2
#define STUDY_AVX512
#endif

namespace study {

using Index = std::int64_t;

enum class Needs { avx2, avx512 };

inline bool machine_has(Needs needs) {
#ifdef STUDY_X86
  __builtin_cpu_init();
  if (needs == Needs::avx512) return __builtin_cpu_supports("avx512f");
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return needs != Needs::avx512;
#endif
}

// True, after saying so, when the machine lacks what a program needs.
inline bool skipped(const char* program, Needs needs) {
  if (machine_has(needs)) return false;
  std::printf("%s: [skipped] this machine has no %s\n", program,
              needs == Needs::avx512 ? "AVX-512" : "AVX2 with FMA");
  return true;
}

// --check: small sizes, no timing (the tests). --threads N: for the steps that use threads.
struct Arguments {
  bool check = false;
  int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
};

inline Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--check") == 0) {
      arguments.check = true;
    } else if (std::strcmp(argv[i], "--threads") == 0 && i + 1 < argc &&
               std::atoi(argv[i + 1]) >= 1 && std::atoi(argv[i + 1]) <= 1024) {
      arguments.threads = std::atoi(argv[++i]);
    } else {
      std::fprintf(stderr, "usage: %s [--check] [--threads N]   (1 <= N <= 1024)\n", argv[0]);
      std::exit(2);
    }
  }
  return arguments;
}

// Floats that begin at a cache line; zeros at first.
class Array {
 public:
  explicit Array(Index count)
      : data_(static_cast<float*>(::operator new (bytes(count), std::align_val_t{64}))) {
    std::fill_n(data_.get(), count, 0.0f);
  }
  float* get() const { return data_.get(); }
  float& operator[](Index i) const { return data_[static_cast<std::size_t>(i)]; }

 private:
  static std::size_t bytes(Index count) { return static_cast<std::size_t>(count) * sizeof(float); }
  struct Free {
    void operator()(float* p) const { ::operator delete (p, std::align_val_t{64}); }
  };
  std::unique_ptr<float[], Free> data_;
};

// Numbers in [-1, 1), the same every time.
inline Array random_array(Index count, std::uint32_t seed) {
  Array array(count);
  std::uint32_t state = seed;
  for (Index i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    array[i] = static_cast<float>(state >> 8) / 8388608.0f - 1.0f;
  }
  return array;
}

// body(t) for each t < threads, at the same time; the caller is number 0.
template <class Body>
void run_on(int threads, const Body& body) {
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back([&body, t] { body(t); });
  body(0);
  for (std::thread& other : others) other.join();
}

// The least seconds that body() took, of at least three runs and half a second of them. The least,
// because whatever else the machine does can only add.
template <class Body>
double least_seconds(const Body& body) {
  using Clock = std::chrono::steady_clock;
  double least = 1e30, total = 0;
  for (int run = 0; run < 3 || total < 0.5; ++run) {
    const auto start = Clock::now();
    body();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    least = std::min(least, seconds);
    total += seconds;
  }
  return least;
}

// Multiply-adds that stay in registers, each waiting for its own last one: 12 at a time, because
// one takes 4 or 5 cycles and two start in a cycle. Rounding keeps the compiler from shortening it.
#define STUDY_PEAK_LOOP(name, attribute, bytes)                                                  \
  attribute inline float name(Index steps, float x, float y) {                                   \
    typedef float Vector __attribute__((vector_size(bytes)));                                    \
    Vector sums[12];                                                                             \
    const Vector factor = Vector{} + y;                                                          \
    _Pragma("GCC unroll 12") for (int i = 0; i < 12; ++i) sums[i] = factor + x * i;              \
    for (Index step = 0; step < steps; ++step)                                                   \
      _Pragma("GCC unroll 12") for (int i = 0; i < 12; ++i) sums[i] = sums[i] * factor + factor; \
    Vector sum = {};                                                                             \
    _Pragma("GCC unroll 12") for (int i = 0; i < 12; ++i) sum += sums[i];                        \
    return sum[0];                                                                               \
  }
STUDY_PEAK_LOOP(peak_loop_baseline, , 16)
#ifdef STUDY_X86
STUDY_PEAK_LOOP(peak_loop_avx2, STUDY_AVX2, 32)
STUDY_PEAK_LOOP(peak_loop_avx512, STUDY_AVX512, 64)
#endif

// GFLOP/s of such multiply-adds with the widest vectors that the machine has: the ceiling for every
// program here.
inline double measured_peak(int threads) {
  float (*loop)(Index, float, float) = peak_loop_baseline;
  double lanes = 4;
#ifdef STUDY_X86
  if (machine_has(Needs::avx2)) loop = peak_loop_avx2, lanes = 8;
  if (machine_has(Needs::avx512)) loop = peak_loop_avx512, lanes = 16;
#endif
  const Index steps = 1000000;
  std::vector<float> results(static_cast<std::size_t>(threads));
  const double seconds = least_seconds([&] {
    run_on(threads, [&](int t) { results[static_cast<std::size_t>(t)] = loop(steps, 1.0f, 0.5f); });
  });
  return 2 * 12 * lanes * static_cast<double>(steps) * threads / seconds * 1e-9;
}

inline void print_speed(const char* program, const char* problem, int threads, double flops,
                        double seconds) {
  const double peak = measured_peak(threads), speed = flops / seconds * 1e-9;
  std::printf("%s: %s, %d thread%s: %.1f ms, %.1f GFLOP/s, %.0f %% of the measured peak of %.0f\n",
              program, problem, threads, threads == 1 ? "" : "s", seconds * 1e3, speed,
              100 * speed / peak, peak);
}

}  // namespace study
