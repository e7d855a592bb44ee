// Step 3: implicit matrix product. A convolution is a product: one row for each output pixel (the
// 1152 inputs that it sees) times one column for each output channel. Writing those rows out
// (im2col) would take nine times the memory of x. They need not exist: for one place (r, s) of the
// window, a row is the C channels of one input pixel, which lie together already. So the tile of
// the matrix ladder's step 4, 6 pixels by 16 channels in registers, gets six pointers for each (r,
// s); outside of the image they point at zeros.
//
// What to expect. Per input channel: 2 loads of weights and 6 of x for 12 FMAs, 4 cycles of loads
// behind 6 of FMAs. The weights of 16 of the 128 output channels are one line in eight, and those
// lines share an eighth of L1: they come from L2, 64 bytes in 6 cycles, a third of what L2 can, if
// the hardware sees them coming. Near peak, then, less what is paid for each (r, s): six pointers,
// some 50 instructions, for 128 · 12 FMAs (768 cycles).
//
// Prints milliseconds, GFLOP/s and per cent of the measured peak, after checking the result.
#include "conv.h"

namespace {

using study::Index;

typedef float Vector __attribute__((vector_size(32)));
typedef float InMemory __attribute__((vector_size(32), aligned(4), may_alias));

constexpr Index rows = 6, lanes = 8, columns = 2 * lanes;

study::Array channels_last(const study::Conv& v) {
  study::Array weights(9 * v.C * v.K);
  for (Index k = 0; k < v.K; ++k)
    for (Index i = 0; i < 9 * v.C; ++i) weights[i * v.K + k] = v.w[k * 9 * v.C + i];
  return weights;
}

// y[first + i, k ... k + 15] for i < 6, first counting pixels of all images.
STUDY_AVX2 void convolve_tile(const study::Conv& v, const float* zeros, Index first, Index k) {
  Vector sums[rows][2] = {};
  const float* weights = v.prepared + k;
  for (Index r = 0; r < 3; ++r)
    for (Index s = 0; s < 3; ++s) {
      const float* x[rows];
      for (Index i = 0; i < rows; ++i) {
        const Index pixel = first + i, h = pixel / v.W % v.H + r - 1, w = pixel % v.W + s - 1;
        const bool inside = h >= 0 && h < v.H && w >= 0 && w < v.W;
        x[i] = inside ? v.x + (pixel + (r - 1) * v.W + s - 1) * v.C : zeros;
      }
      for (Index c = 0; c < v.C; ++c, weights += v.K) {
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
  for (Index first = 0; first < v.pixels(); first += rows)
    for (Index k = 0; k < v.K; k += columns) convolve_tile(v, zeros.get(), first, k);
}

}  // namespace

int main(int argc, char** argv) {
  return study::run_conv("conv_3_implicit", argc, argv,
                         {.run = convolve, .prepare = channels_last});
}
