// Step 7: Winograd in blocks that stay in L2. The three phases of step 6 run one after the other
// for 12 tiles at a time, before the next 12: the transformed inputs and the products of a block
// are 36 · 12 · (128 + 128) floats, 442 KB, written and read where they are, in a L2 of 1 MB.
//
// What to expect. The transformed filters (2.36 MB) no longer stay near: each of 32 blocks reads
// them from L3, 75 MB in all, 0.75 ms at 100 GB/s, if nothing of it hides behind the products. That
// is what larger blocks would save and L2 forbids. With 4.3 ms for the products and 0.3 for the
// transforms, 5.4 ms on one core: 340 GFLOP/s, almost three times the peak. With more channels the
// filters grow with their square; at 512 they are 38 MB, and step 6 is better there.
//
// Prints milliseconds, GFLOP/s (of the definition) and per cent of the measured peak, after
// checking the result.
#include "winograd.h"

namespace {

using study::Index;
using namespace study::winograd;

constexpr Index block = 12;  // tiles

Index input_step(const study::Conv& v) { return block * v.C; }
Index product_step(const study::Conv& v) { return block * v.K; }
Index scratch_of_thread(const study::Conv& v) {
  return elements * (input_step(v) + product_step(v));
}
Index scratch(const study::Conv& v) { return v.C + v.threads * scratch_of_thread(v); }

void convolve(const study::Conv& v) {
  const Index tiles = tile_count(v), blocks = (tiles + block - 1) / block, threads = v.threads;
  const float* const zeros = v.scratch;  // C of them, as it was at first
  study::run_on(v.threads, [&](Index thread) {
    float* const inputs = v.scratch + v.C + thread * scratch_of_thread(v);
    float* const products = inputs + elements * input_step(v);
    for (Index b = blocks * thread / threads; b < blocks * (thread + 1) / threads; ++b) {
      const Index first = b * block, count = std::min(block, tiles - first);
      for (Index t = 0; t < count; ++t)
        transform_input(v, zeros, first + t, inputs + t * v.C, input_step(v));
      for (Index e = 0; e < elements; ++e)
        multiply_element(v, e, inputs + e * input_step(v), products + e * product_step(v), count);
      for (Index t = 0; t < count; ++t)
        transform_output(v, first + t, products + t * v.K, product_step(v));
    }
  });
}

}  // namespace

int main(int argc, char** argv) {
  return study::run_conv(
      "conv_7_fused", argc, argv,
      {.run = convolve, .prepare = transform_filters, .scratch = scratch, .threads = true});
}
