// Step 1: the definition, output by output.
//
// What to expect. All the floats are near each other (the channels of a pixel lie together, the
// weights of an output channel are 4608 bytes), so this is no question of caches. But the 1152
// products of an output go into one sum, and each addition waits for the last: 3 cycles for 2 flop,
// 2.5 GFLOP/s at 3.7 GHz, 2 % of peak. The compiler may not split the sum, because rounding would
// change.
//
// Prints milliseconds, GFLOP/s and per cent of the measured peak, after checking the result.
#include "conv.h"

namespace {

using study::Index;

STUDY_AVX2 void convolve(const study::Conv& v) {
  for (Index n = 0; n < v.N; ++n)
    for (Index p = 0; p < v.H; ++p)
      for (Index q = 0; q < v.W; ++q)
        for (Index k = 0; k < v.K; ++k) {
          float sum = 0;
          for (Index r = 0; r < 3; ++r)
            for (Index s = 0; s < 3; ++s) {
              const Index h = p + r - 1, w = q + s - 1;
              if (h < 0 || h >= v.H || w < 0 || w >= v.W) continue;
              const float* const x = v.x + ((n * v.H + h) * v.W + w) * v.C;
              const float* const weight = v.w + ((k * 3 + r) * 3 + s) * v.C;
              for (Index c = 0; c < v.C; ++c) sum += x[c] * weight[c];
            }
          v.y[((n * v.H + p) * v.W + q) * v.K + k] = sum;
        }
}

}  // namespace

int main(int argc, char** argv) {
  return study::run_conv("conv_1_naive", argc, argv, {.run = convolve});
}
