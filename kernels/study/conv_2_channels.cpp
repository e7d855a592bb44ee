// Step 2: output channels innermost. All K sums of a pixel grow together: an input element is read
// once and multiplied with the K weights that it meets, which lie together after the weights have
// been brought from (K, R, S, C) into the order (R, S, C, K). Neighbouring sums do not wait for
// each other, so the compiler makes vectors of them.
//
// What to expect. Eight multiply-adds (AVX2) load 8 weights and 8 sums and store 8 sums. A core
// does two loads and one store a cycle: 16 flop a cycle, 59 GFLOP/s at 3.7 GHz, half of peak. But a
// sum travels through memory from one input channel to the next: stored, loaded again and added to,
// some 12 cycles for the 16 vectors of a pixel, beside 16 cycles of loads; and the weights (590 KB)
// come from L2, which delivers 30 bytes a cycle where 32 are wanted. 40 to 55 GFLOP/s.
//
// Prints milliseconds, GFLOP/s and per cent of the measured peak, after checking the result.
#include "conv.h"

namespace {

using study::Index;

study::Array channels_last(const study::Conv& v) {
  study::Array weights(9 * v.C * v.K);
  for (Index k = 0; k < v.K; ++k)
    for (Index i = 0; i < 9 * v.C; ++i) weights[i * v.K + k] = v.w[k * 9 * v.C + i];
  return weights;
}

STUDY_AVX2 void convolve(const study::Conv& v) {
  for (Index n = 0; n < v.N; ++n)
    for (Index p = 0; p < v.H; ++p)
      for (Index q = 0; q < v.W; ++q) {
        float* const y = v.y + ((n * v.H + p) * v.W + q) * v.K;
        std::fill_n(y, v.K, 0.0f);
        for (Index r = 0; r < 3; ++r)
          for (Index s = 0; s < 3; ++s) {
            const Index h = p + r - 1, w = q + s - 1;
            if (h < 0 || h >= v.H || w < 0 || w >= v.W) continue;
            const float* const x = v.x + ((n * v.H + h) * v.W + w) * v.C;
            const float* weights = v.prepared + (r * 3 + s) * v.C * v.K;
            for (Index c = 0; c < v.C; ++c, weights += v.K) {
              const float element = x[c];
              for (Index k = 0; k < v.K; ++k) y[k] += element * weights[k];
            }
          }
      }
}

}  // namespace

int main(int argc, char** argv) {
  return study::run_conv("conv_2_channels", argc, argv,
                         {.run = convolve, .prepare = channels_last});
}
