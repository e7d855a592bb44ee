// Step 5: threads. Each thread computes its own share of the output pixels, with the same packed
// weights and the same zeros; nothing that is written is shared.
//
// What to expect. T threads take 1/T of the time, less what starting them costs: 20 to 50 µs of
// some 8 ms with two. The engine keeps its threads waiting in a pool instead, because its layers
// are often shorter than that.
//
// Prints milliseconds, GFLOP/s and per cent of the measured peak, after checking the result.
#include "conv.h"

namespace {

using study::Index;

typedef float Vector __attribute__((vector_size(32)));
typedef float InMemory __attribute__((vector_size(32), aligned(4), may_alias));

constexpr Index rows = 6, lanes = 8, columns = 2 * lanes;

// Panels of 16 output channels, in each (R, S, C, 16).
study::Array pack(const study::Conv& v) {
  const Index inputs = 9 * v.C;
  study::Array packed(inputs * v.K);
  for (Index k = 0; k < v.K; ++k)
    for (Index i = 0; i < inputs; ++i)
      packed[(k / columns * inputs + i) * columns + k % columns] = v.w[k * inputs + i];
  return packed;
}

// y[first + i, k ... k + 15] for i < 6, first counting pixels of all images.
STUDY_AVX2 void convolve_tile(const study::Conv& v, const float* zeros, Index first, Index k) {
  Vector sums[rows][2] = {};
  const float* weights = v.prepared + k * 9 * v.C;
  for (Index r = 0; r < 3; ++r)
    for (Index s = 0; s < 3; ++s) {
      const float* x[rows];
      for (Index i = 0; i < rows; ++i) {
        const Index pixel = first + i, h = pixel / v.W % v.H + r - 1, w = pixel % v.W + s - 1;
        const bool inside = h >= 0 && h < v.H && w >= 0 && w < v.W;
        x[i] = inside ? v.x + (pixel + (r - 1) * v.W + s - 1) * v.C : zeros;
      }
      for (Index c = 0; c < v.C; ++c, weights += columns) {
        const Vector left = *reinterpret_cast<const InMemory*>(weights);
        const Vector right = *reinterpret_cast<const InMemory*>(weights + lanes);
#pragma GCC unroll 6
        for (Index i = 0; i < rows; ++i) {
          sums[i][0] += x[i][c] * left;
          sums[i][1] += x[i][c] * right;
        }
      }
    }
#pragma GCC unroll 6
  for (Index i = 0; i < rows; ++i) {
    *reinterpret_cast<InMemory*>(v.y + (first + i) * v.K + k) = sums[i][0];
    *reinterpret_cast<InMemory*>(v.y + (first + i) * v.K + k + lanes) = sums[i][1];
  }
}

void convolve(const study::Conv& v) {
  const study::Array zeros(v.C);
  const Index tiles = v.pixels() / rows, threads = v.threads;
  study::run_on(v.threads, [&](Index thread) {
    for (Index t = tiles * thread / threads; t < tiles * (thread + 1) / threads; ++t)
      for (Index k = 0; k < v.K; k += columns) convolve_tile(v, zeros.get(), t * rows, k);
  });
}
}  // namespace

int main(int argc, char** argv) {
  return study::run_conv("conv_5_threads", argc, argv,
                         {.run = convolve, .prepare = pack, .threads = true});
}
