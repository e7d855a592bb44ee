// Step 7: threads. Each thread computes its own rows of c: it packs its own rows of a, and its
// share of the panels of b, which all use. A barrier before the products waits for b's panels; one
// after them keeps them until the last thread is done.
//
// What to expect. The panels of b are written once and then only read, so T threads take 1/T of the
// time of step 5, less what starting them costs (some 20 to 50 µs of 9 ms; the engine keeps its
// threads waiting in a pool instead), less the waiting for the slowest, and less the trip through
// L3 for the panels that another thread packed.
//
// OpenBLAS, where the machine has it, is timed beside: the same idea with a tile in assembler.
//
// Prints milliseconds, GFLOP/s and per cent of the measured peak, after checking the result.
#include <dlfcn.h>

#include <barrier>

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

// Panels first, first + step, ... of b's rows k0 to k0 + depth.
void pack_b(const study::Matmul& m, Index k0, Index depth, Index first, Index step, float* packed) {
  for (Index panel = first; panel < m.N / columns; panel += step)
    for (Index k = 0; k < depth; ++k)
      std::copy_n(m.b + (k0 + k) * m.N + panel * columns, columns,
                  packed + (panel * depth + k) * columns);
}

void pack_a(const study::Matmul& m, Index i0, Index count, Index k0, Index depth, float* packed) {
  for (Index i = i0; i < i0 + count; i += rows, packed += rows * depth)
    for (Index k = 0; k < depth; ++k)
      for (Index r = 0; r < rows; ++r) packed[k * rows + r] = m.a[(i + r) * m.K + k0 + k];
}

void multiply(const study::Matmul& m) {
  const Index threads = m.threads;
  const study::Array shared_b(slice * m.N);
  std::barrier barrier(threads);
  study::run_on(m.threads, [&](Index thread) {
    // Whole tiles to each thread.
    const Index tiles = m.M / rows;
    const Index begin = tiles * thread / threads * rows;
    const Index end = tiles * (thread + 1) / threads * rows;
    std::fill(m.c + begin * m.N, m.c + end * m.N, 0.0f);
    const study::Array a(block * slice);
    for (Index k0 = 0; k0 < m.K; k0 += slice) {
      const Index depth = std::min(slice, m.K - k0);
      pack_b(m, k0, depth, thread, threads, shared_b.get());
      barrier.arrive_and_wait();
      for (Index i0 = begin; i0 < end; i0 += block) {
        const Index count = std::min(block, end - i0);
        pack_a(m, i0, count, k0, depth, a.get());
        for (Index j = 0; j < m.N; j += columns)
          for (Index i = 0; i < count; i += rows)
            add_tile(depth, a.get() + i * depth, shared_b.get() + j * depth,
                     m.c + (i0 + i) * m.N + j, m.N);
      }
      barrier.arrive_and_wait();
    }
  });
}

// OpenBLAS's sgemm through its C interface, or null.
using Sgemm = void (*)(int order, int a_form, int b_form, int M, int N, int K, float alpha,
                       const float* a, int lda, const float* b, int ldb, float beta, float* c,
                       int ldc);
void* const library = dlopen("libopenblas.so.0", RTLD_NOW);
const auto sgemm =
    library == nullptr ? nullptr : reinterpret_cast<Sgemm>(dlsym(library, "cblas_sgemm"));
const auto set_threads =
    library == nullptr
        ? nullptr
        : reinterpret_cast<void (*)(int)>(dlsym(library, "openblas_set_num_threads"));

void multiply_by_openblas(const study::Matmul& m) {
  constexpr int row_major = 101, plain = 111;  // cblas.h
  set_threads(m.threads);
  sgemm(row_major, plain, plain, int(m.M), int(m.N), int(m.K), 1, m.a, int(m.K), m.b, int(m.N), 0,
        m.c, int(m.N));
}

}  // namespace

int main(int argc, char** argv) {
  const bool found = sgemm != nullptr && set_threads != nullptr;
  return study::run_matmul("matmul_7_threads", argc, argv,
                           {.multiply = multiply,
                            .threads = true,
                            .rival_name = "OpenBLAS",
                            .rival = found ? multiply_by_openblas : nullptr});
}
