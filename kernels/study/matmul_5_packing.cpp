// Step 5: packing. Before use, a block of each operand is copied into the order in which the tile
// of step 4 reads it: b in panels of 16 columns, a in panels of 6 rows, k after k. Every load is
// then next to the last one: no two lines of a panel fight for a place, and a page lasts for 64
// lines.
//
// What to expect. One panel of b (256 · 16 floats, 16 KB) is half of L1 and stays there for 32
// tiles; a's block (192 · 256 floats, 192 KB) stays in L2 and gives 6 floats per k, 24 bytes in 6
// cycles. So the tile runs at the peak that step 4 promised. The copies read and write each element
// of b once and of a once, 16 MB in all at some 10 to 20 GB/s: about 1 ms beside the 17 ms of the
// products at peak, and c is read and written 4 times. 90 to 95 % of peak.
//
// Prints milliseconds, GFLOP/s and per cent of the measured peak, after checking the result.
#include "matmul.h"

namespace {

using study::Index;

typedef float Vector __attribute__((vector_size(32)));
typedef float InMemory __attribute__((vector_size(32), aligned(4), may_alias));

constexpr Index rows = 6, lanes = 8, columns = 2 * lanes;
constexpr Index slice = 256;  // of k
constexpr Index block = 192;  // rows of a

// c (6, 16) += a (depth, 6)ᵀ · b (depth, 16), both packed; rows of c are c_row floats apart.
STUDY_AVX2 void add_tile(Index depth, const float* a, const float* b, float* c, Index c_row) {
  Vector sums[rows][2] = {};
  for (Index k = 0; k < depth; ++k) {
    const Vector left = *reinterpret_cast<const InMemory*>(b + k * columns);
    const Vector right = *reinterpret_cast<const InMemory*>(b + k * columns + lanes);
#pragma GCC unroll 6
    for (Index i = 0; i < rows; ++i) {
      const float x = a[k * rows + i];
      sums[i][0] += x * left;
      sums[i][1] += x * right;
    }
  }
#pragma GCC unroll 6
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
      for (Index j = 0; j < m.N; j += columns)
        for (Index i = 0; i < count; i += rows)
          add_tile(depth, a.get() + i * depth, b.get() + j * depth, m.c + (i0 + i) * m.N + j, m.N);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  return study::run_matmul("matmul_5_packing", argc, argv, {.multiply = multiply});
}
