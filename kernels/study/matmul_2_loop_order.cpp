// Step 2: the same multiply-adds in another order. With j innermost, b and c are read along their
// rows: every byte of a cache line is used, the hardware fetches the next lines ahead, and the sums
// c[i][j], c[i][j + 1], ... do not wait for each other, so the compiler makes vectors of them.
//
// What to expect. In L1: eight multiply-adds (AVX2) load b and c and store c, and a core does two
// loads and one store a cycle: 16 flop a cycle, 59 GFLOP/s at 3.7 GHz, 34 ms. But the whole of b, 4
// MB, is read for each of the 960 rows of a, 2 bytes for each flop, and is larger than L2: 4 GB at
// 100 GB/s from L3 take another 40 ms. 27 GFLOP/s if the one waits for the other, 50 if they
// overlap.
//
// Prints milliseconds, GFLOP/s and per cent of the measured peak, after checking the result.
#include "matmul.h"

namespace {

using study::Index;

STUDY_AVX2 void multiply(const study::Matmul& m) {
  std::fill_n(m.c, m.M * m.N, 0.0f);
  for (Index i = 0; i < m.M; ++i) {
    float* const c = m.c + i * m.N;
    for (Index k = 0; k < m.K; ++k) {
      const float a = m.a[i * m.K + k];
      const float* const b = m.b + k * m.N;
      for (Index j = 0; j < m.N; ++j) c[j] += a * b[j];
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  return study::run_matmul("matmul_2_loop_order", argc, argv, {.multiply = multiply});
}
