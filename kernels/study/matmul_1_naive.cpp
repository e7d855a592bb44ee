// Step 1: the definition. Each element of c is a row of a times a column of b.
//
// What to expect. Per multiply-add (2 flop) it loads one float of a row of a, next to the last one,
// and one float of a column of b: 4096 bytes after the last one, in another cache line and another
// page. Lines whose addresses differ by 4096 share one set of 8 places in L1, and 32 sets, 256
// places, in an L2 of 1 MB: 1024 lines of a column fit in neither, and come from L3 for every
// element of c. `machine` measures that walk: 3 ns an element, so 0.67 GFLOP/s, half a per cent of
// peak.
// (From L1 it would be 2.5 GFLOP/s: a sum of floats may not be reordered, so each addition waits 3
// cycles for the last.)
//
// Prints milliseconds, GFLOP/s and per cent of the measured peak, after checking the result.
#include "matmul.h"

namespace {

using study::Index;

STUDY_AVX2 void multiply(const study::Matmul& m) {
  for (Index i = 0; i < m.M; ++i)
    for (Index j = 0; j < m.N; ++j) {
      float sum = 0;
      for (Index k = 0; k < m.K; ++k) sum += m.a[i * m.K + k] * m.b[k * m.N + j];
      m.c[i * m.N + j] = sum;
    }
}

}  // namespace

int main(int argc, char** argv) {
  return study::run_matmul("matmul_1_naive", argc, argv, {.multiply = multiply});
}
