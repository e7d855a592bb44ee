// Step 6: wider vectors. AVX-512 has registers of 16 floats, and 32 of them: the tile is 12 rows of
// 32 columns in 24 registers.
//
// What to expect. Per k: 2 loads of b and 12 of a for 24 FMAs; one FMA does twice the work, so half
// as many instructions are fetched, decoded and retired. Whether that is faster depends on the
// core: one with two 512-bit FMA units (Intel's servers) does 64 flop a cycle and can gain up to 2;
// one that runs an AVX-512 FMA in two halves (Zen 4) has the peak that it had with AVX2, step 5 was
// within a tenth of it, and there is nothing to gain. Only the panels' sizes must follow: 256 · 32
// floats of b would be the whole L1 (32 KB), so that a's panel (512 · 12, 24 KB) stays there
// instead and b's block is the one that streams from L2: j is now the inner loop.
//
// Prints milliseconds, GFLOP/s and per cent of the measured peak, after checking the result.
#include "matmul.h"

namespace {

using study::Index;

typedef float Vector __attribute__((vector_size(64)));
typedef float InMemory __attribute__((vector_size(64), aligned(4), may_alias));

constexpr Index rows = 12, lanes = 16, columns = 2 * lanes;
constexpr Index slice = 512;  // of k
constexpr Index block = 192;  // rows of a

// c (12, 32) += a (depth, 12)ᵀ · b (depth, 32), both packed; rows of c are c_row floats apart.
STUDY_AVX512 void add_tile(Index depth, const float* a, const float* b, float* c, Index c_row) {
  Vector sums[rows][2] = {};
  for (Index k = 0; k < depth; ++k) {
    const Vector left = *reinterpret_cast<const InMemory*>(b + k * columns);
    const Vector right = *reinterpret_cast<const InMemory*>(b + k * columns + lanes);
#pragma GCC unroll 12
    for (Index i = 0; i < rows; ++i) {
      const float x = a[k * rows + i];
      sums[i][0] += x * left;
      sums[i][1] += x * right;
    }
  }
#pragma GCC unroll 12
  for (Index i = 0; i < rows; ++i) {
    *reinterpret_cast<InMemory*>(c + i * c_row) += sums[i][0];
    *reinterpret_cast<InMemory*>(c + i * c_row + lanes) += sums[i][1];
  }
}

void pack_b(const study::Matmul& m, Index k0, Index depth, float* packed) {
  for (Index j = 0; j < m.N; j += columns)
    for (Index k = k0; k < k0 + depth; ++k, packed += columns)
      std::copy_n(m.b + k * m.N + j, columns, packed);
}

void pack_a(const study::Matmul& m, Index i0, Index count, Index k0, Index depth, float* packed) {
  for (Index i = i0; i < i0 + count; i += rows, packed += rows * depth)
    for (Index k = 0; k < depth; ++k)
      for (Index r = 0; r < rows; ++r) packed[k * rows + r] = m.a[(i + r) * m.K + k0 + k];
}

void multiply(const study::Matmul& m) {
  std::fill_n(m.c, m.M * m.N, 0.0f);
  const study::Array a(block * slice), b(slice * m.N);
  for (Index k0 = 0; k0 < m.K; k0 += slice) {
    const Index depth = std::min(slice, m.K - k0);
    pack_b(m, k0, depth, b.get());
    for (Index i0 = 0; i0 < m.M; i0 += block) {
      const Index count = std::min(block, m.M - i0);
      pack_a(m, i0, count, k0, depth, a.get());
      for (Index i = 0; i < count; i += rows)
        for (Index j = 0; j < m.N; j += columns)
          add_tile(depth, a.get() + i * depth, b.get() + j * depth, m.c + (i0 + i) * m.N + j, m.N);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  return study::run_matmul("matmul_6_avx512", argc, argv,
                           {.multiply = multiply, .needs = study::Needs::avx512});
}
