// Step 3: cache blocking. b is cut into slices of 64 rows, 256 KB, which stay in L2 (1 MB) while
// all rows of a go by. c is now read and written 16 times instead of once, which is cheap: a row of
// it (4 KB) stays in L1 for 64 · 1024 multiply-adds.
//
// What to expect. L3 is out of the way: it delivers b once and c 16 times, 67 MB for 2 GFLOP. What
// remains is step 2's other limit, loads and stores: 16 flop a cycle, 59 GFLOP/s, half of peak; and
// L2 gives some 30 bytes a cycle where that would take 32. No better place for b can help now, only
// fewer loads.
//
// Prints milliseconds, GFLOP/s and per cent of the measured peak, after checking the result.
#include "matmul.h"

namespace {

using study::Index;

constexpr Index slice = 64;

STUDY_AVX2 void multiply(const study::Matmul& m) {
  std::fill_n(m.c, m.M * m.N, 0.0f);
  for (Index k0 = 0; k0 < m.K; k0 += slice)
    for (Index i = 0; i < m.M; ++i) {
      float* const c = m.c + i * m.N;
      for (Index k = k0; k < std::min(k0 + slice, m.K); ++k) {
        const float a = m.a[i * m.K + k];
        const float* const b = m.b + k * m.N;
        for (Index j = 0; j < m.N; ++j) c[j] += a * b[j];
      }
    }
}

}  // namespace

int main(int argc, char** argv) {
  return study::run_matmul("matmul_3_blocking", argc, argv, {.multiply = multiply});
}
