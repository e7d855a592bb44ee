// Step 6: fewer multiplications. The transforms of winograd.h turn 144 multiplications for 4×4
// outputs into 36, each of them an element of the transformed tiles. All tiles of the batch make
// each element a matrix product of its own, (tiles × C) · (C × K), for the register tile of step 4.
// Three phases: transform all inputs, 36 products, transform all outputs.
//
// What to expect. The products shrink from 1.81 to 0.45 GFLOP: 3.8 ms for a core at a peak of 118
// GFLOP/s, 4.3 at nine tenths of it. The transforms take 14 vector instructions for six vectors, 12
// times for a tile going in, and some 10 for six, 10 times coming out: with their loads and stores
// about 200 cycles for 8 channels of a tile, 0.3 ms in all. What costs is memory: the transformed
// inputs are 36/16 of x and so are the products before their transform, 7 MB each. Both are written
// and read, beyond L2, and a tile's 36 elements lie in 36 pages. At 10 to 30 GB/s for such writes
// and reads, 1 to 3 ms: two to three times the speed of step 5, not the four that were saved.
//
// GFLOP/s here and below are those of the definition, so that programs compare; they can exceed the
// peak. Prints milliseconds, GFLOP/s and per cent of the measured peak, after checking the result.
#include "winograd.h"

namespace {

using study::Index;
using namespace study::winograd;

Index input_step(const study::Conv& v) { return tile_count(v) * v.C; }
Index product_step(const study::Conv& v) { return tile_count(v) * v.K; }

Index scratch(const study::Conv& v) { return v.C + elements * (input_step(v) + product_step(v)); }

void convolve(const study::Conv& v) {
  const Index tiles = tile_count(v), threads = v.threads;
  const float* const zeros = v.scratch;  // C of them, as it was at first
  float* const inputs = v.scratch + v.C;
  float* const products = inputs + elements * input_step(v);
  study::run_on(v.threads, [&](Index thread) {
    for (Index t = tiles * thread / threads; t < tiles * (thread + 1) / threads; ++t)
      transform_input(v, zeros, t, inputs + t * v.C, input_step(v));
  });
  study::run_on(v.threads, [&](Index thread) {
    for (Index e = elements * thread / threads; e < elements * (thread + 1) / threads; ++e)
      multiply_element(v, e, inputs + e * input_step(v), products + e * product_step(v), tiles);
  });
  study::run_on(v.threads, [&](Index thread) {
    for (Index t = tiles * thread / threads; t < tiles * (thread + 1) / threads; ++t)
      transform_output(v, t, products + t * v.K, product_step(v));
  });
}

}  // namespace

int main(int argc, char** argv) {
  return study::run_conv(
      "conv_6_winograd", argc, argv,
      {.run = convolve, .prepare = transform_filters, .scratch = scratch, .threads = true});
}
