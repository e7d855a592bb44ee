// The problem of the convolution ladder: 3×3 windows, stride 1, one pixel of zeros around.
//   y[n, p, q, k] = Σ over r, s, c of x[n, p + r - 1, q + s - 1, c] · w[k, r, s, c]
// Images (N, H, W, C) with the channels next to each other, weights (K, 3, 3, C).
#pragma once

#include <string>

#include "measure.h"

namespace study {

struct Conv {
  Index N, H, W, C, K;
  const float *x, *w;
  const float* bias;      // (K), for the step whose result is relu(y + bias); else null
  const float* prepared;  // what the step's `prepare` made of w
  float* y;
  int threads;
  float* scratch;  // room for as many floats as the step's `scratch` says

  Index pixels() const { return N * H * W; }
};

// What a program of the ladder is made of.
struct ConvStep {
  void (*run)(const Conv&);
  // The weights in the order, or form, that `run` reads. Done once and not timed, as for a network
  // that has learned; in training it is a part of every step.
  Array (*prepare)(const Conv&) = nullptr;
  // Taken once, because asking the system for memory costs more than using it.
  Index (*scratch)(const Conv&) = nullptr;
  Needs needs = Needs::avx2;
  bool threads = false;
  bool bias_relu = false;
  Index images = 24;  // of the large problem
  // The same result in another way, to time beside this one.
  const char* rival_name = nullptr;
  void (*rival)(const Conv&) = nullptr;
};

// Compares every `stride`-th element with its sum in double: at most 3e-5 of the results' root mean
// square apart, which is what the engine allows Winograd's transforms (plain sums stay far below).
inline bool is_right(const Conv& v, Index stride) {
  double squares = 0, worst = 0;
  Index count = 0, worst_at = 0;
  for (Index e = 0; e < v.pixels() * v.K; e += stride, ++count) {
    const Index k = e % v.K, q = e / v.K % v.W, p = e / v.K / v.W % v.H, n = e / v.K / v.W / v.H;
    double sum = v.bias == nullptr ? 0 : double(v.bias[k]);
    for (Index r = 0; r < 3; ++r)
      for (Index s = 0; s < 3; ++s) {
        const Index h = p + r - 1, w = q + s - 1;
        if (h < 0 || h >= v.H || w < 0 || w >= v.W) continue;
        for (Index c = 0; c < v.C; ++c)
          sum += double(v.x[((n * v.H + h) * v.W + w) * v.C + c]) *
                 double(v.w[((k * 3 + r) * 3 + s) * v.C + c]);
      }
    if (v.bias != nullptr) sum = std::max(sum, 0.0);
    squares += sum * sum;
    const double error = std::abs(double(v.y[e]) - sum);
    if (!(error <= worst)) worst = error, worst_at = e;  // NaN is worst
    if (std::isnan(error)) break;
  }
  const double bound = 3e-5 * std::sqrt(squares / double(count));
  if (worst <= bound) return true;
  std::fprintf(stderr, "y[%lld] is %.3g off, more than %.3g\n", static_cast<long long>(worst_at),
               worst, bound);
  return false;
}

// Checks the step on a small problem, and on the large one before timing that; prints. The sizes
// are those of ResNet-18's second stage; pixels and tiles of 4×4 pixels are multiples of 6,
// channels of 16, so that no step needs code for edges.
inline int run_conv(const char* program, int argc, char** argv, const ConvStep& step) {
  const Arguments arguments = parse(argc, argv);
  if (skipped(program, step.needs)) return 0;
  for (const bool large : {false, true}) {
    const Index N = large ? step.images : 3, size = large ? 16 : 8, C = large ? 128 : 16,
                K = large ? 128 : 32;
    const Array x = random_array(N * size * size * C, 1), w = random_array(K * 9 * C, 2);
    const Array bias = random_array(K, 3), y(N * size * size * K);
    Conv problem{N, size, size, C, K, x.get(), w.get(), nullptr, nullptr, y.get(), 1, nullptr};
    problem.bias = step.bias_relu ? bias.get() : nullptr;
    problem.threads = step.threads ? arguments.threads : 1;
    const Array prepared = step.prepare == nullptr ? Array(0) : step.prepare(problem);
    problem.prepared = prepared.get();
    const Array scratch(step.scratch == nullptr ? 0 : step.scratch(problem));
    problem.scratch = scratch.get();
    const double flops = 2.0 * double(problem.pixels()) * double(K) * 9 * double(C);
    const auto run = [&](const char* name, void (*convolve)(const Conv&)) {
      std::fill_n(y.get(), problem.pixels() * K, NAN);  // what a step leaves out is found
      convolve(problem);
      if (!is_right(problem, large ? 997 : 1)) return false;
      if (large)
        print_speed(name, (std::to_string(N) + " images of 16 x 16 x 128 to 128").c_str(),
                    problem.threads, flops, least_seconds([&] { convolve(problem); }));
      return true;
    };
    if (!run(program, step.run)) return 1;
    if (step.rival != nullptr && !run(step.rival_name, step.rival)) return 1;
    if (arguments.check) break;
  }
  if (arguments.check) std::printf("%s: right\n", program);
  return 0;
}

}  // namespace study
