// Step 4: register blocking. A tile of c, 6 rows of 16 columns, stays in 12 registers of 8 floats
// (AVX2) while k runs: no load and no store of c. Each b loaded serves 6 rows, each a 16 columns.
// The multiply and the add are one instruction, FMA.
//
// What to expect. Per k: 2 loads of b, 6 of a (each copied to all 8 places by the load), 12 FMAs.
// Two loads and two FMAs start in a cycle: 4 cycles of loads hide behind 6 of FMAs, so the tile
// runs at peak if its operands are in L1. 12 sums are also enough to hide the 4 cycles that an FMA
// takes (two a cycle: 8 are needed), and 12 + 2 + 1 registers are fewer than 16. But b is read down
// a panel of 16 columns, one line every 4096 bytes, and those fall into one set of L1: 64 bytes
// from L2 or L3 for each 6 cycles, and a page of its own for each line where the first-level table
// of pages (TLB) has 72 entries. At 25 to 40 GB/s, 50 to 80 GFLOP/s.
//
// Prints milliseconds, GFLOP/s and per cent of the measured peak, after checking the result.
#include "matmul.h"

namespace {

using study::Index;

typedef float Vector __attribute__((vector_size(32)));
typedef float InMemory __attribute__((vector_size(32), aligned(4), may_alias));

constexpr Index rows = 6, lanes = 8, columns = 2 * lanes;
constexpr Index slice = 256;  // of k: as in step 3

// c (6, 16) += a (6, depth) · b (depth, 16); the matrices' rows are K, N and N floats apart.
STUDY_AVX2 void add_tile(const study::Matmul& m, Index depth, const float* a, const float* b,
                         float* c) {
  Vector sums[rows][2] = {};
  for (Index k = 0; k < depth; ++k) {
    const Vector left = *reinterpret_cast<const InMemory*>(b + k * m.N);
    const Vector right = *reinterpret_cast<const InMemory*>(b + k * m.N + lanes);
#pragma GCC unroll 6
    for (Index i = 0; i < rows; ++i) {
      const float x = a[i * m.K + k];
      sums[i][0] += x * left;
      sums[i][1] += x * right;
    }
  }
#pragma GCC unroll 6
  for (Index i = 0; i < rows; ++i) {
    *reinterpret_cast<InMemory*>(c + i * m.N) += sums[i][0];
    *reinterpret_cast<InMemory*>(c + i * m.N + lanes) += sums[i][1];
  }
}

void multiply(const study::Matmul& m) {
  std::fill_n(m.c, m.M * m.N, 0.0f);
  for (Index k = 0; k < m.K; k += slice)
    for (Index j = 0; j < m.N; j += columns)
      for (Index i = 0; i < m.M; i += rows)
        add_tile(m, std::min(slice, m.K - k), m.a + i * m.K + k, m.b + k * m.N + j,
                 m.c + i * m.N + j);
}

}  // namespace

int main(int argc, char** argv) {
  return study::run_matmul("matmul_4_registers", argc, argv, {.multiply = multiply});
}
