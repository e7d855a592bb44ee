// The problem of the matmul ladder: c (M, N) = a (M, K) · b (K, N), rows one after the other.
#pragma once

#include "measure.h"

namespace study {

struct Matmul {
  Index M, N, K;
  const float *a, *b;
  float* c;
  int threads;
};

// Compares every `stride`-th element with its sum in double. A sum of K products in float, in any
// order, is within K · 2^-24 · Σ|a · b| of the true one (Higham, Accuracy and Stability of
// Numerical Algorithms, 3.5), up to terms of second order.
inline bool is_right(const Matmul& m, Index stride) {
  for (Index e = 0; e < m.M * m.N; e += stride) {
    const Index i = e / m.N, j = e % m.N;
    double sum = 0, size = 0;
    for (Index k = 0; k < m.K; ++k) {
      const double product = double(m.a[i * m.K + k]) * double(m.b[k * m.N + j]);
      sum += product;
      size += std::abs(product);
    }
    const double error = std::abs(double(m.c[e]) - sum);
    if (!(error <= static_cast<double>(m.K + 2) * 0x1p-24 * size)) {
      std::fprintf(stderr, "c[%lld][%lld] is %.9g, expected %.9g\n", static_cast<long long>(i),
                   static_cast<long long>(j), double(m.c[e]), sum);
      return false;
    }
  }
  return true;
}

// What a program of the ladder is made of.
struct MatmulStep {
  void (*multiply)(const Matmul&);
  Needs needs = Needs::avx2;
  bool threads = false;
  // Another product to time beside this one; null where there is none on this machine.
  const char* rival_name = nullptr;
  void (*rival)(const Matmul&) = nullptr;
};

// Checks the step on a small problem, and on the large one before timing that; prints. The sizes
// are multiples of 12 (M) and of 32 (N), so that no step needs code for edges.
inline int run_matmul(const char* program, int argc, char** argv, const MatmulStep& step) {
  const Arguments arguments = parse(argc, argv);
  if (skipped(program, step.needs)) return 0;
  for (const bool large : {false, true}) {
    const Index M = large ? 960 : 192, N = large ? 1024 : 128, K = large ? 1024 : 300;
    const Array a = random_array(M * K, 1), b = random_array(K * N, 2), c(M * N);
    const Matmul problem{M, N, K, a.get(), b.get(), c.get(), step.threads ? arguments.threads : 1};
    const double flops = 2.0 * double(M) * double(N) * double(K);
    const auto run = [&](const char* name, void (*multiply)(const Matmul&)) {
      std::fill_n(c.get(), M * N, NAN);  // what a step leaves out is found
      multiply(problem);
      if (!is_right(problem, large ? 997 : 1)) return false;
      if (large)
        print_speed(name, "960 x 1024 x 1024", problem.threads, flops,
                    least_seconds([&] { multiply(problem); }));
      return true;
    };
    if (!run(program, step.multiply)) return 1;
    if (arguments.check) break;
    if (large && step.rival != nullptr && !run(step.rival_name, step.rival)) return 1;
  }
  if (arguments.check) std::printf("%s: right\n", program);
  return 0;
}

}  // namespace study
